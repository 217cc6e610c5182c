"""The documented curl lines and client commands against each documented size of cluster, on ports of its own.

On the documented ports, word by word, README.md and docs/features.md are run by tests of their own.
"""

import json
import shutil
import subprocess
from typing import Any

import pytest
from conftest import MakeCluster
from raft_harness import Cluster
from raft_harness.shell import Done, raft_server

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str) -> Any:
    done = subprocess.run(
        ["curl", "-sS", *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def post(url: str, body: str) -> Any:
    return curl("-X", "POST", url, "-H", "Content-Type: application/json", "-d", body)


@pytest.fixture(params=[1, 3, 5, 7])
def members(request: pytest.FixtureRequest, make_cluster: MakeCluster) -> Cluster:
    return make_cluster(request.param).start()


def test_every_documented_line(members: Cluster) -> None:
    every_request(members)
    every_client_command(members)


def every_request(cluster: Cluster) -> None:
    urls = [f"http://localhost:{node.port}" for node in cluster]
    zero, one, two = urls[0], urls[len(urls) // 2], urls[-1]
    leader = cluster.wait_for_leader().node_id

    answer = post(f"{zero}/api/set", '{"key": "name", "value": "Raft Cluster"}')
    assert (answer["success"], answer["key"]) == (True, "name")
    found = curl(f"{one}/api/get/name")
    assert (found["key"], found["value"], found["found"]) == ("name", "Raft Cluster", True)
    assert curl(f"{two}/api/state_machine")["state_machine"]["name"] == "Raft Cluster"
    answer = post(f"{two}/api/delete", '{"key": "name"}')
    assert (answer["success"], answer["deleted"]) == (True, True)
    assert curl(f"{zero}/api/get/name") == {"key": "name", "value": None, "found": False}
    health = curl(f"{zero}/health")
    assert (health["status"], health["leader_id"]) == ("ok", leader)
    status = curl(f"{one}/api/status")
    assert (status["node_id"], status["leader_id"]) == (cluster[len(urls) // 2].node_id, leader)
    assert {member["node_id"] for member in status["members"]} == {node.node_id for node in cluster}
    assert curl(f"{two}/api/why")["ok"] is True
    assert curl(f"{one}/openapi.json")["openapi"].startswith("3.1")

    if len(cluster) == 1:
        return  # nobody to be called by
    vote = '{"term": 0, "candidate_id": "node_1", "last_log_index": 0, "last_log_term": 0}'
    assert post(f"{zero}/api/vote", vote)["vote_granted"] is False
    append = (
        '{"term": 0, "leader_id": "node_1", "prev_log_index": 0, "prev_log_term": 0, "entries": [],'
        ' "leader_commit": 0}'
    )
    assert post(f"{zero}/api/append_entries", append)["success"] is False


def every_client_command(cluster: Cluster) -> None:
    def client(*arguments: str, stdin: str = "") -> Done:
        return raft_server("client", "--endpoints", cluster.endpoints, *arguments, stdin=stdin)

    assert client("set", "name", "Raft Cluster").code == 0
    assert client("get", "name").out == "Raft Cluster\n"
    assert client("keys").out == "name\n"
    status = client("status").out.splitlines()
    assert len(status) == 1 + len(cluster)
    assert all(node.node_id in line for node, line in zip(cluster, status[1:], strict=True))
    assert client("why").code == 0
    assert client("delete", "name").code == 0
    assert (client("get", "name").code, client("delete", "name").code) == (1, 1)
    done = client(stdin="set a 1\nget a\ndelete a\n")
    assert (done.code, "1" in done.out.splitlines()) == (0, True), done
    assert client("demo").code == 0
    assert cluster.assert_stores_equal() == {}
