"""The Python that README and docs show runs verbatim: in a network of its own, with its documented ports,
beside those nodes of the documented cluster that it does not start itself.

RAFT_README_PYTHON names another interpreter to run it with, such as that of a fresh environment after
`pip install .`. Blocks that begin with the name of a file belong to the commands of their page.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raft_harness import Process
from raft_harness.namespaces import why_not
from raft_harness.pages import FILE, matches
from raft_harness.process import REPOSITORY, server_binary

PYTHON = os.environ.get("RAFT_README_PYTHON", sys.executable)
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
# What a block prints is shown as `# → …` behind the line that prints it; `…` within stands for any text.
SHOWN = re.compile(r"#\s*→ (.*)$", re.MULTILINE)

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def _blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, block in enumerate(
            re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        ):
            if FILE.match(block):
                continue
            yield f"{page.relative_to(REPOSITORY)}-{number}", block


def _run(block: str, directory: Path) -> tuple[int, list[str]]:
    """Runs a block; its exit code, and the lines it printed."""
    (directory / "block.py").write_text(block)
    started = set() if "peers=" in block else set(re.findall(r"RaftNode\(\"node_(\d)\"", block))
    beside = [] if "peers=" in block else sorted({"0", "1", "2"} - started)
    lines = ["ip link set lo up", "trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    lines += [f"{server_binary()} node_{n} 1200{n} >node_{n}.log 2>&1 &" for n in beside]
    lines += [f"{PYTHON} -u block.py"]
    process = Process(["unshare", "--net", "bash", "-c", "\n".join(lines)], directory / "log", directory)
    try:
        return process.wait(60), process.output().splitlines()
    finally:
        process.kill()


def _check(block: str, directory: Path) -> None:
    code, printed = _run(block, directory)
    assert code == 0, "\n".join([block, *printed])
    later = iter(printed)
    for line in SHOWN.findall(block):
        found = any(matches([line], [one]) for one in later)
        assert found, "\n".join([f"{line!r} was not printed, or not in this order:", *printed])


@pytest.mark.parametrize(("name", "block"), [pytest.param(*pair, id=pair[0]) for pair in _blocks()])
def test_a_block_runs_and_prints_what_it_says(name: str, block: str, tmp_path: Path) -> None:
    assert name
    _check(block, tmp_path)


NODE = """
from raft_py import RaftNode
node = RaftNode("node_0", 12000).start()
node.set("name", "Raft Cluster")
print(node.get("name"))  # → Raft Cluster
node.stop()
"""
CLIENT = """
from raft_py import RaftClient
with RaftClient() as client:
    client.set("n", 1)
    print(client.get("n"))  # → 1
"""


@pytest.mark.parametrize("block", [NODE, CLIENT], ids=["node", "client"])
def test_the_contracts_lines_run_verbatim(block: str, tmp_path: Path) -> None:
    _check(block, tmp_path)


def test_what_is_not_printed_is_found(tmp_path: Path) -> None:
    wrong = CLIENT.replace("# → 1", "# → 2")
    with pytest.raises(AssertionError, match="was not printed"):
        _check(wrong, tmp_path)
