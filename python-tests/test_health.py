"""Clusters of every documented size come up, elect one leader, and say so."""

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, eventually

STATUS = {
    "node_id": str,
    "state": str,
    "term": int,
    "leader_id": str,
    "leader_address": str,
    "commit_index": int,
    "last_applied": int,
    "applied_hash": str,
    "last_log_index": int,
    "last_log_term": int,
    "log_length": int,
    "snapshot_index": int,
    "first_log_index": int,
    "keys": int,
    "uptime_ms": int,
    "version": str,
    "cluster_id": str,
    "members": list,
    "peers": dict,
}


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_a_cluster_elects_one_leader_and_takes_writes(make_cluster: MakeCluster, size: int) -> None:
    cluster = make_cluster(size).start()
    leader = cluster.wait_for_leader()

    def all_agree() -> bool:
        statuses = [node.status() for node in cluster]
        return (
            {s["leader_id"] for s in statuses} == {leader.node_id}
            and len({s["term"] for s in statuses}) == 1
            and [s["node_id"] for s in statuses if s["state"] == "leader"] == [leader.node_id]
            and all(s["state"] in ("leader", "follower") for s in statuses)
            and len({s["cluster_id"] for s in statuses}) == 1
        )

    eventually(all_agree, f"all {size} nodes agree on one leader and term")
    for n, node in enumerate(cluster):
        node.http.set_key(f"key-{n}", n).ok()
    assert cluster.assert_stores_equal() == {f"key-{n}": n for n in range(size)}


def test_health_says_who_leads(shared_cluster: Cluster) -> None:
    leader = shared_cluster.wait_for_leader()
    for node in shared_cluster:
        health = node.http.get("/health").ok()
        assert health["status"] == "ok"
        assert health["node_id"] == node.node_id
        assert health["leader_id"] == leader.node_id
        assert health["state"] == ("leader" if node is leader else "follower")
        assert isinstance(health["term"], int)
        assert health["term"] > 0


def test_status_has_every_documented_field(shared_cluster: Cluster) -> None:
    leader = shared_cluster.wait_for_leader()
    shared_cluster[0].http.set_key("k", 1).ok()
    shared_cluster.wait_settled()
    assert len({node.status()["applied_hash"] for node in shared_cluster}) == 1
    for node in shared_cluster:
        status = node.status()
        for name, kind in STATUS.items():
            assert isinstance(status[name], kind), f"{name} is {status.get(name)!r}"
        assert status["voted_for"] is None or isinstance(status["voted_for"], str)
        assert status["leader_address"] == leader.address
        members = {(m["node_id"], m["address"]) for m in status["members"]}
        assert members == {(one.node_id, one.address) for one in shared_cluster}


def test_the_leader_tells_how_its_followers_do(shared_cluster: Cluster) -> None:
    leader = shared_cluster.wait_for_leader()
    leader.http.set_key("progress", 1).ok()

    def all_follow() -> bool:
        status = leader.status()
        return status["peers"].keys() == {node.node_id for node in shared_cluster.others(leader)} and all(
            peer["reachable"]
            and peer["match_index"] == status["last_log_index"]
            and peer["next_index"] == peer["match_index"] + 1
            and peer["last_contact_ms"] < 1000
            for peer in status["peers"].values()
        )

    eventually(all_follow, "the leader sees both followers at its last entry")


def test_a_healthy_cluster_has_nothing_to_explain(shared_cluster: Cluster) -> None:
    for node in shared_cluster:

        def content() -> bool:
            why = node.why()  # noqa: B023
            assert {"ok", "summary", "reasons"} <= why.keys()
            return bool(why["ok"]) and why["reasons"] == []

        eventually(content, f"{node} has nothing to explain")


def test_without_a_majority_there_is_no_health_and_a_reason(cluster: Cluster) -> None:
    leader = cluster.wait_for_leader()
    survivor, *rest = cluster.others(leader)
    for node in [leader, *rest]:
        node.kill()
    eventually(lambda: not survivor.is_healthy(), "the survivor knows no leader")
    reply = survivor.http.get("/health")
    assert (reply.status, reply.code) == (503, "no_leader")
    assert "retry-after" in reply.headers

    def explained() -> bool:
        why = survivor.why()
        unreachable = [r for r in why["reasons"] if r["code"] == "peer_unreachable"]
        return (
            not why["ok"]
            and bool(why["summary"])
            and {r["node_id"] for r in unreachable} == {leader.node_id, rest[0].node_id}
            and all(r["detail"] and r["advice"] for r in why["reasons"])
        )

    eventually(explained, "it names both nodes that it cannot reach")
    named = [leader.node_id, rest[0].node_id]
    eventually(lambda: all(n in survivor.said() for n in named), "its log names them too", 15)


def test_metrics_are_prometheus_text(shared_cluster: Cluster) -> None:
    reply = shared_cluster[0].http.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    samples = [line for line in reply.body.decode().splitlines() if line and not line.startswith("#")]
    assert samples
    assert all(line.startswith("raft_") for line in samples), samples
    for line in samples:
        float(line.rsplit(" ", 1)[1])
