"""A member whose data directory was wiped comes back. It may have forgotten a vote, so it must not vote until
the others have made a learner of it, it has caught up, and a change of the configuration lets it.

RAFT_WIPES sets at how many moments (4; 20 for the full proof).
"""

import os
import random
import time

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Node, Unreachable, eventually
from raft_harness.load import Load

WIPES = int(os.environ.get("RAFT_WIPES", "4"))
SEED = int(os.environ.get("RAFT_SEED", "0")) or random.randrange(1, 1 << 30)


# What is wrong, what it must not do, and both ways out.
WORDS = ["data is gone", "must not vote", "makes a learner of it", "put its original data directory back"]


def assert_it_says_so(wiped: Node) -> None:
    def told() -> bool:
        reasons = [r for r in wiped.why()["reasons"] if r["code"] == "wiped"]
        return any(all(word in f"{r['detail']}. {r['advice']}" for word in WORDS) for r in reasons)

    eventually(told, f"{wiped} says at /api/why that it was wiped, and what to do")
    health = wiped.http.get("/health")
    assert health.status == 503, "without a vote it is not healthy"
    assert health.json()["detail"]
    eventually(lambda: all(word in wiped.said() for word in WORDS), "its log says so too", 15)


def assert_equal(nodes: list[Node]) -> None:
    first, second = nodes
    eventually(lambda: first.store() == second.store(), f"{first} and {second} agree")


def assert_no_vote(wiped: Node) -> None:
    """Never leads, and has no vote of its own."""
    for _ in range(20):
        try:
            status = wiped.status()
        except Unreachable:
            return
        assert status["state"] not in ("leader", "candidate"), status
        assert status["voted_for"] is None, status


def wait_vote(wiped: Node) -> None:
    def votes() -> bool:
        # Before it is known for a learner it takes itself for a follower that may not take part.
        return wiped.why()["ok"] and wiped.status()["state"] in ("follower", "leader")

    eventually(votes, f"{wiped} is no learner any more")


def wait_voting(wiped: Node, leader: Node) -> None:
    """It votes again, and the change that lets it is behind all of them."""
    wait_vote(wiped)
    for value in (1, 2):
        leader.set_eventually("since", value)
    eventually(lambda: wiped.store() == leader.store(), f"{wiped} has all of it")


def test_a_wiped_member_comes_back_by_itself(cluster: Cluster) -> None:
    cluster[0].http.set_key("k", "v").ok()
    cluster.wait_settled()
    leader = cluster.wait_for_leader()
    wiped, survivor = cluster.followers()
    wiped.kill()
    wiped.wipe()
    wiped.start().wait_answering()
    leader.http.set_key("still", "works").ok()
    wait_voting(wiped, leader)
    assert_equal([wiped, survivor])

    # The survivor needs it: two of three elect, and two of three acknowledge.
    leader.kill()
    survivor.set_eventually("again", 1)
    assert_equal([wiped, survivor])
    leader.start().wait_healthy()
    assert_equal([leader, wiped])
    assert leader.store() == {"k": "v", "still": "works", "since": 2, "again": 1}


def test_a_wiped_member_does_not_vote_without_the_others_and_says_why(cluster: Cluster) -> None:
    cluster[0].http.set_key("k", "v").ok()
    cluster.wait_settled()
    leader = cluster.wait_for_leader()
    wiped, survivor = cluster.followers()
    wiped.kill()
    wiped.wipe()
    # The survivor has everything; with the wiped one's vote it would have a majority. It must not get it.
    term = survivor.status()["term"]
    leader.kill()
    wiped.start().wait_answering()
    assert_it_says_so(wiped)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        for node in (survivor, wiped):
            status = node.status()
            assert status["state"] != "leader", f"{node} was elected with the vote of a wiped member"
        assert wiped.status()["voted_for"] is None
    assert survivor.http.post("/api/set?timeout_ms=500", {"key": "no", "value": 1}).status in (503, 504)
    assert survivor.status()["term"] <= term + 1, "a refused candidate does not run up the term (PreVote)"
    why = survivor.why()
    assert not why["ok"]
    assert any(r["node_id"] == wiped.node_id for r in why["reasons"]), why

    leader.start().wait_answering()
    survivor.wait_healthy()
    survivor.set_eventually("again", 1)
    wiped.wait_healthy()
    assert_equal([leader, survivor])
    assert_equal([leader, wiped])
    assert survivor.store() == {"k": "v", "again": 1}


@pytest.mark.deadline(90 + 20 * WIPES)
def test_wiped_at_many_moments_under_load(
    make_cluster: MakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each moment in a cluster of its own: under load, a random member (now and then the leader) is killed,
    wiped and restarted after a random while; sometimes one of the others is killed while it comes back,
    always one once it is back."""
    chance = random.Random(SEED)
    figures = []
    for _ in range(WIPES):
        cluster = make_cluster().start()
        with Load(cluster.nodes, writers=4, pace=0.005, seed=SEED, server_timeout_ms=150) as load:
            load.wait_for_progress(chance.randrange(1, 80))
            wiped = chance.choice(cluster.nodes)
            others = cluster.others(wiped)
            wiped.kill()
            wiped.wipe()
            if chance.random() < 0.5:
                load.wait_for_progress(chance.randrange(1, 40))
            wiped.start().wait_answering()
            if chance.random() < 0.5:
                time.sleep(chance.random() / 2)
                victim = chance.choice(others)
                victim.kill()
                victim.start()
            load.wait_for_progress(20)
            wiped.wait_healthy()
            load.wait_for_progress(20)
            wait_vote(wiped)
            load.wait_for_progress(20)
            victim = chance.choice(others)
            victim.kill()
            load.wait_for_progress(20)
            victim.start()
            load.wait_for_progress(20)
        for node in cluster:
            node.wait_healthy()
        assert_equal([others[0], others[1]])
        assert_equal([others[0], wiped])
        tally = load.assert_nothing_lost(others[0].store())
        figures.append(tally)
        cluster.close()
    acked = sum(tally.acked for tally in figures)
    with capsys.disabled():
        print(f"\nwiped at {WIPES} moments, seed {SEED}: {acked} writes acknowledged, 0 lost, all vote again")
    assert acked > 40 * WIPES
