"""Malformed, oversized, slow and hostile input. Each leaves the node up, serving, and its state as it was."""

import contextlib
import json
import os
import random
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CALM
from raft_harness import Cluster, Http, Node, Unreachable, eventually
from raft_harness.wire import drip, send_raw, status_of

JSON = {"content-type": "application/json"}
CLUSTER_ARGUMENTS = CALM


@pytest.fixture(params=["leader", "follower"])
def target(request: pytest.FixtureRequest, shared_cluster: Cluster) -> Iterator[Node]:
    """A node to be hostile to; afterwards everything has to be as before."""
    leader = shared_cluster.wait_for_leader()
    node = leader if request.param == "leader" else shared_cluster.others(leader)[0]
    shared_cluster[0].http.set_key("precious", {"state": "unchanged"}).ok()
    before = shared_cluster.assert_stores_equal()
    process, term = node.process, leader.status()["term"]
    index = {one.node_id: one.status()["last_log_index"] for one in shared_cluster}
    yield node
    assert node.process is process
    assert node.running, "the node is up"
    after = shared_cluster.assert_stores_equal()
    assert after == before, "its state is unchanged"
    assert {one.node_id: one.status()["last_log_index"] for one in shared_cluster} == index, "and its log"
    now = shared_cluster.wait_for_leader()
    assert (now, now.status()["term"]) == (leader, term), "nobody had to elect a leader"
    assert node.http.get_key("precious").ok()["value"] == {"state": "unchanged"}
    node.http.set_key("serving", random.random()).ok()
    assert "panicked" not in node.said()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"key": "precious", "value": }',
        b'{"key": "precious", "value": 1',
        b'{"key": "precious", "value": 1} x',
        b'{"key": "precious", "value": 01}',
        b'{"key": "precious", "value": NaN}',
        b"{'key': 'precious', 'value': 1}",
        b'{"key": "precious", "value": "\xff"}',
        b'{"key": "precious", "value": "\\ud800"}',
        b"\xef\xbb\xbf" + b'{"key": "precious", "value": 1}',
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"key": "precious", "value": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=lambda b: repr(b[:40]),
)
def test_bad_json(target: Node, body: bytes) -> None:
    reply = target.http.request("POST", "/api/set", body, JSON)
    assert (reply.status, reply.code) == (400, "bad_request")
    assert reply.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        "precious",
        1,
        None,
        {},
        {"key": "precious"},
        {"value": 1},
        {"key": 1, "value": 1},
        {"key": None, "value": 1},
        {"key": ["precious"], "value": 1},
        {"key": "", "value": 1},
        {"key": "precious", "value": 1, "extra": 1},
        {"Key": "precious", "value": 1},
    ],
    ids=json.dumps,
)
def test_wrong_types_missing_and_unknown_fields(target: Node, body: Any) -> None:
    for path in ["/api/set", "/api/delete"]:
        if path == "/api/delete" and body == {"key": "precious"}:
            continue
        reply = target.http.post(path, json.dumps(body).encode(), JSON)
        assert (reply.status, reply.code) == (400, "bad_request"), (path, body)


def test_a_field_given_twice(target: Node) -> None:
    reply = target.http.post("/api/set", b'{"key":"precious","value":1,"value":2}', JSON)
    assert (reply.status, reply.code) == (400, "bad_request")


def test_keys_and_values_over_their_limits(target: Node) -> None:
    for key in ["k" * 4097, "é" * 2049, "k" * 1_000_000]:
        reply = target.http.set_key(key, 1)
        assert (reply.status, reply.code) == (413, "too_large")
    reply = target.http.get_key("k" * 4097)
    assert (reply.status, reply.code) == (413, "too_large")
    for size in [1 << 20, 3 << 20]:
        reply = target.http.set_key("precious", "x" * size)
        assert (reply.status, reply.code) == (413, "too_large")


