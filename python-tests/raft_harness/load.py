"""Writers whose every outcome is known, and the exact check of what must be there afterwards.

Each writer owns its keys, so that what a key may hold follows from this writer's own history: one key for
each write (`u/<writer>/<n>`), and one that counts up (`c/<writer>`).
"""

import itertools
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

from raft_harness.cluster import Node
from raft_harness.http import Http, Reply, Unreachable
from raft_harness.waiting import eventually


class Outcome(Enum):
    """What a writer knows of a write."""

    ACKED = "acked"
    UNKNOWN = "unknown"
    REFUSED = "refused"


REFUSALS = {(429, "overloaded"), (503, "no_leader"), (503, "shutting_down")}


def judge(reply: Reply) -> Outcome:
    """What an answer to a write means; anything the contract does not name is an error."""
    if reply.status == 200:
        return Outcome.ACKED
    if (reply.status, reply.code) == (504, "timeout"):
        return Outcome.UNKNOWN
    assert (reply.status, reply.code) in REFUSALS, f"{reply.status}: {reply.body[:500]!r}"
    assert "retry-after" in reply.headers, f"{reply.status} without Retry-After"
    return Outcome.REFUSED


@dataclass
class Write:
    """One write and what became of it."""

    key: str
    value: Any
    outcome: Outcome
    revision: int = 0


@dataclass
class Tally:
    """What the writers saw, and what was found afterwards."""

    acked: int = 0
    unknown: int = 0
    refused: int = 0
    lost: int = 0
    applied_unknown: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.acked} writes acknowledged, {self.unknown} unknown ({self.applied_unknown} found),"
            f" {self.refused} refused, {self.lost} lost"
        )


class Writer(threading.Thread):
    """Writes one thing after another through nodes chosen at random, until told to stop."""

    def __init__(
        self, name: str, nodes: Sequence[Node], seed: int, pace: float, timeout: float, query: str
    ) -> None:
        super().__init__(daemon=True)
        self.label, self.pace, self.timeout, self.path = name, pace, timeout, f"/api/set{query}"
        self.writes: list[Write] = []
        self.acked = 0
        self.error: BaseException | None = None
        self._doors = [Http(node.host, node.port, timeout) for node in nodes]
        self._random = random.Random(seed)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        try:
            for n in itertools.count():
                if self._stop_asked.wait(self.pace):
                    return
                unique = n % 2 == 0
                self._write(f"u/{self.label}/{n}" if unique else f"c/{self.label}", n)
        except BaseException as error:  # shown by Load.stop
            self.error = error
        finally:
            for door in self._doors:
                door.close()

    def _write(self, key: str, n: int) -> None:
        door = self._random.choice(self._doors)
        value = f"{self.label} wrote {n}"
        try:
            reply = door.post(self.path, {"key": key, "value": value}, timeout=self.timeout)
        except Unreachable as error:
            self.writes.append(Write(key, value, Outcome.UNKNOWN if error.sent else Outcome.REFUSED))
            return
        outcome = judge(reply)
        revision = reply.json()["revision"] if outcome is Outcome.ACKED else 0
        self.acked += outcome is Outcome.ACKED
        self.writes.append(Write(key, value, outcome, revision))

    def speak_to(self, nodes: Sequence[Node]) -> None:
        """From its next write on, through these nodes."""
        self._doors = [Http(node.host, node.port, self.timeout) for node in nodes]

    def ask_to_stop(self) -> None:
        self._stop_asked.set()


class Load:
    """Several writers; a context manager that stops them."""

    def __init__(
        self,
        nodes: Sequence[Node],
        writers: int = 4,
        pace: float = 0.002,
        timeout: float = 7.0,
        seed: int = 0,
        server_timeout_ms: int | None = None,
    ) -> None:
        query = "" if server_timeout_ms is None else f"?timeout_ms={server_timeout_ms}"
        self.writers = [Writer(f"w{n}", nodes, seed * 1000 + n, pace, timeout, query) for n in range(writers)]

    def speak_to(self, nodes: Sequence[Node]) -> None:
        """The members have changed."""
        for writer in self.writers:
            writer.speak_to(nodes)

    def __enter__(self) -> Self:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self.writers:
            writer.ask_to_stop()
        for writer in self.writers:
            writer.join(timeout=30)
        if error is None:
            self.stop()

    def stop(self) -> None:
        """Stops all writers, and shows what any of them met that the contract does not allow."""
        for writer in self.writers:
            writer.ask_to_stop()
        for writer in self.writers:
            writer.join(timeout=30)
            assert not writer.is_alive(), f"{writer.label} hangs"
            if writer.error is not None:
                raise AssertionError(f"{writer.label} failed") from writer.error

    @property
    def acked(self) -> int:
        return sum(writer.acked for writer in self.writers)

    def wait_for_progress(self, acks: int = 20, timeout: float = 20.0) -> None:
        """Waits until so many more writes were acknowledged."""
        before = self.acked
        eventually(lambda: self.acked >= before + acks, f"{acks} more writes are acknowledged", timeout)

    def check(self, store: dict[str, Any]) -> Tally:
        """Holds a store against all that was written."""
        tally = Tally()
        written: dict[str, list[Write]] = {}
        for write in itertools.chain.from_iterable(writer.writes for writer in self.writers):
            written.setdefault(write.key, []).append(write)
        for key, writes in written.items():
            _check_key(tally, key, writes, store)
        for key in store.keys() - written.keys():
            tally.problems.append(f"{key!r} is there, and nobody wrote it")
        return tally

    def assert_nothing_lost(self, store: dict[str, Any]) -> Tally:
        """Like `check`, and fails on any problem."""
        tally = self.check(store)
        assert not tally.problems, f"{tally}; {len(tally.problems)} problems:\n" + "\n".join(
            tally.problems[:10]
        )
        return tally


def _check_key(tally: Tally, key: str, writes: list[Write], store: dict[str, Any]) -> None:
    """The key holds its last acknowledged write, or one of unknown outcome: an unknown write may still have
    happened after a later one, since nobody was told that it had not."""
    count = {outcome: sum(w.outcome is outcome for w in writes) for outcome in Outcome}
    tally.acked += count[Outcome.ACKED]
    tally.unknown += count[Outcome.UNKNOWN]
    tally.refused += count[Outcome.REFUSED]
    acked = [w for w in writes if w.outcome is Outcome.ACKED]
    unknown = {w.value for w in writes if w.outcome is Outcome.UNKNOWN}
    revisions = [w.revision for w in acked]
    if revisions != sorted(set(revisions)):
        tally.problems.append(f"{key!r}: revisions of writes one after another do not grow: {revisions}")
    value = store.get(key)
    if value is not None and value in unknown:
        tally.applied_unknown += 1
    elif acked and value != acked[-1].value:
        tally.lost += 1
        tally.problems.append(f"{key!r} holds {value!r}, but {acked[-1].value!r} was acknowledged")
    elif not acked and value is not None:
        tally.problems.append(f"{key!r} holds {value!r}, though it was refused or never written")
