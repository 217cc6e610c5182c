"""Set, get and delete through every node, with every type of value."""

import json
from typing import Any

import pytest
from raft_harness import Cluster

VALUES: list[Any] = [
    "text",
    "",
    "1.0",
    "null",
    'é ‑ 🦀 \u0000 " \\ \n',
    0,
    -1,
    1.5,
    1e300,
    2**53 + 1,
    -(2**63),
    True,
    False,
    None,
    [],
    {},
    [1, [2, [3, None]]],
    {"a": 1, "b": {"c": [True, "x"]}},
    {"$base64": "not ours"},
    "x" * 100_000,
]
KEYS = [
    "k",
    "a/b/c",
    "with space",
    "é",
    "🦀",
    "100%",
    "?a=b&c#d",
    "..",
    "x" * 4096,
    "a\nb",
    "+",
    "%2F",
    '"\\',
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: json.dumps(v)[:20])
def test_a_value_keeps_its_type(shared_cluster: Cluster, value: Any) -> None:
    writer, *readers = shared_cluster.nodes
    answer = writer.http.set_key("typed", value).ok()
    for reader in readers:
        found = reader.http.get_key("typed").ok()
        assert found == {"key": "typed", "value": value, "found": True, "revision": answer["revision"]}
        assert type(found["value"]) is type(value)


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k[:10])
def test_any_text_is_a_key(shared_cluster: Cluster, key: str) -> None:
    first, second, third = shared_cluster.nodes
    set_answer = first.http.set_key(key, 1).ok()
    assert set_answer == {"success": True, "key": key, "revision": set_answer["revision"]}
    assert second.http.get_key(key).ok()["value"] == 1
    deleted = third.http.delete_key(key).ok()
    assert deleted == {"success": True, "key": key, "deleted": True, "revision": deleted["revision"]}
    assert deleted["revision"] > set_answer["revision"]
    assert first.http.get_key(key).ok() == {"key": key, "value": None, "found": False}


def test_every_node_takes_every_request(shared_cluster: Cluster) -> None:
    for writer in shared_cluster:
        for reader in shared_cluster:
            key = f"{writer.node_id}-{reader.node_id}"
            revision = writer.http.set_key(key, key).ok()["revision"]
            assert reader.http.get_key(key).ok() == {
                "key": key,
                "value": key,
                "found": True,
                "revision": revision,
            }
            assert reader.http.delete_key(key).ok()["deleted"] is True
            assert writer.http.get_key(key).ok()["found"] is False


def test_a_missing_key(shared_cluster: Cluster) -> None:
    for node in shared_cluster:
        assert node.http.get_key("missing").ok() == {"key": "missing", "value": None, "found": False}
        answer = node.http.delete_key("missing").ok()
        assert (answer["success"], answer["deleted"]) == (True, False)


def test_revisions_grow_and_belong_to_the_key(shared_cluster: Cluster) -> None:
    node = shared_cluster[1]
    first = node.http.set_key("r1", 1).ok()["revision"]
    second = node.http.set_key("r2", 1).ok()["revision"]
    third = node.http.set_key("r1", 1).ok()["revision"]
    assert first < second < third
    assert node.http.get_key("r1").ok()["revision"] == third
    assert node.http.get_key("r2").ok()["revision"] == second


def test_a_value_at_the_limit(shared_cluster: Cluster) -> None:
    largest = "x" * ((1 << 20) - 2)  # with its quotes, 1 MiB
    shared_cluster[0].http.set_key("large", largest).ok()
    assert shared_cluster[2].http.get_key("large").ok()["value"] == largest
    reply = shared_cluster[0].http.set_key("large", largest + "x")
    assert (reply.status, reply.code) == (413, "too_large")
    shared_cluster[0].http.delete_key("large").ok()


def test_raw_bytes(shared_cluster: Cluster) -> None:
    first, second, third = shared_cluster.nodes
    octets = {"content-type": "application/octet-stream"}
    for data, shown in [
        (b"", ""),
        (b"plain", "plain"),
        (b"\xff\x00\xfe", {"$base64": "/wD+"}),
    ]:
        first.http.request("PUT", "/api/raw/bytes", data, octets).ok()
        raw = second.http.get("/api/raw/bytes")
        assert (raw.status, raw.body) == (200, data)
        assert third.http.get_key("bytes").ok()["value"] == shown
