"""Snapshots of real nodes: the log is let go of while clients write; what is left is enough for a restart."""

import random
from functools import partial
from pathlib import Path

from conftest import MakeCluster
from raft_harness import Cluster, Node, eventually
from raft_harness.load import Load

MIB = 1 << 20
# Two snapshots of four values, the log after the first of them, and a segment made ahead.
DISK = 80 * MIB


def disk_use(node: Node) -> int:
    """Bytes in the data directory, but for the recording."""
    files = (path for path in node.data.rglob("*") if "recording" not in path.parts)
    return sum(_size(path) for path in files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def write_values(cluster: Cluster, count: int, dice: random.Random) -> dict[str, str]:
    """Values of almost a MiB, by turns through all nodes; what must be there then."""
    expected = {}
    for n in range(count):
        key, value = f"large/{n % 4}", f"{dice.getrandbits(4 * (MIB - 100)):x}"
        cluster[n % len(cluster)].http.set_key(key, value).ok()
        expected[key] = value
    return expected


def has_let_go(node: Node) -> bool:
    return node.status()["first_log_index"] > 100 and disk_use(node) < DISK


def hashes(cluster: Cluster) -> set[tuple[int, str]]:
    found = [node.status() for node in cluster.alive]
    return {(status["last_applied"], status["applied_hash"]) for status in found}


def test_disk_use_is_bounded_and_a_restart_finds_the_same_state(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3, arguments=["--snapshot-mib", "8"]).start()
    dice = random.Random(7)
    cluster[0].http.post(
        "/api/set", {"key": "once", "value": 1}, headers={"Idempotency-Key": "order 17"}
    ).ok()
    expected = write_values(cluster, 160, dice)
    for node in cluster:
        eventually(partial(has_let_go, node), "the log to be let go of", 20)
        status = node.status()
        assert status["log_length"] == status["last_log_index"] - status["first_log_index"] + 1
        assert status["first_log_index"] <= status["snapshot_index"] + 1 <= status["last_log_index"] + 1
    print(f"160 MiB written; {[disk_use(node) // MIB for node in cluster]} MiB of disk")

    eventually(lambda: len(hashes(cluster)) == 1, "all to have applied the same")
    follower = cluster.followers()[0]
    follower.kill()
    follower.start().wait_healthy()
    eventually(lambda: len(hashes(cluster)) == 1, "the restarted one to have the same state hash")

    cluster.kill_all()
    cluster.start()
    store = cluster.assert_stores_equal()
    assert {key: store[key] for key in expected} == expected
    again = cluster[1].http.post(
        "/api/set", {"key": "once", "value": 1}, headers={"Idempotency-Key": "order 17"}
    )
    assert again.ok()["revision"] < 10, "the session is in the snapshot: it was done once"


def test_nothing_is_lost_when_all_are_killed_while_they_take_snapshots(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3, arguments=["--snapshot-mib", "1"]).start()
    dice = random.Random(8)
    with Load(cluster.nodes, writers=4) as load:
        for _ in range(3):
            write_values(cluster, 12, dice)
            load.wait_for_progress(30)
            cluster.kill_all()
            cluster.start()
            cluster.wait_for_leader()
        load.wait_for_progress(30)
    assert all(node.status()["snapshot_index"] > 0 for node in cluster)
    store = cluster.assert_stores_equal()
    print(load.assert_nothing_lost({key: store[key] for key in store if not key.startswith("large/")}))
