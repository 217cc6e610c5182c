"""Disks that hang, fail and fill up under a leader: others go on, and it says so."""

import time
from functools import partial

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Node, eventually
from raft_harness.load import Load
from raft_harness.sick_disk import SickCluster, SickNode, SmallDiskCluster, SmallDiskNode

RECORD_LITTLE = ("--record-mib", "4")
LARGE = "x" * 200_000


def _start(make_cluster: MakeCluster) -> tuple[SickCluster, SickNode]:
    cluster = make_cluster(kind=SickCluster).start()
    assert isinstance(cluster, SickCluster)
    leader = cluster.sick(cluster.wait_for_leader())
    for n in range(20):
        leader.http.set_key(f"before/{n}", n).ok()
    return cluster, leader


def _assert_nothing_lost(cluster: Cluster, load: Load) -> None:
    store = cluster.assert_stores_equal()
    print(load.assert_nothing_lost({key: store[key] for key in store if key[:2] in ("u/", "c/")}))


def _until_another_leads(cluster: Cluster, leader: Node) -> float:
    """Seconds until another node has acknowledged a write as the leader."""
    begun = time.monotonic()
    others = cluster.others(leader)

    def acknowledged() -> bool:
        for node in others:
            status = node.status()
            if status["state"] == "leader":
                return node.http.set_key("after", "the leader's disk", timeout=1).status == 200
        return False

    eventually(acknowledged, "another leader acknowledges a write", interval=0.002)
    return time.monotonic() - begun


def test_a_hung_disk_hands_over(make_cluster: MakeCluster) -> None:
    """The leader's fsync is held back for ten seconds."""
    cluster, leader = _start(make_cluster)
    with Load(cluster.nodes, timeout=5.0) as load:
        load.wait_for_progress(50)
        leader.disk("hang")
        took = _until_another_leads(cluster, leader)
        hung_since = time.monotonic()
        print(f"another leader acknowledged a write {took * 1000:.0f} ms after the disk hung")
        assert took < 1.0
        why = eventually(
            lambda: [reason for reason in leader.why()["reasons"] if reason["code"] == "disk_hung"],
            "the node says what is the matter",
        )
        assert why[0]["node_id"] == leader.node_id
        assert "disk has not answered" in leader.said()
        # Writes to the node itself go on through the new leader.
        leader.http.set_key("by the node with the hung disk", 1).ok()
        load.wait_for_progress(200)
        term = cluster.wait_for_leader().status()["term"]
        time.sleep(max(0.0, 10 - (time.monotonic() - hung_since)))
        assert leader.status()["state"] == "follower"
        assert leader.codes() == ["disk_hung"]
        leader.disk_recovers()
        eventually(lambda: leader.codes() == [], "nothing is the matter any more")
        assert cluster.wait_for_leader().status()["term"] == term, "its return disturbs nobody"
        load.wait_for_progress(50)
    _assert_nothing_lost(cluster, load)


def test_a_follower_with_a_hung_disk_does_not_stand(make_cluster: MakeCluster) -> None:
    cluster, leader = _start(make_cluster)
    follower, other = (cluster.sick(node) for node in cluster.others(leader))
    follower.disk("hang")
    leader.http.set_key("k", 1).ok()
    eventually(lambda: follower.codes() == ["disk_hung"], "it says so")
    leader.kill()
    # Its vote is needed, and it cannot store one.
    reply = other.http.post("/api/set?timeout_ms=1000", {"key": "k", "value": 2})
    assert (reply.status, reply.code) == (503, "no_leader")
    assert any("could not store a vote" in reason["detail"] for reason in other.why()["reasons"])
    follower.disk_recovers()
    other.set_eventually("k", 3)
    leader.start().wait_healthy()
    assert cluster.assert_stores_equal()["k"] == 3


