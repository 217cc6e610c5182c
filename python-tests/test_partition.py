"""Nodes cut off by a network that drops packets: nobody is told, connections stay open.

A leader cut off from its majority never answers a linearizable read or acknowledges a write; when it comes
back, it follows.
"""

import time

import pytest
from conftest import CALM, MakeCluster
from raft_harness import Node, Unreachable, eventually
from raft_harness.namespaces import HostNode, HttpInside, NamespaceCluster, why_not

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture(params=[()], ids=["default"])
def network(request: pytest.FixtureRequest, make_cluster: MakeCluster) -> NamespaceCluster:
    cluster = make_cluster(3, kind=NamespaceCluster, arguments=request.param)
    assert isinstance(cluster, NamespaceCluster)
    cluster.start()
    cluster.wait_for_leader()
    return cluster


def outcome(node: Node, kind: str, timeout_ms: int = 400) -> tuple[int, object]:
    """Status and value of a read or write; 0 where no answer came."""
    assert isinstance(node, HostNode)
    cluster = node.cluster
    assert isinstance(cluster, NamespaceCluster)
    door = HttpInside(cluster.hub, node.host, node.port, timeout=3)
    try:
        if kind == "read":
            reply = door.get(f"/api/get/k?timeout_ms={timeout_ms}")
        else:
            reply = door.post(f"/api/set?timeout_ms={timeout_ms}", {"key": "k", "value": "from the past"})
    except Unreachable:
        return 0, None
    finally:
        door.close()
    return reply.status, reply.json().get("value")


@pytest.mark.parametrize("network", [(), CALM], indirect=True, ids=["default", "calm"])
def test_a_leader_cut_off_from_its_majority(network: NamespaceCluster) -> None:
    leader = network.wait_for_leader()
    term = leader.status()["term"]
    leader.http.set_key("k", "old").ok()
    majority = network.others(leader)
    network.cut_off(leader)
    cut_at = time.monotonic()

    # From the very first moment, while it still takes itself for the leader: nothing.
    early = [outcome(leader, kind) for kind in ("read", "write", "read", "write")]
    assert all(status in (0, 503, 504) for status, _ in early), early

    majority[0].set_eventually("k", "new")
    assert time.monotonic() - cut_at < 10
    new = eventually(
        lambda: next((n for n in majority if n.status()["state"] == "leader"), None), "a new leader"
    )
    for node in majority:
        assert node.http.get_key("k").ok()["value"] == "new"
    late = [outcome(leader, kind) for kind in ("read", "write") * 3]
    assert all(status in (0, 503, 504) for status, _ in late), late
    assert leader.http.get_key("k", consistency="stale").ok()["value"] == "old", "stale is stale"
    eventually(lambda: leader.status()["state"] != "leader", "it steps down by itself (CheckQuorum)")
    leader.wait_without_leader()
    why = leader.why()
    assert {r["node_id"] for r in why["reasons"]} >= {n.node_id for n in majority}, why
    assert leader.status()["term"] <= new.status()["term"], "cut off, it does not run up the term (PreVote)"

    new_term = new.status()["term"]
    assert new_term > term
    network.heal()
    eventually(lambda: leader.status()["state"] == "follower", "it follows", 15)
    eventually(lambda: leader.status()["leader_id"] in {n.node_id for n in majority}, "one of the others", 15)
    if network.arguments:
        assert new.status()["term"] == new_term, "its return caused no election"
    assert leader.http.get_key("k").ok()["value"] == "new"
    assert network.assert_stores_equal()["k"] == "new"


def test_reads_at_the_moment_of_the_cut(network: NamespaceCluster) -> None:
    """Reads through the old leader go on while it is cut off and another takes a write: none may answer the
    old value once the new one was acknowledged."""
    for n in range(3):
        leader = network.wait_for_leader()
        leader.http.set_key("k", f"old {n}").ok()
        majority = network.others(leader)
        network.cut_off(leader)
        majority[0].set_eventually("k", f"new {n}")
        for _ in range(5):
            status, value = outcome(leader, "read", 200)
            assert status in (0, 503, 504) or value == f"new {n}"
        network.heal()
        network.wait_healthy()
        network.assert_stores_equal()


@pytest.mark.parametrize("network", [CALM], indirect=True, ids=["calm"])
def test_a_follower_cut_off_and_back_disturbs_nobody(network: NamespaceCluster) -> None:
    leader = network.wait_for_leader()
    term = leader.status()["term"]
    follower, other = network.followers()
    network.cut_off(follower)
    follower.wait_without_leader()
    for n in range(100):
        (leader, other)[n % 2].http.set_key(f"k/{n}", n).ok()
    status, _ = outcome(follower, "read")
    assert status in (503, 504)
    network.heal()
    follower.wait_healthy()
    assert len(network.assert_stores_equal()) == 100
    assert network.wait_for_leader().status()["term"] == term


@pytest.mark.parametrize("network", [CALM], indirect=True, ids=["calm"])
def test_a_chain(network: NamespaceCluster) -> None:
    """Leader and one follower lose sight of each other, but both see the third: writes go on, and the
    leadership settles instead of passing to and fro."""
    leader = network.wait_for_leader()
    cut, middle = network.followers()
    network.cut(leader, cut)
    for n in range(50):
        middle.set_eventually(f"k/{n}", n)
    term = middle.status()["term"]
    time.sleep(5)  # some election timeouts in which nothing should happen
    for n in range(50, 60):
        middle.set_eventually(f"k/{n}", n)
    assert middle.status()["term"] <= term + 1
    network.heal()
    network.wait_healthy()
    assert len(network.assert_stores_equal()) == 60


def test_all_cut_from_each_other_and_healed(network: NamespaceCluster) -> None:
    first, second, third = network.nodes
    first.http.set_key("k", 1).ok()
    for one, other in ((first, second), (second, third), (first, third)):
        network.cut(one, other)
    for node in network:
        node.wait_without_leader()
        assert outcome(node, "write")[0] in (503, 504)
    network.heal()
    network.wait_healthy()
    second.set_eventually("k", 2)
    assert network.assert_stores_equal()["k"] in (2, "from the past")
