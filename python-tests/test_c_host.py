"""What a node and a client do to the process they are in: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from raft_harness.c_door import prefix
from raft_harness.ports import free_ports


@pytest.mark.parametrize("mode", ["server-side", "client-side", "leaks"])
def test_the_host_lives_on(mode: str) -> None:
    """No SIGPIPE from peers that go away, no signal handler, no thread or descriptor left over."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "raft_harness.c_host", str(prefix().library), str(port), mode]
    here = Path(__file__).parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=here, check=False)
    assert done.returncode == 0, f"exit {done.returncode} (-13 is SIGPIPE)\n{done.stderr}"
    assert done.stdout == "alive\n"
