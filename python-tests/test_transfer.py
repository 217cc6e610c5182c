"""Leadership is handed over on request, through every door."""

import json
import statistics
import time
from typing import Any

from raft_harness import Cluster, Node, eventually
from raft_harness.load import Load
from raft_harness.shell import raft_server


def leader_of(cluster: Cluster) -> str:
    return str(cluster.wait_for_leader().node_id)


def hand_over(asked: Node, target: Node) -> dict[str, Any]:
    """A leader that is new, or a machine that is busy, may have to be asked again."""

    def answer() -> dict[str, Any] | None:
        reply = asked.http.post("/api/transfer", {"node_id": target.node_id})
        assert reply.status in (200, 409), reply.body
        return reply.json() if reply.status == 200 else None

    found: dict[str, Any] = eventually(answer, f"{target} leads")
    return found


def test_through_any_node_to_the_one_that_is_named(calm_cluster: Cluster) -> None:
    cluster = calm_cluster
    leader_of(cluster)
    for target in cluster:
        for asked in cluster:
            answer = hand_over(asked, target)
            assert (answer["success"], answer["leader_id"]) == (True, target.node_id)
            assert target.status()["state"] == "leader"
            assert target.status()["term"] == answer["term"]


def test_to_anybody_else(calm_cluster: Cluster) -> None:
    before = leader_of(calm_cluster)
    answer = calm_cluster[0].http.post("/api/transfer", {}).ok()
    assert answer["leader_id"] != before
    assert calm_cluster.wait_for_leader().node_id == answer["leader_id"]


def declined(node: Node, target: str) -> str:
    """Why leadership does not go there."""
    reply = node.http.post("/api/transfer", {"node_id": target})
    assert (reply.status, reply.code) == (409, "conflict"), reply.body
    return str(reply.json()["reason"])


def test_what_cannot_be_is_declined_and_changes_nothing(calm_cluster: Cluster) -> None:
    leader = calm_cluster.wait_for_leader()
    gone, asked = calm_cluster.others(leader)
    gone.kill()
    term = leader.status()["term"]
    for node in leader, asked:
        eventually(lambda: declined(node, "nobody") == "no_such_member", f"{node} knows nobody")  # noqa: B023
        eventually(lambda: declined(node, gone.node_id) == "not_connected", f"{node} misses one")  # noqa: B023
    for body in [{"node_id": ""}, {"node_id": "a b"}, {"node_id": 1}, {"to": "node_0"}, []]:
        assert asked.http.post("/api/transfer", body).code == "bad_request"
    assert (leader.status()["state"], leader.status()["term"]) == ("leader", term)


def test_from_the_shell(calm_cluster: Cluster) -> None:
    leader_of(calm_cluster)
    endpoints = ["--endpoints", calm_cluster.endpoints]
    said = raft_server("client", "transfer", "node_1", *endpoints)
    assert (said.code, said.out.startswith("node_1 leads term ")) == (0, True), said
    said = raft_server("client", "transfer", "--output", "json", *endpoints)
    assert json.loads(said.out)["leader_id"] in ("node_0", "node_2"), said
    said = raft_server("client", "transfer", "nobody", *endpoints)
    assert (said.code, "nobody is not a member" in said.one_line_error()) == (2, True), said


def test_under_load_nothing_is_lost(calm_cluster: Cluster) -> None:
    """Leadership goes round twenty times while clients write; how long each took is printed."""
    leader_of(calm_cluster)
    gaps = []
    with Load(calm_cluster.nodes) as load:
        load.wait_for_progress(30)
        for turn in range(20):
            target = calm_cluster[turn % 3]
            began = time.monotonic()
            reply = calm_cluster[(turn + 1) % 3].http.post("/api/transfer", {"node_id": target.node_id})
            if reply.status == 200:
                gaps.append((time.monotonic() - began) * 1000)
            load.wait_for_progress(20)
    assert len(gaps) >= 15
    print(f"leadership was handed over {len(gaps)} times, in {statistics.median(gaps):.1f} ms (median)")
    print(load.assert_nothing_lost(calm_cluster.assert_stores_equal()))
