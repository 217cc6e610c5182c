"""The documented quick start, command by command and curl line by curl line, on ports of its own."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from raft_harness import Cluster

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments: str) -> Any:
    done = subprocess.run(
        ["curl", "-sS", *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def post(url: str, body: str) -> Any:
    return curl("-X", "POST", url, "-H", "Content-Type: application/json", "-d", body)


def test_every_documented_request(shared_cluster: Cluster) -> None:
    zero, one, two = (f"http://localhost:{node.port}" for node in shared_cluster)
    leader = shared_cluster.wait_for_leader().node_id

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
    assert (status["node_id"], status["leader_id"]) == ("node_1", leader)

    vote = '{"term": 0, "candidate_id": "node_1", "last_log_index": 0, "last_log_term": 0}'
    assert post(f"{zero}/api/vote", vote)["vote_granted"] is False
    append = (
        '{"term": 0, "leader_id": "node_1", "prev_log_index": 0, "prev_log_term": 0, "entries": [],'
        ' "leader_commit": 0}'
    )
    assert post(f"{zero}/api/append_entries", append)["success"] is False
