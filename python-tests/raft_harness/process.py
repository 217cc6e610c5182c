"""A child process that cannot outlive its test."""

import atexit
import os
import shutil
import signal
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def server_binary() -> Path:
    """The shipped command: RAFT_SERVER_BIN, or what `cargo build --release` left."""
    path = Path(os.environ.get("RAFT_SERVER_BIN", REPOSITORY / "target/release/raft-server")).resolve()
    assert path.exists(), f"{path} is not there: cargo build --release, or set RAFT_SERVER_BIN"
    return path


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure a node or a client.

    A child that is given none gets the C library's, and that also holds what was set behind Python's back, as
    readline sets COLUMNS.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("RAFT_")}


_alive: "weakref.WeakSet[Process]" = weakref.WeakSet()


class Process:
    """A command in a session of its own, its output in a file.

    The kernel kills it when the thread that started it ends (setpriv --pdeathsig), so start it from the main
    thread. Whatever still runs when Python exits, by Ctrl-C too, is killed.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        directory: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        self.log = log
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                [*guard, *map(str, command)],
                cwd=directory,
                env={**clean_environment(), **(env or {})},
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _alive.add(self)

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if the process still runs."""
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and waits for the kernel to have done it."""
        self.send(signal.SIGKILL)
        self.child.wait(timeout=30)

    def wait(self, timeout: float = 10.0) -> int:
        """The exit code."""
        return self.child.wait(timeout=timeout)

    def output(self, since: int = 0) -> str:
        """All it has said on stdout and stderr."""
        return self.log.read_bytes()[since:].decode(errors="replace")


@atexit.register
def _kill_what_is_left() -> None:
    for process in list(_alive):
        if process.running:
            process.kill()
