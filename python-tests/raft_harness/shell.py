"""Runs the command as a person would, and keeps what it said."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raft_harness.process import clean_environment, server_binary


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    code: int
    out: str
    err: str

    def one_line_error(self) -> str:
        """The one clear line of a usage or configuration error."""
        assert self.code == 2, self
        assert self.out == "", self
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        return lines[0]


def run(
    command: Sequence[str | Path],
    directory: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 30,
) -> Done:
    """A command line, to its end."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=directory,
        env={**clean_environment(), **(env or {})},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def raft_server(
    *arguments: str | Path,
    directory: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 30,
) -> Done:
    """`raft-server ARGUMENTS…`, to its end."""
    return run([server_binary(), *arguments], directory, env, stdin, timeout)
