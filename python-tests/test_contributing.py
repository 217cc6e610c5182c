"""CONTRIBUTING.md: the walk leads through files that are there, to what it says is in them."""

import re

from raft_harness.process import REPOSITORY


def test_the_walk_leads_where_it_says() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    walk = text[text.index("## A walk") :]
    steps = re.findall(r"^\| .+ \| `([^`]+)` \| `([^`]+)` \|$", walk, re.MULTILINE)
    assert len(steps) >= 15
    for file, wanted in steps:
        assert wanted in (REPOSITORY / file).read_text(), f"{file} has no {wanted}"


def test_every_file_and_command_named_is_there() -> None:
    for document in ("CONTRIBUTING.md", "README.md", "ARCHITECTURE.md"):
        text = (REPOSITORY / document).read_text()
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (REPOSITORY / target).exists(), f"{document} links to {target}"
        for path in re.findall(r"`((?:raft-core|raft-node|raft-server|python-tests|docs)/[\w/.-]+)`", text):
            assert (REPOSITORY / path).exists(), f"{document} names {path}"
