#!/usr/bin/env python3
"""Runs the demos of the release binary and writes what they print: docs/demos.md, and README.md's excerpts.

target/venv/bin/python python-tests/regenerate_demos.py
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from raft_harness import Cluster, server_binary

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/demos.md"

README = DOCUMENT.parents[1] / "README.md"

HEAD = """\
# Three demos

What is shown here was printed by the commands, on a machine with {cores} cores;
`python-tests/regenerate_demos.py` runs them again and writes this page. A demo ends with exit
code 0 only when all that it says was observed, and otherwise with 1 and a line that says what
was not.
"""


@dataclass(frozen=True)
class Demo:
    """One of them."""

    title: str
    about: str
    command: str
    """As a user types it, without `raft-server`."""
    needs_cluster: bool = False


DEMOS = [
    Demo(
        "Basic operations",
        """\
Against a cluster that runs already (`raft-server cluster` starts one): set, get and delete,
values that keep their type, any node for any request, linearizable and stale reads. Its keys
begin with `raft-demo/`, and are deleted at the end.""",
        "client demo",
        needs_cluster=True,
    ),
    Demo(
        "Failover",
        """\
Three servers of its own. The leader is killed again and again while clients write, then paused:
who leads next, how long no write was acknowledged, and that whatever was acknowledged is there.
`--nodes 5` shows it with five servers, `--rounds N` more often.""",
        "demo failover",
    ),
    Demo(
        "Consistency",
        """\
Three servers of its own, which reach each other through relays that the demo can silence, as a
network that drops packets would. The leader is cut off while its process and its clients live
on; then the network is healed.""",
        "demo consistency",
    ),
]


def run(demo: Demo) -> str:
    """What the demo prints; it has to end well."""
    with tempfile.TemporaryDirectory() as directory:
        if not demo.needs_cluster:
            return _output(demo, {})
        with Cluster(Path(directory)) as cluster:
            cluster.start()
            return _output(demo, {"RAFT_ENDPOINTS": cluster.endpoints})


def _output(demo: Demo, env: dict[str, str]) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAFT_")}
    command = [str(server_binary()), *demo.command.split()]
    done = subprocess.run(
        command, env={**clean, **env}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{demo.command}: {done}"
    return done.stdout


def page(outputs: list[str]) -> str:
    """The document."""
    parts = [HEAD.format(cores=os.cpu_count())]
    for demo, output in zip(DEMOS, outputs, strict=True):
        parts.append(
            f"## {demo.title}\n\n{demo.about}\n\n```console\n$ raft-server {demo.command}\n{output}```\n"
        )
    return "\n".join(parts)


def documented(demo: Demo) -> str:
    """What the document says that the demo prints."""
    _, found, rest = DOCUMENT.read_text().partition(f"```console\n$ raft-server {demo.command}\n")
    assert found, f"{DOCUMENT} does not show raft-server {demo.command}"
    return rest.partition("```\n")[0]


def normal(line: str) -> str:
    """Without what differs from run to run."""
    for pattern, instead in (
        (r"\S*raft-demo-\w+", "DIRECTORY"),
        (r"\b(leader|follower)\b", "ROLE"),
        (r"nothing yet", "#"),
        (r"\b(timeout|no_leader)\b", "CODE"),
        (r"\d+(\.\d+)?", "#"),
        (r" +", " "),
    ):
        line = re.sub(pattern, instead, line)
    return line.strip()


def excerpt(text: str, demo: Demo) -> list[str]:
    """The lines a page shows of a demo; `…` stands for what it leaves out."""
    _, found, rest = text.partition(f"```console\n$ raft-server {demo.command}\n")
    assert found, f"README.md does not show raft-server {demo.command}"
    return rest.partition("```\n")[0].splitlines()


def renewed(shown: list[str], output: str) -> list[str]:
    """The lines of the output that say what these did, in their order."""
    lines, found = iter(output.splitlines()), []
    for old in shown:
        new = old if old == "…" else next((line for line in lines if normal(line) == normal(old)), None)
        assert new is not None, f"the demo does not say any more: {old!r}. Shorten the excerpt in README.md"
        found.append(new)
    return found


def renew(text: str, demo: Demo, output: str) -> str:
    """The page with the excerpt taken from this output."""
    shown = excerpt(text, demo)
    command = f"$ raft-server {demo.command}\n"
    new = renewed(shown, output)
    return text.replace(command + "\n".join(shown), command + "\n".join(new))


if __name__ == "__main__":
    outputs = [run(demo) for demo in DEMOS]
    DOCUMENT.write_text(page(outputs))
    readme = README.read_text()
    for demo, output in zip(DEMOS, outputs, strict=True):
        readme = renew(readme, demo, output)
    README.write_text(readme)
    print(f"wrote {DOCUMENT} and {README}")
