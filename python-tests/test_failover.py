"""kill -9 of one node, and the cluster goes on."""

from raft_harness import Cluster, eventually
from raft_harness.load import Load


def test_the_leader_dies_and_another_takes_over(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    for n in range(50):
        cluster[n % 3].http.set_key(f"before/{n}", n).ok()
    leader.kill()
    survivors = cluster.others(leader)
    for n, survivor in enumerate(survivors):
        survivor.set_eventually(f"after/{n}", n)
    new_leader = cluster.wait_for_leader()
    assert new_leader in survivors
    assert new_leader.status()["term"] > term
    for survivor in survivors:
        for n in range(50):
            assert survivor.http.get_key(f"before/{n}").ok()["value"] == n
    leader.start().wait_healthy()
    assert leader.status()["leader_id"] == cluster.wait_for_leader().node_id
    store = cluster.assert_stores_equal()
    assert len(store) == 52


def test_a_follower_dies_and_nobody_notices(calm_cluster: Cluster) -> None:
    cluster = calm_cluster
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    follower, other = cluster.followers()
    follower.kill()
    for n in range(300):
        (leader, other)[n % 2].http.set_key(f"k/{n}", n).ok()
    assert leader.status()["term"] == term, "there was no election"
    why = eventually(
        lambda: [r for r in leader.why()["reasons"] if r["node_id"] == follower.node_id],
        "the leader says that a follower is missing",
    )
    assert why[0]["detail"]
    follower.start().wait_healthy()
    assert len(cluster.assert_stores_equal()) == 300
    assert cluster.wait_for_leader().status()["term"] == term, "its return disturbed nobody"


def test_without_a_majority_nothing_is_acknowledged(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    leader.http.set_key("kept", 1).ok()
    for node in cluster.others(leader):
        node.kill()
    reply = leader.http.post("/api/set?timeout_ms=1500", {"key": "lost", "value": 1})
    assert (reply.status, reply.code) in [(504, "timeout"), (503, "no_leader")]
    read = leader.http.get("/api/get/kept?timeout_ms=1000")
    assert (read.status, read.code) in [(504, "timeout"), (503, "no_leader")]
    assert leader.http.get_key("kept", consistency="stale").ok()["value"] == 1
    cluster.start()
    leader.set_eventually("again", 1)
    assert cluster.assert_stores_equal().items() >= {("kept", 1), ("again", 1)}


def test_writers_survive_leader_after_leader(cluster: Cluster) -> None:
    with Load(cluster.nodes, timeout=8.0) as load:
        for _ in range(3):
            load.wait_for_progress(50)
            leader = cluster.wait_for_leader()
            leader.kill()
            load.wait_for_progress(50)
            leader.start().wait_healthy()
        load.wait_for_progress(50)
    print(load.assert_nothing_lost(cluster.assert_stores_equal()))


def test_sigterm_hands_over_and_loses_nothing(cluster: Cluster) -> None:
    """A clean stop of the leader exits with 0; the others go on without an unknown outcome for new writes."""
    leader = cluster.wait_for_leader()
    leader.http.set_key("k", "v").ok()
    assert leader.stop() == 0
    survivor = cluster.others(leader)[0]
    survivor.http.set_key("k2", "v2").ok()
    leader.start().wait_healthy()
    assert cluster.assert_stores_equal() == {"k": "v", "k2": "v2"}
