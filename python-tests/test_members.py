"""Members come and go while the cluster serves."""

import json
import random
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Joining, Unreachable, eventually
from raft_harness.clients import KEYS, Crowd, RoamingClient, send
from raft_harness.cluster import Node
from raft_harness.history import History, Operation, assert_it_bites, check
from raft_harness.http import Http
from raft_harness.load import Load, Outcome
from raft_harness.ports import free_ports
from raft_harness.process import clean_environment, server_binary
from raft_harness.shell import raft_server


def newcomer(cluster: Cluster, node_id: str) -> Joining:
    """Started, with the running members for those it asks."""
    node = Joining(cluster, node_id, free_ports(1)[0])
    node.start()
    cluster.nodes.append(node)
    return node


def roles(node: Node) -> dict[str, str]:
    members: list[dict[str, Any]] = node.http.get("/api/members").ok()["members"]
    return {member["node_id"]: member["role"] for member in members}


def wait_for_roles(node: Node, wanted: dict[str, str]) -> None:
    def as_wanted() -> bool:
        try:
            return roles(node) == wanted
        except (Unreachable, AssertionError):
            return False

    eventually(as_wanted, f"{node} knows the members as {wanted}", 30)


def voters(*ids: str) -> dict[str, str]:
    return dict.fromkeys(ids, "voter")


def test_a_node_joins_and_a_member_leaves(calm_cluster: Cluster) -> None:
    cluster = calm_cluster
    leader = cluster.wait_for_leader()
    cluster[0].http.set_key("before", 1).ok()
    node = newcomer(cluster, "node_3")
    for member in cluster:
        wait_for_roles(member, voters("node_0", "node_1", "node_2", "node_3"))
    assert node.wait_healthy().http.get_key("before").ok()["value"] == 1
    node.http.set_key("through the new one", 2).ok()

    away = next(member for member in cluster.nodes[:3] if member is not leader)
    # The change before is committed a moment after it is in force, and till then this is a conflict.
    gone = f"/api/members/{away.node_id}"
    answer = eventually(lambda: node.http.request("DELETE", gone).ok(), "the change before to be committed")
    assert answer["success"] is True
    rest = [member for member in cluster if member is not away]
    for member in rest:
        wait_for_roles(member, voters(*(other.node_id for other in rest)))
    assert away.stop() == 0
    for member in rest:
        member.http.set_key("after", member.node_id).ok()
    # Whoever starts again has it from its own log, whatever it is told at its start.
    assert node.stop() == 0
    node.start().wait_healthy()
    wait_for_roles(node, voters(*(other.node_id for other in rest)))


def test_who_was_removed_while_it_was_away_is_told(calm_cluster: Cluster) -> None:
    """Also long after the others have let go of it."""
    cluster = calm_cluster
    leader = cluster.wait_for_leader()
    away = next(member for member in cluster if member is not leader)
    away.kill()
    leader.http.request("DELETE", f"/api/members/{away.node_id}").ok()
    eventually(lambda: away.node_id not in leader.status()["peers"], "the leader has let go of it")
    away.start().wait_answering()

    def told() -> bool:
        return [reason["code"] for reason in away.why()["reasons"]] == ["removed"]

    eventually(told, f"{away} knows that it was removed")
    term = leader.status()["term"]
    leader.http.set_key("on", 1).ok()
    assert leader.status()["term"] == term


def test_what_cannot_be_is_declined(calm_cluster: Cluster) -> None:
    leader = calm_cluster.wait_for_leader()
    http = calm_cluster.others(leader)[0].http
    for body in [
        {},
        {"node_id": "x"},
        {"node_id": "x", "address": "nowhere"},
        {"node_id": "a b", "address": "h:1"},
        {"node_id": "x", "promote": True, "priority": 1},
        {"node_id": "x", "address": "h:1", "replaces": "node_0", "learner": True},
        {"node_id": "x", "priority": 256},
    ]:
        assert http.post("/api/members", body).code == "bad_request", body
    for body, reason in [
        ({"node_id": "x", "promote": True}, "no_such_member"),
        ({"node_id": "node_0", "address": "127.0.0.1:1"}, "already_member"),
        ({"node_id": "x", "address": "127.0.0.1:1", "replaces": "y"}, "no_such_member"),
    ]:
        reply = http.post("/api/members", body)
        assert (reply.status, reply.code, reply.json()["reason"]) == (409, "conflict", reason), reply.body
    assert http.request("DELETE", "/api/members/nobody").json()["reason"] == "no_such_member"
    assert roles(leader) == voters("node_0", "node_1", "node_2")


