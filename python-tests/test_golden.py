"""Data directories of every version there has been: the command starts from a copy, and has what was in it.

They are kept in `raft-core/tests/golden`, with what they hold in `content.txt`.
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeCluster
from raft_harness import eventually

GOLDEN = Path(__file__).parents[1] / "raft-core" / "tests" / "golden" / "data-directory"
DIRECTORIES = sorted(path.parent for path in GOLDEN.glob("v*/*/identity"))


def binary(hexadecimal: str) -> dict[str, str]:
    return {"$base64": base64.b64encode(bytes.fromhex(hexadecimal)).decode()}


def expected(directory: Path) -> dict[str, Any]:
    """The keys that its part of `content.txt` tells of, as the API shows them."""
    text = (directory.parent / "content.txt").read_text(encoding="utf-8")
    part = next(part for part in text.split("\n\n") if part.startswith(f"{directory.name}/\n"))
    found: dict[str, Any] = {}
    for line in part.splitlines():
        if line.startswith("key "):
            key, kind, value = line.removeprefix("key ").rsplit(" (since ", 1)[0].split(" ", 2)
            found[key] = json.loads(value) if kind == "json" else binary(value)
    assert found, text
    return found


def test_there_are_some() -> None:
    assert {directory.name for directory in DIRECTORIES} == {"whole", "compacted"}


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_command_starts_from_it(directory: Path, make_cluster: MakeCluster) -> None:
    cluster = make_cluster(1)
    node = cluster[0]
    shutil.copytree(directory, node.data)
    cluster.start()
    keys = expected(directory)
    assert node.store() == keys
    assert node.http.get_key("name").json()["value"] == "Raft Cluster", "it reads, not only shows"

    # A command that was given before the copy was made is known: the key was deleted since, and stays so.
    repeated = node.http.set_key("order", 17, headers={"Idempotency-Key": "order-17"}).ok()
    assert repeated["revision"] == 9, repeated
    assert node.store() == keys

    # It goes on as the only voter, where it is reached now.
    node.http.set_key("new", 1).ok()
    members = node.status()["members"]
    assert [(member["node_id"], member["role"]) for member in members] == [("node_0", "voter")]
    eventually(
        lambda: node.status()["members"][0]["address"] == node.address, f"{node} says where it is reached"
    )
    node.kill()
    cluster.start()
    cluster.wait_for_leader()
    assert node.http.get_key("new").ok()["value"] == 1
    assert node.store() == keys | {"new": 1}
