"""The store through the Python module: a node and a client do the same, and values keep their types."""

import enum
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import raft_py
from raft_harness.module import solo
from raft_py import BadRequestError, ConflictError, RaftClient, RaftNode, TooLargeError


@pytest.fixture(scope="module")
def node() -> Iterator[RaftNode]:
    with solo() as node:
        yield node


@pytest.fixture(params=["node", "client"])
def store(request: pytest.FixtureRequest, node: RaftNode) -> Iterator[RaftNode | RaftClient]:
    if request.param == "node":
        yield node
    else:
        with RaftClient([node.address]) as client:
            yield client


VALUES: list[Any] = [
    "",
    "1.0",
    'é 🦀 \u0000 " \\ \n',
    0,
    -(2**70),
    2**53 + 1,
    1.0,
    -0.0,
    1e300,
    0.1 + 0.2,
    True,
    False,
    None,
    [],
    {},
    [1, [2.0, [True, None]]],
    {"a": 1, "é": {"b": ["x"]}, "": 0},
    {"$base64": "not base64!"},
    {"a": {"$base64": "AP8="}},
    b"",
    b"text",
    b"\x00\xff",
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_comes_back_as_it_was(store: RaftNode | RaftClient, value: Any) -> None:
    store.set("typed", value)
    found = store.get("typed", "missing")
    assert found == value
    assert repr(found) == repr(value), "the same types all the way down, and the sign of zero"


def test_what_else_holds_bytes_comes_back_as_bytes(store: RaftNode | RaftClient) -> None:
    values: list[Any] = [bytearray(b"\x00a"), memoryview(b"\x00a"), memoryview(b"\x00-a-")[::2]]
    for value in values:
        store.set("bytes", value)
        assert store.get("bytes") == b"\x00a"


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


def _contains_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((1, 2), "value is a tuple"),
        ({"a": [1, (2,)]}, 'value["a"][1] is a tuple'),
        ({1, 2}, "value is a set"),
        ({1: "x"}, "value has the key 1"),
        ({"a": {None: 1}}, 'value["a"] has the key None'),
        (math.nan, "value is no number that JSON knows"),
        ([math.inf], "value[0] is no number"),
        (Colour.RED, "value is a Colour"),
        (Number.ONE, "value is a Number"),
        (Text("x"), "value is a Text"),
        (object(), "value is a object"),
        ({"$base64": "AP8="}, "stands for bytes"),
        ("\ud800", "half a surrogate pair"),
        ({"\ud800": 1}, "half a surrogate pair"),
        (10**5000, "digits"),
        (_contains_itself(), "nested deeper than 100 levels"),
    ],
    ids=lambda given: repr(given)[:20] if not isinstance(given, int) else "huge",
)
def test_what_would_change_is_refused_and_changes_nothing(
    store: RaftNode | RaftClient, value: Any, why: str
) -> None:
    store.set("kept", "before")
    with pytest.raises(BadRequestError) as refused:
        store.set("kept", value)
    assert why in str(refused.value)
    assert isinstance(refused.value, ValueError)
    assert store.get("kept") == "before"


def test_as_deep_as_may_be(store: RaftNode | RaftClient) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    store.set("deep", deep)
    assert store.get("deep") == deep
    with pytest.raises(BadRequestError, match="100 levels"):
        store.set("deep", [deep])


def test_every_call(store: RaftNode | RaftClient) -> None:
    for key in store.keys(""):
        store.delete(key)
    first, second = store.set("a/1", 1), store.set("a/2", None)
    assert 0 < first < second
    assert store.get("a/2", "default") is None
    assert store.get("b", "default") == "default"
    assert store.get("b") is None
    assert store.item("a/2") == raft_py.Item(None, second)
    assert store.item("b") is None
    assert store.get("a/1", consistency="stale") == 1
    assert store.keys("a/", consistency="stale", timeout=5) == ["a/1", "a/2"]
    assert store.keys() == ["a/1", "a/2"]
    assert store.delete("a/1") is True
    assert store.delete("a/1") is False
    status = store.status()
    assert (status["state"], status["leader_id"], status["keys"]) == ("leader", "solo", 1)
    assert status["version"] == raft_py.__version__
    assert store.explain()["ok"] is True
    assert store.transfer_leadership("solo") == "solo"
    [member] = store.members()["members"]
    assert (member["node_id"], member["role"], member["priority"]) == ("solo", "voter", 0)
    assert store.promote_member("solo") >= 0
    assert store.set_priority("solo", 7) > 0
    assert store.members()["members"][0]["priority"] == 7
    assert store.set_priority("solo", 0) > 0
    taken = store.snapshot()
    assert min(taken.index, taken.bytes) > 0
    assert store.status()["snapshot_index"] == taken.index
    refused: list[Callable[[], int]] = [
        partial(store.add_member, "solo", "127.0.0.1:1"),
        partial(store.promote_member, "other"),
        partial(store.remove_member, "solo"),
        partial(store.set_priority, "other", 1),
        partial(store.remove_member, "other", force=True),
    ]
    for change in refused:
        with pytest.raises(ConflictError):
            change()
    with pytest.raises(ConflictError, match="nobody to hand over to"):
        store.transfer_leadership()
    with pytest.raises(ConflictError, match="other is not a member"):
        store.transfer_leadership("other", timeout=5)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.set("", 1),
        lambda store: store.get("k" * 4097),
        lambda store: store.get("k", timeout=0),
        lambda store: store.get("k", timeout=-1),
        lambda store: store.get("k", timeout=math.nan),
        lambda store: store.get("k", consistency="fresh"),
    ],
)
def test_arguments_that_cannot_be_used(store: RaftNode | RaftClient, call: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        call(store)
    assert refused.value.code == "bad_request"


def test_a_value_over_the_limit(store: RaftNode | RaftClient) -> None:
    store.set("large", b"x" * (1 << 20))
    with pytest.raises(TooLargeError) as refused:
        store.set("large", b"x" * ((1 << 20) + 1))
    assert isinstance(refused.value, BadRequestError)
    assert not refused.value.maybe_happened
    store.delete("large")


def test_any_timeout_is_a_timeout(store: RaftNode | RaftClient) -> None:
    store.set("k", 1, timeout=math.inf)
    assert store.get("k", timeout=1e300) == 1
