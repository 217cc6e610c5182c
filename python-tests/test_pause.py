"""SIGSTOP: a leader that is cut off in time. It must not speak from the past when it comes back."""

import threading
import time

from raft_harness import Cluster, Http, Reply, Unreachable, eventually


def test_a_paused_leader_never_answers_from_the_past(cluster: Cluster) -> None:
    """While the leader is paused, requests wait in its sockets, and another leader overwrites the key. What
    the old one answers when it wakes up may be an error or the new value, never the old value."""
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    leader.http.set_key("k", "old").ok()
    leader.pause()
    answers: list[tuple[str, Reply | None]] = []

    def ask(kind: str) -> None:
        door = Http(leader.host, leader.port, timeout=20)
        try:
            reply = door.get_key("k") if kind == "read" else door.set_key("written-to-the-old-leader", kind)
        except Unreachable:
            answers.append((kind, None))
        else:
            answers.append((kind, reply))

    kinds = ["read"] * 4 + [f"write {n}" for n in range(4)]
    askers = [threading.Thread(target=ask, args=(kind,), daemon=True) for kind in kinds]
    for asker in askers:
        asker.start()
    survivor = cluster.others(leader)[0]
    survivor.set_eventually("k", "new")
    assert survivor.http.get_key("k").ok()["value"] == "new"
    assert not answers
    leader.resume()
    for asker in askers:
        asker.join(30)
        assert not asker.is_alive()
    for kind, reply in answers:
        if kind == "read" and reply is not None and reply.status == 200:
            assert reply.json()["value"] == "new"
    leader.wait_healthy()
    new = cluster.wait_for_leader()
    assert new is not leader or leader.status()["term"] > term
    assert leader.status()["term"] > term
    store = cluster.assert_stores_equal()
    assert store["k"] == "new"
    acked = [kind for kind, reply in answers if reply is not None and reply.status == 200 and kind != "read"]
    if acked:
        assert store["written-to-the-old-leader"] in [kind for kind in kinds if kind.startswith("write")]


def test_the_old_leader_follows_when_it_comes_back(calm_cluster: Cluster) -> None:
    cluster = calm_cluster
    leader = cluster.wait_for_leader()
    leader.pause()
    new = eventually(cluster.leader, "another leader", 10)
    assert new is not leader
    new.http.set_key("k", 1).ok()
    term = new.status()["term"]
    leader.resume()

    def follows() -> bool:
        status = leader.status()
        return bool(status["state"] == "follower" and status["leader_id"] == new.node_id)

    eventually(follows, "the old leader follows the new one")
    assert new.status()["term"] == term, "its return caused no election"
    assert cluster.assert_stores_equal()["k"] == 1


def test_a_paused_follower_is_missed_and_catches_up(calm_cluster: Cluster) -> None:
    cluster = calm_cluster
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    follower, other = cluster.followers()
    follower.pause()
    began = time.monotonic()
    n = 0
    while n < 100 or time.monotonic() < began + 2.5:
        (leader, other)[n % 2].http.set_key(f"k/{n % 100}", n).ok()
        n += 1
    follower.resume()
    follower.wait_healthy()
    assert len(cluster.assert_stores_equal()) == 100
    assert cluster.wait_for_leader().status()["term"] == term, "PreVote: a sleeper disturbs nobody"


def test_both_followers_paused_and_back(cluster: Cluster) -> None:
    """A leader that hears nobody steps down by itself (CheckQuorum), and acknowledges nothing meanwhile."""
    leader = cluster.wait_for_leader()
    followers = cluster.followers()
    for follower in followers:
        follower.pause()
    reply = leader.http.post("/api/set?timeout_ms=1000", {"key": "k", "value": "nobody agreed"})
    assert (reply.status, reply.code) in [(503, "no_leader"), (504, "timeout")]
    eventually(lambda: leader.http.get("/health").status == 503, "the leader steps down")
    for follower in followers:
        follower.resume()
    cluster.wait_healthy()
    cluster[0].set_eventually("k", "agreed")
    assert cluster.assert_stores_equal()["k"] == "agreed"