def test_a_second_change_waits_its_turn_and_is_told_so(calm_cluster: Cluster) -> None:
    """One that is added and does not come is under way until it is taken back."""
    calm_cluster.wait_for_leader()
    http = calm_cluster[0].http
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    late = http.post("/api/members?timeout_ms=500", {"node_id": "late", "address": nobody})
    assert late.code == "timeout", late.body
    wait_for_roles(calm_cluster[0], {**voters("node_0", "node_1", "node_2"), "late": "learner"})
    second = http.post("/api/members", {"node_id": "second", "address": "127.0.0.1:9"})
    assert (second.status, second.code) == (409, "conflict"), second.body
    assert "under way" in second.json()["detail"]
    http.request("DELETE", "/api/members/late").ok()
    wait_for_roles(calm_cluster[0], voters("node_0", "node_1", "node_2"))


def test_no_change_loses_the_quorum_by_accident(calm_cluster: Cluster) -> None:
    leader = calm_cluster.wait_for_leader()
    gone, other = calm_cluster.others(leader)
    gone.kill()

    def declined() -> bool:
        reply = leader.http.request("DELETE", f"/api/members/{other.node_id}")
        return bool(reply.status == 409 and reply.json()["reason"] == "would_lose_quorum")

    eventually(declined, "it would lose the quorum")
    assert roles(leader) == voters("node_0", "node_1", "node_2")
    leader.http.request("DELETE", f"/api/members/{gone.node_id}").ok()
    wait_for_roles(other, voters(leader.node_id, other.node_id))


def test_a_leader_that_removes_itself(calm_cluster: Cluster) -> None:
    leader = calm_cluster.wait_for_leader()
    others = calm_cluster.others(leader)
    leader.http.request("DELETE", f"/api/members/{leader.node_id}").ok()
    for other in others:
        wait_for_roles(other, voters(*(member.node_id for member in others)))
        other.set_eventually("led by another", other.node_id)
    assert leader.stop() == 0


def test_the_shell(calm_cluster: Cluster) -> None:
    calm_cluster.wait_for_leader()
    endpoints = ["--endpoints", calm_cluster.endpoints]
    table = raft_server("client", "members", *endpoints).out.split()
    assert table[:4] == ["NODE", "ADDRESS", "ROLE", "PRIORITY"]
    assert table[4:8] == ["node_0", calm_cluster[0].address, "voter", "0"]
    node = newcomer(calm_cluster, "node_3")
    wait_for_roles(node, voters("node_0", "node_1", "node_2", "node_3"))
    said = raft_server("client", "members", "priority", "node_3", "7", *endpoints)
    assert said.out.startswith("done, configuration at log index "), said
    found = json.loads(raft_server("client", "members", "--output", "json", *endpoints).out)
    assert next(member for member in found["members"] if member["node_id"] == "node_3")["priority"] == 7
    said = raft_server("client", "members", "remove", "node_3", *endpoints)
    assert said.code == 0, said
    said = raft_server("client", "members", "remove", "node_3", *endpoints)
    assert (said.code, "node_3 is not a member" in said.one_line_error()) == (2, True), said


def test_a_member_moves(calm_cluster: Cluster) -> None:
    """Started at another address, it says so to the others, and the log has it from then on."""
    leader = calm_cluster.wait_for_leader()
    moved, other = calm_cluster.others(leader)
    assert moved.stop() == 0
    moved.port = free_ports(1)[0]
    moved.http = Http(moved.host, moved.port)
    moved.start().wait_healthy()

    def is_known() -> bool:
        members = other.http.get("/api/members").ok()["members"]
        return moved.address in [member["address"] for member in members]

    eventually(is_known, f"{moved} is known at its new address", 20)
    moved.http.set_key("from the new address", 1).ok()


def test_a_client_outlives_the_nodes_it_was_made_with(calm_cluster: Cluster) -> None:
    calm_cluster.wait_for_leader()
    given = calm_cluster.nodes[:2]
    for name in ("node_3", "node_4"):
        node = newcomer(calm_cluster, name)
        eventually(partial(voting, calm_cluster, node), f"{node} votes", 60)
    command = [str(server_binary()), "client", "--endpoints", ",".join(node.address for node in given)]
    shell = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    asks, answers = shell.stdin, shell.stdout
    assert asks is not None
    assert answers is not None

    def say(line: str) -> str:
        asks.write(f"{line}\n")
        asks.flush()
        return answers.readline()

    try:
        # It looks who leads every two seconds while it is used, and learns of the members by that.
        began = time.monotonic()
        while time.monotonic() - began < 5:
            assert say("set k before").startswith("set, revision ")
        for old in given:
            leave(calm_cluster, old)
            calm_cluster.nodes.remove(old)
            old.stop()
        calm_cluster.wait_for_leader()
        assert say("set k after --timeout 20000").startswith("set, revision ")
    finally:
        asks.close()
        shell.wait(20)
    assert calm_cluster[0].http.get_key("k").ok()["value"] == "after"


