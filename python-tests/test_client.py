"""The shell client: results on stdout, all else on stderr, and the documented exit codes."""

import json

import pytest
from raft_harness import Cluster
from raft_harness.ports import free_ports
from raft_harness.shell import Done, raft_server


@pytest.fixture
def endpoints(shared_cluster: Cluster) -> str:
    return shared_cluster.endpoints


def client(endpoints: str, *arguments: str, stdin: str = "") -> Done:
    return raft_server("client", "--endpoints", endpoints, *arguments, stdin=stdin)


def test_set_get_delete(endpoints: str) -> None:
    done = client(endpoints, "set", "name", "Raft Cluster")
    assert done.code == 0, done
    got = client(endpoints, "get", "name")
    assert (got.code, got.out.strip()) == (0, "Raft Cluster")
    assert client(endpoints, "delete", "name").code == 0
    missing = client(endpoints, "get", "name")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.strip()
    assert client(endpoints, "delete", "name").code == 1


def test_what_the_shell_set_is_what_http_gets(shared_cluster: Cluster, endpoints: str) -> None:
    client(endpoints, "set", "typed", "1.0")
    shared_cluster[0].http.set_key("object", {"a": [1, None]}).ok()
    assert shared_cluster[1].http.get_key("typed").ok()["value"] in ("1.0", 1.0)
    assert json.loads(client(endpoints, "get", "object").out) == {"a": [1, None]}


def test_keys(shared_cluster: Cluster, endpoints: str) -> None:
    for key in ("list/b", "list/a", "other"):
        shared_cluster[0].http.set_key(key, 1).ok()
    assert client(endpoints, "keys", "list/").out.split() == ["list/a", "list/b"]
    assert {"list/a", "list/b", "other"} <= set(client(endpoints, "keys").out.split())
    assert client(endpoints, "keys", "nothing/").code in (0, 1)


def test_status(shared_cluster: Cluster, endpoints: str) -> None:
    done = client(endpoints, "status")
    assert done.code == 0
    for node in shared_cluster:
        assert node.node_id in done.out
    assert "leader" in done.out


def test_json_output(endpoints: str) -> None:
    client(endpoints, "set", "j", "x")
    answer = json.loads(client(endpoints, "--output", "json", "get", "j").out)
    assert answer["value"] == "x"
    assert json.loads(client(endpoints, "--output", "json", "status").out)


def test_stale_reads(shared_cluster: Cluster, endpoints: str) -> None:
    shared_cluster[0].http.set_key("old", "enough").ok()
    shared_cluster.wait_settled()
    assert client(endpoints, "--consistency", "stale", "get", "old").out.strip() == "enough"


def test_usage_errors_are_2(endpoints: str) -> None:
    for arguments in [["nonsense"], ["set", "only-a-key"], ["get"], ["--output", "xml", "get", "k"]]:
        done = client(endpoints, *arguments)
        assert (done.code, done.out) == (2, ""), arguments
    assert client("not an address", "get", "k").code == 2
    assert client(endpoints, "set", "", "x").code in (1, 2)


def test_nobody_there_is_3() -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    for arguments in (["get", "k"], ["set", "k", "v"], ["status"]):
        done = raft_server("client", "--endpoints", nobody, "--timeout", "1000", *arguments)
        assert done.code == 3, (arguments, done)
        assert nobody in done.err + done.out
        assert done.out == "" or arguments == ["status"]


def test_no_leader_is_3(cluster: Cluster) -> None:
    survivor = cluster[0]
    for node in cluster.others(survivor):
        node.kill()
    done = raft_server("client", "--endpoints", survivor.address, "--timeout", "1500", "set", "k", "v")
    assert done.code == 3, done
    assert done.err.strip()


def test_one_dead_endpoint_does_not_matter(cluster: Cluster) -> None:
    cluster[0].kill()
    cluster[1].set_eventually("probe", 1)
    for n in range(4):
        assert client(cluster.endpoints, "set", "k", str(n)).code == 0
        assert client(cluster.endpoints, "get", "k").out.strip() == str(n)


def test_the_demo(endpoints: str) -> None:
    done = client(endpoints, "demo")
    assert done.code == 0, done
    assert done.out.strip()
