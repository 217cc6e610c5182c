"""A cluster restored from a backup of another: the state of one log index, whatever is written then."""

import json
import re
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

from conftest import MakeCluster
from raft_harness import Cluster, Joining, Node, eventually
from raft_harness.ports import free_ports
from raft_harness.shell import Done, raft_server


class Writer:
    """Writes keys of its own until it is told to stop, and remembers at which revision each was written."""

    def __init__(self, node: Node) -> None:
        self.node, self.revisions = node, dict[str, int]()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            key = f"{self.node.node_id}/{number}"
            self.revisions[key] = self.node.http.set_key(key, "x" * 20_000).ok()["revision"]
            number += 1

    def __enter__(self) -> "Writer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def snapshots(node: Node) -> list[Path]:
    return sorted(
        path for path in node.data.glob("snapshot-*") if re.fullmatch(r"snapshot-\d{20}", path.name)
    )


def restore(backup: Path, node: Node, code: int = 0) -> Done:
    options = ("--data-dir", node.data, "--output", "json")
    done = raft_server("restore", backup, node.node_id, node.address, *options)
    assert done.code == code, done
    return done


def votes(cluster: Cluster, node: Node) -> bool:
    members = cluster[0].http.get("/api/members").ok()["members"]
    return (node.node_id, "voter") in [(member["node_id"], member["role"]) for member in members]


def test_restored_elsewhere_it_is_the_state_at_one_index(make_cluster: MakeCluster, tmp_path: Path) -> None:
    old = make_cluster(3, arguments=["--snapshot-mib", "1"]).start()
    backup = tmp_path / "backup"
    with Writer(old[0]) as first, Writer(old[1]) as second:
        (taken, *_) = eventually(lambda: snapshots(old[2]), "a snapshot was taken", 30)
        shutil.copy(taken, backup)
        index = int(taken.name.removeprefix("snapshot-"))
        eventually(lambda: old[2].status()["commit_index"] > index + 50, "writes went on", 30)
    written = {**first.revisions, **second.revisions}
    expected = {key for key, revision in written.items() if revision <= index}
    assert 0 < len(expected) < len(written)

    with Cluster(tmp_path / "new", 1) as new:
        told: dict[str, Any] = json.loads(restore(backup, new[0]).out)
        assert told["index"] == index
        assert told["cluster_id"] != old[0].status()["cluster_id"] == told["from_cluster_id"]
        new.start()
        assert new.assert_stores_equal().keys() == expected
        assert new[0].status()["cluster_id"] == told["cluster_id"]
        new[0].set_eventually("more", 1)
        new[0].kill()
        new[0].start().wait_healthy()
        for name, port in zip(("node_1", "node_2"), free_ports(2), strict=True):
            joining = Joining(new, name, port)
            joining.start()
            new.nodes.append(joining)
            eventually(partial(votes, new, joining), f"{joining} votes", 30)
        assert new.assert_stores_equal().keys() == expected | {"more"}
        assert {node.status()["cluster_id"] for node in new} == {told["cluster_id"]}
        new[0].kill()
        new[1].set_eventually("without the first", 1)


def test_what_is_refused(make_cluster: MakeCluster, tmp_path: Path) -> None:
    old = make_cluster(1, arguments=["--snapshot-mib", "1"]).start()
    with Writer(old[0]):
        (taken, *_) = eventually(lambda: snapshots(old[0]), "a snapshot was taken", 30)
    backup = tmp_path / "backup"
    shutil.copy(taken, backup)
    assert "in use by process" in restore(backup, old[0], code=2).one_line_error()
    old.kill_all()
    assert "holds the data of a node already" in restore(backup, old[0], code=2).one_line_error()
    new = Cluster(tmp_path / "new", 1)
    nowhere = raft_server("restore", backup, "node_0", "nowhere", "--data-dir", new[0].data)
    assert "HOST:PORT" in nowhere.one_line_error()
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    assert "backup is damaged at offset" in restore(backup, new[0], code=2).one_line_error()
    backup.write_bytes(content[:1000])
    assert restore(backup, new[0], code=2).one_line_error()
    assert not (new[0].data / "identity").exists()
    assert "cannot read" in restore(tmp_path / "nothing", new[0], code=2).one_line_error()