def read_all(cluster: Cluster, history: History) -> None:
    """Reads every key of the history through every node."""
    for node in cluster:
        for key in KEYS:
            operation = history.begin(Operation(f"end-{node.node_id}", "get", key))
            history.end(operation, send(node.http, operation, 5000))
            assert operation.outcome is Outcome.ACKED, operation


@pytest.mark.deadline(300)
def test_every_machine_is_replaced_under_load(
    make_cluster: MakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 → 5 → 3: all original members are gone at the end, and nothing that was acknowledged is. What clients
    saw all the while is linearizable."""
    cluster = make_cluster().start()
    cluster.wait_for_leader()
    original = list(cluster.nodes)
    gaps = Gaps(cluster)
    dice = random.Random(7)
    history, file = History(), tmp_path / "history.jsonl"
    clients = Crowd([RoamingClient(f"roaming-{n}", cluster, history, 7) for n in range(6)])
    with Load(cluster.nodes) as load, gaps, clients:
        load.wait_for_progress(30)
        for number in (3, 4):
            node = newcomer(cluster, f"node_{number}")
            eventually(partial(voting, cluster, node), f"{node} votes", 60)
            kill_one(cluster, dice)
        everybody = list(cluster.nodes)
        for away, another in zip(original, (5, None, None), strict=True):
            if another is not None:
                node = newcomer(cluster, f"node_{another}")
                eventually(partial(voting, cluster, node), f"{node} votes", 60)
                everybody.append(node)
            leave(cluster, away)
            cluster.nodes.remove(away)
            load.speak_to(cluster.nodes)
            if away.running:
                away.stop()
            kill_one(cluster, dice)
        load.wait_for_progress(50)
    assert not set(original) & set(cluster.nodes)
    for member in cluster:
        wait_for_roles(member, voters(*(each.node_id for each in cluster)))
    read_all(cluster, history)
    history.write(file)
    verdict = check(file)
    store = {key: value for key, value in cluster.assert_stores_equal().items() if key not in KEYS}
    tally = load.assert_nothing_lost(store)
    with capsys.disabled():
        print(f"\nthe longest time without an acknowledged write was {gaps.longest * 1000:.0f} ms; {tally}")
        print(f"history of {len(history.operations):,} operations: {verdict.stdout.strip()[-1000:]}")
    assert verdict.returncode == 0, f"{file}: {verdict.stdout[-5000:]}{verdict.stderr}"
    assert len(history.acked_writes) > 100, "too little was acknowledged to say anything"
    assert_it_bites(history, tmp_path / "tampered.jsonl")


def voting(cluster: Cluster, node: Node) -> bool:
    try:
        return any(
            roles(member).get(node.node_id) == "voter" for member in cluster.alive if member is not node
        )
    except (Unreachable, AssertionError):
        return False


def leave(cluster: Cluster, away: Node) -> None:
    def gone() -> bool:
        for member in cluster.alive:
            try:
                reply = member.http.request("DELETE", f"/api/members/{away.node_id}?timeout_ms=3000")
            except Unreachable:
                continue
            if reply.status == 200 or (reply.status == 409 and reply.json()["reason"] == "no_such_member"):
                return True
        return False

    eventually(gone, f"{away} leaves", 60)


def kill_one(cluster: Cluster, dice: random.Random) -> None:
    node = dice.choice(cluster.alive)
    node.kill()
    node.start().wait_healthy()


class Gaps:
    """How long no write was acknowledged at a time, by one that writes all the time to whoever answers."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.longest = cluster, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Gaps":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.cluster.alive[0].http.delete_key("gap").ok()

    def _write(self) -> None:
        last, number = time.monotonic(), 0
        while not self._stop.is_set():
            number += 1
            for node in self.cluster.alive:
                try:
                    reply = Http(node.host, node.port).set_key("gap", number, timeout=1)
                except Unreachable:
                    continue
                if reply.status == 200:
                    now = time.monotonic()
                    self.longest, last = max(self.longest, now - last), now
                    break
            time.sleep(0.005)
