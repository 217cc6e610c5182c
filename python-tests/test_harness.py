"""The checks of the harness find what they are there to find."""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raft_harness import Missed, Process, eventually
from raft_harness.load import Load, Outcome, Write
from raft_harness.shell import run


def load_with(*writes: Write) -> Load:
    load = Load([], writers=1)
    load.writers[0].writes = list(writes)
    return load


ACKED = Write("k", "one", Outcome.ACKED, 5)


@pytest.mark.parametrize(
    ("writes", "store", "problem"),
    [
        ([ACKED], {}, "was acknowledged"),
        ([ACKED], {"k": "other"}, "was acknowledged"),
        ([ACKED, Write("k", "two", Outcome.ACKED, 6)], {"k": "one"}, "was acknowledged"),
        ([ACKED, Write("k", "two", Outcome.REFUSED)], {"k": "two"}, "was acknowledged"),
        ([Write("k", "two", Outcome.REFUSED)], {"k": "two"}, "refused"),
        ([ACKED], {"k": "one", "ghost": 1}, "nobody wrote"),
        ([ACKED, Write("k", "two", Outcome.ACKED, 5)], {"k": "two"}, "do not grow"),
    ],
)
def test_what_must_not_be_is_found(writes: list[Write], store: dict[str, object], problem: str) -> None:
    problems = load_with(*writes).check(store).problems
    assert problems
    assert problem in problems[0]


@pytest.mark.parametrize(
    ("writes", "store"),
    [
        ([ACKED], {"k": "one"}),
        ([Write("k", "two", Outcome.UNKNOWN)], {}),
        ([Write("k", "two", Outcome.UNKNOWN)], {"k": "two"}),
        ([ACKED, Write("k", "two", Outcome.UNKNOWN)], {"k": "one"}),
        ([ACKED, Write("k", "two", Outcome.UNKNOWN)], {"k": "two"}),
        ([ACKED, Write("k", "two", Outcome.ACKED, 6)], {"k": "two"}),
    ],
)
def test_what_may_be_is_not(writes: list[Write], store: dict[str, object]) -> None:
    assert load_with(*writes).check(store).problems == []


def test_a_condition_that_never_comes_is_missed() -> None:
    with pytest.raises(Missed, match="never mind"):
        eventually(lambda: False, "never mind", timeout=0.1)


def test_a_process_can_be_killed_and_read(tmp_path: Path) -> None:
    process = Process([sys.executable, "-uc", "print('here'); input()"], tmp_path / "log", stdin=-1)
    eventually(lambda: "here" in process.output(), "it speaks")
    process.kill()
    assert not process.running


@pytest.fixture
def _set_behind_pythons_back() -> Iterator[None]:
    """COLUMNS in the C library's environment but not in os.environ, as readline does it."""
    libc = ctypes.CDLL(None)
    assert "COLUMNS" not in os.environ
    libc.setenv(b"COLUMNS", b"33", 1)
    yield
    libc.unsetenv(b"COLUMNS")


@pytest.mark.usefixtures("_set_behind_pythons_back")
def test_a_command_has_the_environment_that_python_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAFT_CONFIG", "raft.toml")
    shell = ["sh", "-c", 'echo "${COLUMNS-unset} ${RAFT_CONFIG-unset} $SEEN"']
    assert run(shell, env={"SEEN": "yes"}).out == "unset unset yes\n"
    process = Process(shell, tmp_path / "log")
    assert process.wait() == 0
    assert process.output() == "unset unset \n"