def test_a_body_announced_far_too_large(target: Node) -> None:
    head = b"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    answer = send_raw(target, head + b"content-length: 1000000000000\r\n\r\n{")
    assert status_of(answer) == 413
    assert status_of(send_raw(target, head + b"content-length: 99999999999999999999999\r\n\r\n{")) == 400
    assert status_of(send_raw(target, head + b"content-length: -1\r\n\r\n{")) == 400


def test_a_chunked_body_without_end(target: Node) -> None:
    head = b"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = send_raw(target, [head, *[chunk] * 64])
    assert status_of(answer) in (413, None)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "GET", "NONSENSE"])
def test_wrong_methods(target: Node, method: str) -> None:
    paths = (
        ["/api/set", "/api/delete", "/api/vote"] if method != "PUT" else ["/api/set", "/api/get/x", "/health"]
    )
    for path in paths:
        reply = target.http.request(method, path, b"{}", JSON)
        assert (reply.status, reply.code) == (405, "method_not_allowed"), path
        assert reply.headers["allow"]


def test_unknown_paths(target: Node) -> None:
    for path in ["/nothing", "/api", "/api/", "/api/set/", "/api/../etc/passwd", "//", "/api/get", "/%00"]:
        reply = target.http.get(path)
        assert (reply.status, reply.code) == (404, "not_found"), path


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx", "é"]
)
def test_wrong_content_types(target: Node, kind: str) -> None:
    body = b'{"key":"precious","value":1}'
    head = f"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    answer = send_raw(target, head.encode() + body)
    assert status_of(answer) == 415
    assert b"unsupported_media_type" in answer


def test_no_content_type(target: Node) -> None:
    body = b'{"key":"precious","value":1}'
    answer = send_raw(
        target, f"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )
    assert status_of(answer) == 415


def test_a_truncated_body(target: Node) -> None:
    head = (
        b"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n"
    )
    for length in [0, 1, 27]:
        body = b'{"key":"precious","value":1}'[:length]
        answer = send_raw(target, head + body, close_write=True)
        assert status_of(answer) == 400
        assert_refused(answer)
        with target.http.connect() as sock:
            sock.sendall(head + body)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" * 1000,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /health HTTP/1.1\r\nx: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n",
        b"POST /api/set HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        b"POST /api/set HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        b"GET /api/get/%zz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /api/get/%ff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=lambda d: repr(d[:40]),
)
def test_what_is_not_http(target: Node, data: bytes) -> None:
    # Whoever closes behind a whole request is taken to be gone.
    answer = send_raw(target, data, wait=1.0, close_write=not data.endswith(b"\r\n\r\n"))
    # Whoever still sends when he is refused may see the connection reset before he sees the answer.
    if answer or len(data) < 1000:
        assert_refused(answer)


def assert_refused(answer: bytes) -> None:
    """A problem with a code and a reason, as for every other error."""
    assert 400 <= (status_of(answer) or 0) < 500, answer[:300]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status_of(answer)
    assert problem["code"]
    assert problem["detail"]


def test_random_bytes(target: Node) -> None:
    chance = random.Random(8)
    for _ in range(200):
        assert_refused(send_raw(target, chance.randbytes(chance.randrange(1, 5000)), close_write=True))


def stream_head(target: Node, **other: str) -> bytes:
    """A request to open a stream between nodes; what is named here differs from what would be granted."""
    caller = target.cluster.others(target)[0].node_id
    headers = {"version": "3", "node": caller, "to": target.node_id, "incarnation": "7", **other}
    lines = ["GET /raft/stream HTTP/1.1", "host: x", "connection: upgrade", "upgrade: raft"]
    lines += [f"raft-{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"version": ""}, 400),
        ({"version": "1"}, 400),
        ({"incarnation": ""}, 400),
        ({"incarnation": "x" * 100}, 400),
        ({"node": "(the node itself)"}, 403),
        ({"node": ""}, 400),
        ({"to": "node_9"}, 403),
    ],
    ids=str,
)
def test_a_stream_that_is_not_granted(target: Node, other: dict[str, str], status: int) -> None:
    if other.get("node"):
        other = {"node": target.node_id}
    answer = send_raw(target, stream_head(target, **other))
    assert status_of(answer) == status
    assert_refused(answer)