def test_a_failing_disk_makes_way(make_cluster: MakeCluster) -> None:
    """A flush fails: the leader stops for good, and the others know at once."""
    cluster, leader = _start(make_cluster)
    # A node that has failed says so (503 `failed`), and what became of a write to it nobody knows.
    with Load(cluster.others(leader), timeout=5.0) as load:
        load.wait_for_progress(50)
        leader.disk("eio")
        took = _until_another_leads(cluster, leader)
        print(f"another leader acknowledged a write {took * 1000:.0f} ms after the disk failed")
        assert took < 1.0
        process = leader.process
        assert process is not None
        assert process.wait(10) == 1
        assert "cannot flush" in leader.said()
        leader.disk_recovers()
        leader.start().wait_healthy()
        load.wait_for_progress(50)
    _assert_nothing_lost(cluster, load)


def _write_mebibytes(node: Node, many: float) -> None:
    for n in range(int(many * (1 << 20) / len(LARGE))):
        node.set_eventually(f"large/{n % 8}", LARGE)


def _is_well(node: SmallDiskNode) -> bool:
    # A snapshot that had no room is taken as soon as there is room.
    return not node.codes()


def _start_small(make_cluster: MakeCluster, size: int) -> tuple[SmallDiskCluster, SmallDiskNode]:
    cluster = make_cluster(size, kind=SmallDiskCluster, arguments=RECORD_LITTLE).start()
    assert isinstance(cluster, SmallDiskCluster)
    for node in cluster:
        eventually(cluster.small(node).has_reserve, "the reserve is taken")
    return cluster, cluster.small(cluster.wait_for_leader())


@pytest.mark.deadline(300)
def test_a_full_disk_hands_over_and_comes_back(make_cluster: MakeCluster) -> None:
    cluster, leader = _start_small(make_cluster, 3)
    with Load(cluster.nodes, timeout=8.0) as load:
        load.wait_for_progress(50)
        leader.disk.fill()
        # The next segment is prepared when half of the first is used.
        _write_mebibytes(leader, 9)
        eventually(lambda: "disk_full" in leader.codes(), "it says that there is no room")
        took = _until_another_leads(cluster, leader)
        print(f"another leader acknowledged a write {took * 1000:.0f} ms after the full disk was told")
        assert took < 1.0
        assert "hands over" in leader.said()
        leader.http.set_key("by the node with the full disk", 1).ok()
        # It follows: in what is left of its segment, then in what the reserve had taken.
        other = cluster.others(leader)[0]
        _write_mebibytes(other, 9)
        assert not leader.has_reserve()
        index = cluster.wait_for_leader().status()["commit_index"]
        eventually(lambda: leader.status()["commit_index"] >= index, "it still follows")
        # Then it cannot, and the others go on.
        _write_mebibytes(other, 20)
        eventually(lambda: "disk_hung" in leader.codes(), "nothing more can be written")
        load.wait_for_progress(50)
        leader.kill()
        leader.start().wait_answering()
        eventually(lambda: "disk_full" in leader.codes(), "it starts, and says that there is no room")
        leader.disk.make_room()
        eventually(lambda: leader.codes() == [], "it is back by itself")
        eventually(leader.has_reserve, "the reserve is taken again")
    _assert_nothing_lost(cluster, load)


def test_where_all_disks_are_full_writes_are_refused_and_reads_go_on(make_cluster: MakeCluster) -> None:
    cluster, leader = _start_small(make_cluster, 3)
    leader.http.set_key("k", 1).ok()
    for node in cluster:
        cluster.small(node).disk.fill()

    def refused() -> bool:
        reply = cluster[0].http.set_key("large", LARGE)
        return (reply.status, reply.code) == (503, "disk_full")

    eventually(refused, "a write is refused", 60, interval=0)
    reply = eventually(
        lambda: next((r for r in [cluster[1].http.set_key("k", 2)] if r.code == "disk_full"), None),
        "another node refuses likewise",
    )
    assert "retry-after" in reply.headers
    assert "disk is full" in reply.json()["detail"]
    assert cluster[1].http.get_key("k").ok()["value"] == 1
    for node in cluster:
        cluster.small(node).disk.make_room()
    cluster[1].set_eventually("k", 3)
    for node in cluster:
        small = cluster.small(node)
        eventually(partial(_is_well, small), "nothing is the matter")
    assert cluster.assert_stores_equal()["k"] == 3
