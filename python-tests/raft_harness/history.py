"""What clients asked for and heard, in the form that `raft-sim --history` checks (docs/simulation.md)."""

import json
import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from raft_harness.load import Outcome
from raft_harness.process import REPOSITORY

_WORDS = {Outcome.ACKED: "ok", Outcome.REFUSED: "failed", Outcome.UNKNOWN: "unknown"}


@dataclass(slots=True)
class Operation:
    """One operation, from when it was first asked for to when it was answered or given up."""

    client: str
    kind: str
    key: str
    value: str | None = None
    deleted: bool | None = None
    begin: int = 0
    end: int = 0
    outcome: Outcome = Outcome.UNKNOWN
    revisions: list[int] = field(default_factory=list)
    once: str | None = None
    """The Idempotency-Key under which it may be repeated."""

    @property
    def is_write(self) -> bool:
        return self.kind in ("set", "delete")

    @property
    def word(self) -> str:
        return _WORDS[self.outcome]

    def line(self) -> str:
        fields = {
            "client": self.client,
            "kind": self.kind,
            "key": self.key,
            "value": self.value,
            "deleted": self.deleted,
            "begin": self.begin,
            "end": self.end,
            "outcome": self.word,
            "revisions": self.revisions,
        }
        return json.dumps(fields)


class History:
    """All operations of a run, from all threads, in the order in which they ended."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.acked_writes: list[int] = []
        """When writes were acknowledged."""

    def begin(self, operation: Operation) -> Operation:
        operation.begin = time.monotonic_ns()
        return operation

    def end(self, operation: Operation, outcome: Outcome) -> None:
        operation.end, operation.outcome = time.monotonic_ns(), outcome
        if operation.is_write and outcome is Outcome.ACKED:
            self.acked_writes.append(operation.end)
        self.operations.append(operation)

    def write(self, path: Path) -> None:
        with path.open("w") as file:
            file.writelines(f"{operation.line()}\n" for operation in self.operations)


def sim_binary() -> Path:
    """The simulator, whose checker this is: RAFT_SIM_BIN, or what `cargo build --release` left."""
    path = Path(os.environ.get("RAFT_SIM_BIN", REPOSITORY / "target/release/raft-sim")).resolve()
    assert path.exists(), f"{path} is not there: cargo build --release -p raft-sim, or set RAFT_SIM_BIN"
    return path


def check(path: Path, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
    """Runs the checker over a file: exit code 0 where the history can be right, 1 where it cannot."""
    command: Iterable[str | Path] = [sim_binary(), "--history", path]
    return subprocess.run([*command], capture_output=True, text=True, timeout=timeout, check=False)


def with_a_stale_read(history: History) -> History:
    """The same, but for the last read, which finds what the first write of its key wrote."""
    tampered = History()
    tampered.operations = list(history.operations)
    read = tampered.operations.pop()
    first = next(
        op
        for op in history.operations
        if (op.kind, op.key, op.outcome) == ("set", read.key, Outcome.ACKED) and op.value != read.value
    )
    stale = Operation(read.client, "get", read.key, first.value, None, read.begin, read.end, read.outcome)
    tampered.operations.append(stale)
    return tampered


def assert_it_bites(history: History, path: Path) -> None:
    """The checker does not take everything: with a read in the end that is stale, it is not this history."""
    tampered = with_a_stale_read(history)
    tampered.write(path)
    verdict, key = check(path), tampered.operations[-1].key
    assert verdict.returncode == 1, "the checker takes anything"
    assert f'Linearizability: no order explains what was seen of "{key}"' in verdict.stdout, verdict.stdout