def test_a_stranger_may_call_and_is_not_heard(target: Node) -> None:
    """He may be a member of a later configuration; until the log says so, nothing comes of what he sends."""
    before = target.status()
    assert status_of(send_raw(target, stream_head(target, node="stranger"))) == 101
    after = target.status()
    assert [after[name] for name in ("term", "leader_id", "members")] == [
        before[name] for name in ("term", "leader_id", "members")
    ]


def test_random_bytes_after_the_upgrade(target: Node) -> None:
    """On a stream that was granted: it ends, and nothing else does."""
    chance = random.Random(9)
    frames = [chance.randbytes(chance.randrange(1, 3000)) for _ in range(30)]
    frames += [b"\xff" * 100, b"\0" * 100_000, b"\x7f\xff\xff\xff" + b"x" * 100]
    frames += [
        length.to_bytes(4, order) + b"x" * 64
        for length in (0, 64, 2**31, 2**32 - 1)
        for order in ("big", "little")
    ]
    for frame in frames:
        with target.http.connect() as sock:
            sock.settimeout(5)
            sock.sendall(stream_head(target))
            assert status_of(sock.recv(65536)) == 101, "it is granted, as to a member"
            with contextlib.suppress(OSError):
                sock.sendall(frame)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(65536) == b""


def test_a_header_sent_one_byte_a_second(target: Node) -> None:
    """Many of them at a time; all are turned away in words, and nobody else waits for it."""
    socks = [target.http.connect() for _ in range(20)]
    data = b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: " + b"a" * 200 + b"\r\n\r\n"
    answers: dict[socket.socket, bytes] = {}
    began = time.monotonic()
    for n in range(len(data)):
        for sock in socks:
            if sock not in answers and (answer := trickle(sock, data[n : n + 1])) is not None:
                answers[sock] = answer
        asked = time.monotonic()
        assert target.http.get("/health").status == 200
        assert time.monotonic() - asked < 1, "others are served meanwhile"
        if len(answers) == len(socks) or time.monotonic() - began > 40:
            break
        time.sleep(max(0.0, began + n + 1 - time.monotonic()))
    for sock in socks:
        sock.close()
    assert len(answers) == len(socks), f"{len(answers)} of {len(socks)} were turned away within 40 s"
    for answer in answers.values():
        assert status_of(answer) == 408
        assert_refused(answer)


def trickle(sock: socket.socket, byte: bytes) -> bytes | None:
    """Sends a byte; what the other side answered, None while it waits for more."""
    sock.setblocking(False)
    try:
        sock.send(byte)
        return sock.recv(4096)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def test_a_body_sent_slowly(shared_cluster: Cluster) -> None:
    node = shared_cluster[0]
    with node.http.connect() as sock:
        head = b"POST /api/set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        sock.sendall(head + b"content-length: 999\r\n\r\n")
        took = drip(sock, b"x" * 900, 1.0, most=3.0)
    assert took >= 1
    assert node.is_healthy()


@pytest.mark.deadline(180)
def test_ten_thousand_idle_connections(shared_cluster: Cluster) -> None:
    """They are held, as long as it may take to open so many; new requests are served all the while."""
    count = 10_000
    health = b"GET /health HTTP/1.1\r\nhost: x\r\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"this machine allows a process {hard} open files: not enough for {count} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    leader = shared_cluster.wait_for_leader()
    process, term = leader.process, leader.status()["term"]
    shared_cluster[0].http.set_key("precious", {"state": "unchanged"}).ok()
    idle: list[socket.socket] = []
    try:
        for n in range(count):
            sock = leader.http.connect()
            sock.sendall(health if n % 10 == 0 else health + b"\r\n")  # every tenth has no end
            if n % 10:
                assert sock.recv(4096).startswith(b"HTTP/1.1 200"), "after it, it may be idle for 75 s"
            idle.append(sock)
            if n % 2000 == 0:
                Http(leader.host, leader.port).set_key("idle", n).ok()
        eventually(lambda: open_files(leader) > 0.9 * count, "it holds them", 4)
        for node in shared_cluster:
            began = time.monotonic()
            Http(node.host, node.port).set_key("idle", node.node_id).ok()
            assert Http(node.host, node.port).get_key("idle").ok()["value"] == node.node_id
            assert time.monotonic() - began < 2
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert leader.status()["term"] == term
    assert leader.process is process
    store = shared_cluster.assert_stores_equal()
    assert (store["precious"], store["idle"]) == ({"state": "unchanged"}, shared_cluster[-1].node_id)
    assert open_files(leader) < 1000 or eventually(
        lambda: open_files(leader) < 1000, "they are closed again", 30
    )


