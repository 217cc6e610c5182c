"""What a page of the documentation shows, run: each command, and what it prints.

A heading of the second level begins a session: an empty directory, which is HOME, and a network and processes
of its own, so that the documented ports are free. In it

- each line of a `sh` block runs in a terminal of its own, until the session ends;
- each `$` line of a `console` block runs in one shell, one after the other; what it prints stands below it;
- a block that begins with a comment of a file's name is that file.

The binaries are those that were built: `cargo run` and `raft-ffi/install` build nothing here.

    python -m raft_harness.pages PAGE     runs a page, and writes what it prints where that has changed
"""

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from raft_harness.process import REPOSITORY, Process, server_binary

# What a session finds of the repository.
LINKED = ["Cargo.toml", "LICENSE", "check", "examples", "include", "raft-ffi"]
CARGO = """#!/bin/sh
case "$1 $2 $3" in "run --release --") shift 3; exec raft-server "$@";; esac
echo "cargo stands for a build that was made already: $*" >&2; exit 2
"""
DOCUMENTED = [f"raft-server node_{n} 1200{n}" for n in range(3)]
FILE = re.compile(r"(?:#|//|/\*) ([\w-]+\.[a-z]+)\b")
FENCE = re.compile(r"```(\w*)$")


@dataclass
class Step:
    """A command, and the lines it is said to print; `first` to `last` are their numbers in the page."""

    command: str
    first: int
    shown: list[str] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.first + len(self.shown)


@dataclass
class Session:
    """What runs in one network."""

    title: str
    parts: list[tuple[str, str]] = field(default_factory=list)
    """Files as name and content, terminals as "" and command, steps as "$" and command; in their order."""
    steps: list[Step] = field(default_factory=list)


def sessions(page: Path) -> list[Session]:
    """The sessions of a page that have something to run."""
    found = [Session("top")]
    lines = page.read_text().splitlines()
    for language, start, end in _blocks(lines):
        for line in lines[start - 1 :: -1]:
            if line.startswith("## "):
                if found[-1].title != line[3:]:
                    found.append(Session(line[3:]))
                break
        _take(found[-1], language, lines[start:end], start)
    return [session for session in found if session.parts]


def _blocks(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Each fenced block: its language, the number of its first line, and of the fence after it."""
    start, language = 0, ""
    for number, line in enumerate(lines):
        if start and line == "```":
            yield language, start, number
            start = 0
        elif not start and (fence := FENCE.match(line)):
            start, language = number + 1, fence[1]


def _take(session: Session, language: str, lines: list[str], start: int) -> None:
    name = FILE.match(lines[0]) if lines else None
    if language == "console":
        _take_console(session, lines, start)
    elif language == "sh":
        session.parts += [("", line) for line in lines if not line.startswith("#")]
    elif name:
        session.parts.append((name[1], "\n".join([*lines, ""])))


def _take_console(session: Session, lines: list[str], start: int) -> None:
    for number, line in enumerate(lines, start + 1):
        step = session.steps[-1] if session.steps else None
        if line.startswith("$ "):
            session.steps.append(Step(line[2:], number))
            session.parts.append(("$", line[2:]))
        elif line.startswith("> ") and step and not step.shown:
            step.command += "\n" + line[2:]
            step.first = number
            session.parts[-1] = ("$", step.command)
        else:
            assert step, f"line {number} belongs to no command: {line}"
            step.shown.append(line)


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines are the same. `…` stands for any text, and alone on a line for any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def differences(
    session: Session, printed: list[list[str]], general: Callable[[str], str] = str
) -> list[tuple[Step, list[str]]]:
    """The steps that printed something else than they are said to, after `general` on every line."""
    return [
        (step, lines)
        for step, lines in zip(session.steps, printed, strict=True)
        if not matches(list(map(general, step.shown)), list(map(general, lines)))
    ]


def told(found: list[tuple[Step, list[str]]]) -> str:
    """Differences, for people."""
    parts = []
    for step, printed in found:
        parts += [f"line {step.first}: $ {step.command}", "-- is said to print", *step.shown]
        parts += ["-- prints", *printed, ""]
    return "\n".join(parts)


def run(session: Session, directory: Path, timeout: float = 60) -> list[list[str]]:
    """Runs a session; what each of its steps printed."""
    home, answers = directory / "home", directory / "printed"
    for path in (home, answers, directory / "bin"):
        path.mkdir(parents=True)
    for name in LINKED:
        (home / name).symlink_to(REPOSITORY / name)
    (directory / "bin/raft-server").symlink_to(server_binary())
    (directory / "bin/cargo").write_text(CARGO)
    (directory / "bin/cargo").chmod(0o755)
    (directory / "script").write_text(_script(session, directory))
    isolated = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = Process([*isolated, "bash", directory / "script"], directory / "log", home)
    try:
        code = process.wait(timeout)
    finally:
        process.kill()
    assert code == 0, f"{session.title}: the shell ended with {code}: {process.output()}"
    texts = [(answers / str(number)).read_bytes() for number in range(len(session.steps))]
    return [text.decode(errors="replace").splitlines() for text in texts]


def _script(session: Session, directory: Path) -> str:
    path = [directory / "bin", Path(sys.executable).parent, os.environ.get("PATH", "/usr/bin:/bin")]
    lines = [
        "unset ${!RAFT_*} COLUMNS LINES",
        f"export HOME={shlex.quote(str(directory / 'home'))} PATH={shlex.quote(':'.join(map(str, path)))}",
        f"export CARGO_TARGET_DIR={shlex.quote(str(REPOSITORY / 'target'))}",
        f"export PROFILE={shlex.quote(os.environ.get('RAFT_C_PROFILE', 'release'))}",
        "ip link set lo up",
    ]
    terminals = steps = 0
    for kind, text in session.parts:
        if kind == "$":
            command = text.replace("raft-ffi/install", "raft-ffi/install --no-build")
            lines.append(f"{{ {command}\n}} >../printed/{steps} 2>&1 </dev/null")
            steps += 1
        elif kind:
            (directory / "home" / kind).write_text(text)
        else:
            lines += [f"{{ {text}\n}} >../terminal{terminals} 2>&1 </dev/null &", _runs(text, terminals)]
            terminals += 1
            if text == DOCUMENTED[-1]:
                lines += [_until(f"curl -sf -o /dev/null localhost:1200{n}/health") for n in range(3)]
    return "\n".join([*lines, "exit 0", ""])


def _runs(command: str, terminal: int) -> str:
    """Waits as a reader does: until the node answers, or the cluster says that it runs."""
    if port := re.search(r" (\d{4,5})\b", command):
        return _until(f"curl -s -o /dev/null localhost:{port[1]}/health")
    return _until(f"grep -q 'Ctrl-C stops' ../terminal{terminal}")


def _until(command: str) -> str:
    return f"for n in {{1..500}}; do {command} && break; sleep 0.02; done"


def rewrite(page: Path) -> int:
    """Runs a page, and puts what was printed where something else stands; how many places that were."""
    lines, count = page.read_text().splitlines(), 0
    changed: list[tuple[Step, list[str]]] = []
    for session in sessions(page):
        with tempfile.TemporaryDirectory() as directory:
            changed += differences(session, run(session, Path(directory)))
    for step, printed in sorted(changed, key=lambda change: change[0].first, reverse=True):
        lines[step.first : step.last] = [line.rstrip() for line in printed]
        count += 1
    page.write_text("\n".join([*lines, ""]))
    return count


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {rewrite(Path(name))} places written anew")
