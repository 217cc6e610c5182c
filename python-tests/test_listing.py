"""`/api/state_machine`: all of the store, or a page of it."""

from typing import Any

import pytest
from raft_harness import Cluster

KEYS = sorted([f"page/{n:03}" for n in range(100)] + ["page/é", "page/~", "page/🦀"], key=str.encode)


@pytest.fixture
def filled(shared_cluster: Cluster) -> Cluster:
    if shared_cluster[0].http.get_key(KEYS[-1]).ok()["found"] is False:
        for key in [*KEYS, "other/1", "zebra"]:
            shared_cluster[0].http.set_key(key, {"is": key}).ok()
    return shared_cluster


def listing(cluster: Cluster, query: str, node: int = 0) -> dict[str, Any]:
    page: dict[str, Any] = cluster[node].http.get(f"/api/state_machine{query}").ok()["state_machine"]
    return page


def test_the_whole_store_through_every_node(filled: Cluster) -> None:
    last = filled[1].http.set_key("zebra", {"is": "zebra"}).ok()["revision"]
    for n in range(3):
        answer = filled[n].http.get("/api/state_machine").ok()
        assert answer["revision"] == last
        assert answer["state_machine"] == {key: {"is": key} for key in [*KEYS, "other/1", "zebra"]}


def test_keys_come_in_the_order_of_their_bytes(filled: Cluster) -> None:
    assert list(listing(filled, "?prefix=page/")) == KEYS


def test_a_prefix(filled: Cluster) -> None:
    assert list(listing(filled, "?prefix=page/01")) == [f"page/01{n}" for n in range(10)]
    assert list(listing(filled, "?prefix=page/%C3%A9")) == ["page/é"]
    assert listing(filled, "?prefix=nothing") == {}


@pytest.mark.parametrize("limit", [1, 7, 50, 103, 1000])
def test_pages_meet_without_gap_or_overlap(filled: Cluster, limit: int) -> None:
    found: list[str] = []
    after = ""
    while page := list(listing(filled, f"?prefix=page/&limit={limit}{after}", node=len(found) % 3)):
        assert len(page) <= limit
        found += page
        after = f"&after={filled_quote(page[-1])}"
    assert found == KEYS


def filled_quote(key: str) -> str:
    return "".join(f"%{byte:02X}" for byte in key.encode())


def test_after_need_not_be_a_key(filled: Cluster) -> None:
    assert list(listing(filled, "?prefix=page/&limit=2&after=page/0095")) == ["page/010", "page/011"]


def test_bad_paging_is_refused(filled: Cluster) -> None:
    for query in ["?limit=0", "?limit=x", "?limit=-1", "?consistency=maybe", "?nonsense=1", "?prefix=%ff"]:
        reply = filled[0].http.get(f"/api/state_machine{query}")
        assert (reply.status, reply.code) == (400, "bad_request"), query
