"""Clients that record all they ask and hear, so that it can be checked for linearizability."""

import random
import threading
import time
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self

from raft_harness.cluster import Cluster
from raft_harness.history import History, Operation
from raft_harness.http import Http, Reply, Unreachable
from raft_harness.load import Outcome, judge
from raft_harness.namespaces import NamespaceCluster, inside

KEYS = [f"k{n}" for n in range(12)]
DEADLINES_MS = (200, 500, 1000, 2000)


class Client(threading.Thread):
    """Asks for one thing after another until told to stop."""

    PACE = 0.03
    """Seconds between an answer and the next question, half as many up to half as many again."""

    def __init__(self, label: str, cluster: Cluster, history: History, seed: int) -> None:
        super().__init__(daemon=True)
        self.label, self.history = label, history
        self.hub = cluster.hub if isinstance(cluster, NamespaceCluster) else None
        self.error: BaseException | None = None
        self._random = random.Random(f"{seed} {label}")
        self._stop_asked = threading.Event()
        self._numbers = 0

    def run(self) -> None:
        try:
            # For as long as the thread lives: native clients dial from it too.
            with inside(self.hub) if self.hub is not None else nullcontext():
                self.work()
        except BaseException as error:  # shown by Clients.stop
            self.error = error

    def work(self) -> None:
        try:
            while not self._stop_asked.wait(self._pause()):
                self.ask(self.draw())
        finally:
            self.close()

    def _pause(self) -> float:
        return self.PACE * self._random.uniform(0.5, 1.5)

    def draw(self) -> Operation:
        kinds, weights = ("set", "get", "delete", "get_stale"), (55, 27, 8, 10)
        kind = self._random.choices(kinds, weights)[0]
        operation = Operation(self.label, kind, self._random.choice(KEYS))
        if kind == "set":
            self._numbers += 1
            operation.value = f"{self.label}/{self._numbers}"
        return operation

    def ask(self, operation: Operation) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of connections."""

    def ask_to_stop(self) -> None:
        self._stop_asked.set()


def send(door: Http, operation: Operation, deadline_ms: int) -> Outcome:
    """Sends an operation once, and takes what an answer says into it."""
    headers = {} if operation.once is None else {"idempotency-key": operation.once}
    try:
        reply = _request(door, operation, deadline_ms, headers)
    except Unreachable as error:
        return Outcome.UNKNOWN if error.sent else Outcome.REFUSED
    outcome = judge(reply)
    if outcome is Outcome.ACKED:
        _take(operation, reply.json())
    return outcome


def _request(door: Http, operation: Operation, deadline_ms: int, headers: dict[str, str]) -> Reply:
    query, timeout = f"timeout_ms={deadline_ms}", deadline_ms / 1000 + 0.5
    if operation.kind == "set":
        body = {"key": operation.key, "value": operation.value}
        return door.post(f"/api/set?{query}", body, headers, timeout)
    if operation.kind == "delete":
        return door.post(f"/api/delete?{query}", {"key": operation.key}, headers, timeout)
    consistency = "stale" if operation.kind == "get_stale" else "linearizable"
    return door.get(f"/api/get/{operation.key}?consistency={consistency}&{query}", timeout)


def _take(operation: Operation, answer: dict[str, Any]) -> None:
    if operation.kind == "delete":
        deleted = operation.deleted
        assert deleted in (None, answer["deleted"]), f"{operation} is answered {answer} when repeated"
        operation.deleted = answer["deleted"]
    elif not operation.is_write:
        operation.value = answer["value"]
    if operation.is_write or answer["found"]:
        operation.revisions.append(answer["revision"])


class RoamingClient(Client):
    """Asks whatever node runs now, each thing once: nodes come and go."""

    def __init__(self, label: str, cluster: Cluster, history: History, seed: int) -> None:
        super().__init__(label, cluster, history, seed)
        self.cluster = cluster
        self.doors: dict[str, Http] = {}

    def ask(self, operation: Operation) -> None:
        alive = self.cluster.alive
        if not alive:
            return
        node = self._random.choice(alive)
        door = self.doors.setdefault(node.address, Http(node.host, node.port))
        self.history.begin(operation)
        self.history.end(operation, send(door, operation, self._random.choice(DEADLINES_MS)))

    def close(self) -> None:
        for door in self.doors.values():
            door.close()


class Crowd:
    """Clients that ask for as long as the block lasts."""

    def __init__(self, threads: list[Client]) -> None:
        self.threads = threads

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self.threads:
            thread.ask_to_stop()
        deadline = time.monotonic() + 30
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if error is None:
            self.check()
            hanging = [thread.label for thread in self.threads if thread.is_alive()]
            assert not hanging, f"these hang: {hanging}"

    def check(self) -> None:
        """Shows what any of them met that the contract does not allow."""
        for thread in self.threads:
            if thread.error is not None:
                raise AssertionError(f"{thread.label} failed") from thread.error
