"""The C examples under valgrind: no byte read or written that should not be, none lost."""

from pathlib import Path

import pytest
from raft_harness.c_door import need, prefix, program, run
from raft_harness.ports import free_ports
from raft_harness.process import REPOSITORY
from test_c_build import run_quick_start

pytestmark = pytest.mark.deadline(600)

VALGRIND = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
    f"--suppressions={REPOSITORY}/raft-ffi/valgrind.supp",
]


def test_the_quick_start(tmp_path: Path) -> None:
    need("valgrind")
    run_quick_start(program("quickstart"), tmp_path, *VALGRIND, timeout=500)


def test_everything_else(tmp_path: Path) -> None:
    """What the quick start leaves out: a client, keys, each kind of value, each kind of failure, restarts."""
    need("valgrind")
    source = Path(__file__).parent / "data/every_call.c"
    (port,) = free_ports(1)
    executable = prefix().compile(source, tmp_path / "every_call", "cc", "-std=c11", "-g")
    assert run(executable, str(port), cwd=tmp_path) == "every call\n"
    assert run(*VALGRIND, executable, str(port), cwd=tmp_path, timeout=500) == "every call\n"
