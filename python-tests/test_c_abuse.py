"""Each function of raft.h with what it must not be given: a status, never a crash.

The calls are made in processes of their own (raft_harness/c_abuse.py), so that a crash is seen.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from raft_harness import c_abuse, c_header
from raft_harness.c_door import prefix
from raft_harness.ports import free_ports

pytestmark = pytest.mark.deadline(300)


def abuse(mode: str, timeout: float = 240) -> str:
    """Runs one of the modes; what it said last is where it crashed."""
    port = next(port for port in free_ports(40) if port % 2 == 0)
    command = [sys.executable, "-X", "faulthandler", "-m", "raft_harness.c_abuse"]
    done = subprocess.run(
        [*command, prefix().library, str(port), mode],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=Path(__file__).parent,
        check=False,
    )
    last = "\n".join(done.stdout.splitlines()[-3:])
    assert done.returncode == 0, f"exit {done.returncode}, last:\n{last}\n{done.stderr[-4000:]}"
    return done.stdout


def test_every_function_of_the_header_has_a_row() -> None:
    names = [function.name for function in c_header.functions()]
    assert len(names) > 50
    assert set(names) == set(c_abuse.ROWS)


def test_what_each_function_says_about_threads_and_pointers() -> None:
    for function in c_header.functions():
        assert re.search(r"^ \* Threads: any, ", function.comment, re.MULTILINE), function.name
        if any(parameter.type.endswith("*") for parameter in function.parameters):
            assert re.search(r"^ \* Pointers: ", function.comment, re.MULTILINE), function.name


def test_one_bad_argument_at_a_time() -> None:
    said = abuse("one-by-one")
    assert re.search(r"^5\d\d cases, 7\d functions$", said, re.MULTILINE), said[-200:]


def test_from_eight_threads() -> None:
    assert "8 threads, " in abuse("eight-threads")


def test_in_the_wrong_order() -> None:
    assert "in order" in abuse("wrong-order")


def test_after_a_fork() -> None:
    assert "forked" in abuse("fork")