def open_files(node: Node) -> int:
    assert node.process is not None
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))  # noqa: PTH208


VOTE = {"term": 1, "candidate_id": "node_0", "last_log_index": 0, "last_log_term": 0}
APPEND = {
    "term": 1,
    "leader_id": "node_0",
    "prev_log_index": 0,
    "prev_log_term": 0,
    "entries": [],
    "leader_commit": 0,
}


@pytest.mark.parametrize("term", [2**64 - 1, 2**63, 2**62 + 1, 10**9])
def test_a_vote_with_a_huge_term_from_a_stranger(target: Node, term: int) -> None:
    reply = target.http.post("/api/vote", {**VOTE, "candidate_id": "stranger", "term": term})
    assert (reply.status, reply.code) in [(403, "forbidden"), (400, "bad_request")]
    reply = target.http.post("/api/append_entries", {**APPEND, "leader_id": "stranger", "term": term})
    assert (reply.status, reply.code) in [(403, "forbidden"), (400, "bad_request")]


@pytest.mark.parametrize("term", [2**64 - 1, 2**64, -1, 1.5, "1", None])
def test_terms_that_no_member_sends(target: Node, term: Any) -> None:
    """A member's name can be borrowed; a term that no election could have reached is refused all the same."""
    for path, body in [("/api/vote", VOTE), ("/api/append_entries", APPEND)]:
        reply = target.http.post(path, {**body, "term": term})
        assert reply.status in (400, 403), (path, reply.body)


def test_bad_peer_calls(target: Node) -> None:
    bad: list[tuple[str, Any]] = [
        ("/api/vote", {}),
        ("/api/vote", {**VOTE, "extra": 1}),
        ("/api/vote", {**VOTE, "candidate_id": ""}),
        ("/api/vote", {**VOTE, "last_log_index": -1}),
        ("/api/append_entries", {}),
        ("/api/append_entries", {**APPEND, "entries": "x"}),
        ("/api/append_entries", {**APPEND, "entries": [{"nonsense": 1}]}),
        ("/api/append_entries", {**APPEND, "prev_log_index": 2**64 - 1}),
    ]
    for path, body in bad:
        reply = target.http.post(path, body)
        assert (reply.status, reply.code) == (400, "bad_request"), (path, body, reply.body)


def test_stale_peer_calls_change_nothing(target: Node) -> None:
    """A vote and entries of a term long past, with a member's name: refused, as Figure 2 says."""
    term = target.status()["term"]
    other = target.cluster.others(target)[0].node_id
    vote = target.http.post("/api/vote", {**VOTE, "candidate_id": other, "term": 0}).ok()
    assert vote == {"term": term, "vote_granted": False}
    append = target.http.post("/api/append_entries", {**APPEND, "leader_id": other, "term": 0}).ok()
    assert (append["term"], append["success"]) == (term, False)


def test_many_requests_on_one_connection_without_waiting(target: Node) -> None:
    """Pipelining: answered one after the other, in order."""
    with target.http.connect() as sock:
        sock.settimeout(10)
        sock.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
        answer = b""
        while answer.count(b"HTTP/1.1 200") < 100:
            chunk = sock.recv(65536)
            assert chunk, answer[-500:]
            answer += chunk


def test_connections_that_come_and_go(target: Node) -> None:
    for _ in range(500):
        with contextlib.suppress(Unreachable, OSError):
            target.http.connect().close()
    assert target.http.get("/health").status == 200
