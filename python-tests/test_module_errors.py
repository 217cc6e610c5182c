"""One hierarchy of errors, with what a program needs to know."""

import pickle
import socket
from pathlib import Path
from typing import Any

import pytest
import raft_py
from raft_harness.module import lonely, solo
from raft_harness.ports import free_ports
from raft_py import RaftClient, RaftError, RaftNode, _errors, _native

MISSING = "every failure that raft-node knows has a class of its own"


def test_each_failure_has_its_class() -> None:
    assert set(_native.failure_codes()) == set(_errors.CLASSES), MISSING
    assert len(set(_errors.CLASSES.values())) == len(_errors.CLASSES)
    for code, kind in _errors.CLASSES.items():
        assert issubclass(kind, RaftError)
        assert kind.code == code
        assert kind.__doc__
        assert getattr(raft_py, kind.__name__) is kind
        assert kind.__name__ in raft_py.__all__


@pytest.mark.parametrize("code", sorted(_errors.CLASSES))
def test_an_error_can_be_sent_to_another_process(code: str) -> None:
    error = _errors.exception_of(code, "what happened", {"h:1": "refused"}, True)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) is _errors.CLASSES[code]
    assert (str(again), again.code, again.endpoints, again.maybe_happened) == (
        "what happened",
        code,
        {"h:1": "refused"},
        True,
    )


def test_a_code_of_tomorrow_is_still_a_raft_error() -> None:
    error = _errors.exception_of("of_tomorrow", "x", {}, False)
    assert (type(error), error.code) == (RaftError, "of_tomorrow")


def test_errors_are_also_what_python_calls_them() -> None:
    assert issubclass(raft_py.RaftTimeoutError, TimeoutError)
    assert issubclass(raft_py.OutcomeUnknownError, raft_py.RaftTimeoutError)
    assert issubclass(raft_py.UnreachableError, ConnectionError)
    assert issubclass(raft_py.ListenError, OSError)
    assert issubclass(raft_py.ConfigError, ValueError)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"node_id": "no/de"}, "no/de"),
        ({"node_id": "x"}, "not in the peer list"),
        ({"port": 0}, "a port is a number"),
        ({"port": 65536}, "a port is a number"),
        ({"port": 1}, "advertise="),
        ({"host": "0.0.0.0"}, "insecure=True"),
        ({"peers": {"node_0": "nowhere"}}, "HOST:PORT"),
        ({"peers": {}}, "not in the peer list"),
        ({"election_timeout_min": 500}, "election timeout"),
        ({"election_timeout_min": 0.15}, "election timeout"),
        ({"heartbeat_interval": -1}, "heartbeat_interval"),
        ({"max_value_bytes": 1 << 40}, "max_value_bytes"),
        ({"record_mib": 1 << 20}, "record_mib"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"ephemeral": True, "data_dir": "x"}, "contradict"),
    ],
)
def test_a_configuration_that_cannot_work(settings: dict[str, Any], why: str) -> None:
    given = {"node_id": "node_0", "port": 12000, **settings}
    with pytest.raises(raft_py.ConfigError) as refused:
        RaftNode(**given)
    assert why in str(refused.value)
    assert "--" not in str(refused.value), "the words of the command line are not Python's"


def test_what_a_node_is_told(tmp_path: Path) -> None:
    node = RaftNode("node_1", 12001)
    assert (node.node_id, node.port, node.address) == ("node_1", 12001, "127.0.0.1:12001")
    assert node.peers["node_2"] == "127.0.0.1:12002"
    assert node.data_dir == Path("raft-data/node_1")
    assert not node.is_running
    assert solo(data_dir=tmp_path / "x").data_dir == tmp_path / "x"
    assert solo().data_dir is None


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        node = RaftNode("n", port, peers={"n": f"127.0.0.1:{port}"}, ephemeral=True)
        with pytest.raises(raft_py.ListenError, match=str(port)):
            node.start()
        assert not node.is_running
    with node:
        assert node.set("k", 1)


def test_a_directory_that_another_node_has(tmp_path: Path) -> None:
    with solo(data_dir=tmp_path) as node:
        with pytest.raises(raft_py.DataDirectoryError, match=tmp_path.name):
            solo(data_dir=tmp_path).start()
        assert node.set("k", 1)


def test_a_damaged_log(tmp_path: Path) -> None:
    with solo(data_dir=tmp_path) as node:
        for n in range(50):
            node.set(f"k{n}", n)
    segment = min(tmp_path.rglob("log-*"))
    data = bytearray(segment.read_bytes())
    used = len(bytes(data).rstrip(b"\0"))
    data[used // 2] ^= 0xFF
    segment.write_bytes(data)
    node = RaftNode(node.node_id, node.port, peers=node.peers, data_dir=tmp_path)
    with pytest.raises(raft_py.DamagedError) as refused:
        node.start()
    assert segment.name in str(refused.value)


def test_without_a_leader() -> None:
    with lonely() as node:
        for call in (lambda: node.set("k", 1, timeout=0.2), lambda: node.get("k", timeout=0.2)):
            with pytest.raises(raft_py.NoLeaderError) as refused:
                call()
            assert not refused.value.maybe_happened
        assert node.get("k", "nothing", consistency="stale") == "nothing"
        assert {reason["code"] for reason in node.explain()["reasons"]} >= {"peer_unreachable"}


def test_a_node_that_does_not_run() -> None:
    node = solo()
    for _ in range(2):
        with pytest.raises(raft_py.NotRunningError, match="start"):
            node.get("k")
        node.stop()
        node.start()
        assert node.start() is node
        assert node.is_running
        node.set("k", 1)
        node.stop()


def test_a_node_that_was_stopped_has_its_log_when_it_is_started_again(tmp_path: Path) -> None:
    node = solo(data_dir=tmp_path)
    for n in range(3):
        with node:
            assert node.get("n", 0) == n
            node.set("n", n + 1)


def test_endpoints_that_cannot_be_reached_are_named() -> None:
    endpoints = [f"127.0.0.1:{port}" for port in free_ports(2)]
    client = RaftClient(endpoints, timeout=0.3)
    with pytest.raises(raft_py.UnreachableError) as refused:
        client.get("k")
    assert set(refused.value.endpoints) == set(endpoints)
    assert "refused" in next(iter(refused.value.endpoints.values()))
    client.close()
    with pytest.raises(raft_py.NotRunningError, match="closed"):
        client.get("k")


def test_a_client_that_cannot_be() -> None:
    for bad in ([], ["nowhere"], ["h:0"]):
        with pytest.raises(raft_py.BadRequestError):
            RaftClient(bad)
    with pytest.raises(TypeError, match="list"):
        RaftClient("127.0.0.1:12000")
