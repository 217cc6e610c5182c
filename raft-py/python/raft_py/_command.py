"""The `raft-server` command."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from raft_py import _native


def main() -> int:
    """Runs `raft-server` with the arguments of this process, and returns its exit code."""
    # Python's handler would only make a note of Ctrl-C. A node takes the signal over; other commands
    # die of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(*_started_by(), sys.argv[1:])


def _started_by() -> tuple[list[str], list[str]]:
    """What the user has typed, and what starts this program once more: `cluster` starts its nodes so."""
    if getattr(sys.modules["__main__"], "__spec__", None) is not None:
        return ["python", "-m", "raft_py"], [sys.executable, "-m", "raft_py"]
    return [sys.argv[0]], [sys.executable, str(Path(sys.argv[0]).absolute())]
