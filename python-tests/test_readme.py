"""README.md: its commands print what it shows, but for numbers and who leads; its links lead somewhere.

Its Python is run by test_readme_python.py. What the demos print there is an excerpt from docs/demos.md, which
test_demos.py compares with what they print; python-tests/regenerate_demos.py writes both.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest
from raft_harness.c_door import need
from raft_harness.namespaces import why_not
from raft_harness.pages import Session, Step, differences, matches, run, sessions, told
from raft_harness.process import REPOSITORY
from regenerate_demos import DEMOS, README, Demo, documented, excerpt, renew

ELSEWHERE = {"./test", *(f"raft-server {demo.command}" for demo in DEMOS)}
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def _sessions() -> list[Session]:
    """Without what CI itself is, and the demos."""
    found = sessions(README)
    for session in found:
        session.parts = [part for part in session.parts if part[1] not in ELSEWHERE]
        session.steps = [step for step in session.steps if step.command not in ELSEWHERE]
    return [session for session in found if session.steps]


def _general(line: str) -> str:
    """Without what differs from run to run."""
    line = re.sub(r"\S*/\.local", "~/.local", line)
    line = re.sub(r"\bnode_\d\b", "NODE", line)
    line = re.sub(r"\b(leader|follower)\b", "ROLE", line)
    line = re.sub(r"\d+(\.\d+)?", "#", line)
    return re.sub(r" +", " ", line)


@pytest.mark.parametrize("session", _sessions(), ids=lambda session: session.title)
def test_it_shows_what_is_printed(session: Session, tmp_path: Path) -> None:
    need("curl", "cc", "pkg-config")
    found = differences(session, run(session, tmp_path), _general)
    assert not found, told(found)


def test_what_is_not_printed_is_found(tmp_path: Path) -> None:
    step = Step("echo node_0 leads since 7 ms", 1, ["node_1 leads since 8 ms"])
    session = Session("made up", [("$", step.command)], [step])
    printed = run(session, tmp_path)
    assert printed == [["node_0 leads since 7 ms"]]
    assert not differences(session, printed, _general)
    step.shown = ["node_1 follows since 8 ms"]
    assert differences(session, printed, _general)


def test_how_lines_are_compared() -> None:
    printed = ["a 1 b", "c", "d"]
    for shown in (["a … b", "c", "d"], ["…"], ["a…", "…", "d"], ["…", "a 1 b", "…", "d", "…"]):
        assert matches(shown, printed), shown
    for shown in (["a … b", "c"], ["a . b", "c", "d"], ["a…", "d"], ["…", "e"], []):
        assert not matches(shown, printed), shown


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.command)
def test_the_excerpts_are_what_the_demos_print(demo: Demo) -> None:
    shown = excerpt(README.read_text(), demo)
    assert len(shown) > 3
    assert "…" in shown
    assert matches(shown, documented(demo).splitlines()), "run python-tests/regenerate_demos.py"


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.command)
def test_the_excerpts_can_be_renewed(demo: Demo) -> None:
    text, output = README.read_text(), documented(demo)
    assert renew(text, demo, output) == text
    other = re.sub(r"\b7\b|\d+\.\d", "77.7", output.replace("set 1;", "set 1; set 1;"))
    assert matches(excerpt(renew(text, demo, other), demo), other.splitlines())


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "bench/README.md"]
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in _anchors(target), f"{page.name}: {link}"


def test_the_first_two_commands(tmp_path: Path) -> None:
    """A cluster with its dashboard first, then all tests: what a stranger pastes."""
    cluster = "cargo run --release -- cluster"
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks[:2] == [("sh", cluster + "\n"), ("sh", "./test\n")]
    assert os.access(REPOSITORY / "test", os.X_OK)
    manifest = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())
    assert manifest["workspace"]["default-members"] == ["raft-server"], "or cargo run asks which"
    session = Session("first", [("", cluster)])
    for command in ("raft-server client set a b", "curl -s localhost:8080 | grep -o '<title>.*</title>'"):
        session.parts.append(("$", command))
        session.steps.append(Step(command, 1))
    written, title = run(session, tmp_path)
    assert written[0].startswith("set, revision ")
    assert len(title) == 1
