"""A write repeated with the same Idempotency-Key happens once, whichever node and leader meets it."""

import threading
import uuid

from raft_harness import Cluster, Http, Reply, Unreachable


def key() -> dict[str, str]:
    return {"idempotency-key": str(uuid.uuid4())}


def test_repeated_through_every_node(shared_cluster: Cluster) -> None:
    headers = key()
    first = shared_cluster[0].http.set_key("once", 1, headers).ok()
    shared_cluster[0].http.set_key("once", 2).ok()
    for node in shared_cluster:
        assert node.http.set_key("once", 1, headers).ok() == first
    assert shared_cluster[1].http.get_key("once").ok()["value"] == 2, "the repetitions did not happen"


def test_other_keys_are_other_writes(shared_cluster: Cluster) -> None:
    revisions = [shared_cluster[n % 3].http.set_key("many", 1, key()).ok()["revision"] for n in range(6)]
    assert revisions == sorted(set(revisions))


def test_a_repeated_delete_gives_the_first_answer(shared_cluster: Cluster) -> None:
    headers = key()
    shared_cluster[0].http.set_key("gone", 1).ok()
    first = shared_cluster[1].http.post("/api/delete", {"key": "gone"}, headers).ok()
    assert first["deleted"] is True
    shared_cluster[0].http.set_key("gone", "back").ok()
    assert shared_cluster[2].http.post("/api/delete", {"key": "gone"}, headers).ok() == first
    assert shared_cluster[0].http.get_key("gone").ok()["value"] == "back"


def test_the_same_key_for_another_write_is_a_conflict(shared_cluster: Cluster) -> None:
    headers = key()
    shared_cluster[0].http.set_key("mine", 1, headers).ok()
    reply = shared_cluster[1].http.set_key("mine", 2, headers)
    assert (reply.status, reply.code) == (409, "conflict")
    assert shared_cluster[2].http.get_key("mine").ok()["value"] == 1


def test_sent_at_the_same_time_through_all_nodes(shared_cluster: Cluster) -> None:
    for n in range(20):
        headers = key()
        replies: list[Reply] = []

        def send(port: int, headers: dict[str, str], replies: list[Reply], n: int) -> None:
            replies.append(Http("127.0.0.1", port).set_key("race", n, headers))

        senders = [
            threading.Thread(target=send, args=(node.port, headers, replies, n)) for node in shared_cluster
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert len({reply.ok()["revision"] for reply in replies}) == 1


def test_across_the_death_of_the_leader(cluster: Cluster) -> None:
    headers = key()
    leader = cluster.wait_for_leader()
    first = leader.http.set_key("once", 1, headers).ok()
    leader.http.set_key("once", 2).ok()
    leader.kill()
    for survivor in cluster.others(leader):
        survivor.set_eventually("probe", 1)
        assert survivor.http.set_key("once", 1, headers).ok() == first
        assert survivor.http.get_key("once").ok()["value"] == 2


def test_across_a_restart_of_everything(cluster: Cluster) -> None:
    headers = key()
    first = cluster[0].http.set_key("once", 1, headers).ok()
    cluster[0].http.set_key("once", 2).ok()
    cluster.kill_all()
    cluster.start()
    for node in cluster:
        assert node.http.set_key("once", 1, headers).ok() == first
    assert cluster[0].http.get_key("once").ok()["value"] == 2


def test_repeated_until_it_is_acknowledged_while_leaders_die(cluster: Cluster) -> None:
    """What a client should do: one key, as many attempts as it takes. Each of 30 writes happens once."""
    revisions = []
    for n in range(30):
        headers = key()
        if n % 10 == 5:
            cluster.wait_for_leader().kill()
        for attempt in range(200):
            node = cluster[attempt % 3]
            if not node.running:
                continue
            try:
                reply = node.http.set_key("counter", n, headers, timeout=8)
            except Unreachable:
                continue
            if reply.status == 200:
                revisions.append(reply.json()["revision"])
                break
        else:
            raise AssertionError(f"write {n} was never acknowledged")
        assert cluster.alive[0].http.set_key("counter", n, headers).ok()["revision"] == revisions[-1]
        for node in cluster:
            if not node.running:
                node.start().wait_healthy()
    assert revisions == sorted(set(revisions))


def test_bad_keys_are_refused(shared_cluster: Cluster) -> None:
    for bad in ["", "x" * 129]:
        reply = shared_cluster[0].http.set_key("bad", 1, {"idempotency-key": bad})
        assert (reply.status, reply.code) == (400, "bad_request")
    assert shared_cluster[0].http.get_key("bad").ok()["found"] is False
