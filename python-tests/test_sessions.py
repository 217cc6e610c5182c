"""Sessions: many numbered writes under one name, each happening once (dissertation, section 6.3)."""

from typing import Any

from raft_harness import Cluster, Http, Reply


def step(client: str, number: int, answered_below: int | None = None) -> dict[str, str]:
    headers = {"idempotency-key": client, "idempotency-sequence": str(number)}
    if answered_below is not None:
        headers["idempotency-answered-below"] = str(answered_below)
    return headers


def open_session(door: Http, client: str) -> None:
    assert door.post("/api/session", {"client": client}).ok()["success"] is True


def reason(reply: Reply) -> Any:
    assert (reply.status, reply.code) == (409, "conflict"), reply.body
    return reply.json()["reason"]


def test_numbered_writes_happen_once(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c1")
    first = shared_cluster[0].http.set_key("s", 1, step("c1", 1, 1)).ok()
    second = shared_cluster[1].http.set_key("s", 2, step("c1", 2, 1)).ok()
    assert second["revision"] > first["revision"]
    for node in shared_cluster:
        assert node.http.set_key("s", 1, step("c1", 1, 1)).ok() == first
        assert node.http.set_key("s", 2, step("c1", 2, 1)).ok() == second
    assert shared_cluster[2].http.get_key("s").ok()["value"] == 2


def test_numbers_may_come_out_of_order(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c2")
    answers = {n: shared_cluster[n % 3].http.set_key(f"o/{n}", n, step("c2", n, 1)).ok() for n in (3, 1, 2)}
    for n, answer in answers.items():
        assert shared_cluster[0].http.set_key(f"o/{n}", n, step("c2", n, 1)).ok() == answer


def test_a_number_reported_as_answered_is_not_done_again(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c3")
    for n in (1, 2, 3):
        shared_cluster[0].http.set_key("a", n, step("c3", n, n)).ok()
    assert reason(shared_cluster[1].http.set_key("a", 1, step("c3", 1))) == "sequence_reused"
    assert shared_cluster[1].http.get_key("a").ok()["value"] == 3


def test_an_unknown_session_is_refused(shared_cluster: Cluster) -> None:
    assert reason(shared_cluster[0].http.set_key("u", 1, step("nobody", 1))) == "session_expired"
    assert shared_cluster[0].http.get_key("u").ok()["found"] is False


def test_the_same_number_for_another_write_is_a_conflict(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c4")
    shared_cluster[0].http.set_key("d", 1, step("c4", 1)).ok()
    assert reason(shared_cluster[1].http.set_key("d", 2, step("c4", 1))) == "command_differs"
    assert shared_cluster[2].http.get_key("d").ok()["value"] == 1


def test_opening_twice_keeps_what_is_known(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c5")
    first = shared_cluster[0].http.set_key("t", 1, step("c5", 1)).ok()
    open_session(shared_cluster[1].http, "c5")
    assert shared_cluster[2].http.set_key("t", 1, step("c5", 1)).ok() == first


def test_sessions_outlive_leaders_and_restarts(cluster: Cluster) -> None:
    open_session(cluster[0].http, "durable")
    first = cluster[0].http.set_key("k", 1, step("durable", 1)).ok()
    cluster[0].http.set_key("k", "later").ok()
    cluster.wait_for_leader().kill()
    survivor = cluster.alive[0]
    survivor.set_eventually("probe", 1)
    assert survivor.http.set_key("k", 1, step("durable", 1)).ok() == first
    cluster.kill_all()
    cluster.start()
    for node in cluster:
        assert node.http.set_key("k", 1, step("durable", 1)).ok() == first
    assert cluster[0].http.get_key("k").ok()["value"] == "later"


def test_bad_headers_are_refused(shared_cluster: Cluster) -> None:
    open_session(shared_cluster[0].http, "c6")
    for headers in [
        {"idempotency-sequence": "1"},
        {"idempotency-key": "c6", "idempotency-answered-below": "1"},
        step("c6", 0),
        {**step("c6", 1), "idempotency-sequence": "x"},
        {**step("c6", 1), "idempotency-sequence": "-1"},
        {**step("c6", 1), "idempotency-sequence": str(2**64)},
        step("c6", 1, 2),
    ]:
        reply = shared_cluster[0].http.set_key("b", 1, headers)
        assert (reply.status, reply.code) == (400, "bad_request"), headers
    for body in [{}, {"client": ""}, {"client": 1}, {"client": "x" * 129}, {"client": "c", "more": 1}]:
        reply = shared_cluster[0].http.post("/api/session", body)
        assert (reply.status, reply.code) == (400, "bad_request"), body
