"""Backups of clusters that run: fetched while clients write, cut off, damaged, and restored elsewhere."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Node, eventually
from raft_harness.http import Http
from raft_harness.load import Load, Outcome
from raft_harness.process import server_binary
from raft_harness.shell import Done, raft_server, run

TOLD = re.compile(
    r"Backup from (\S+): the state of cluster (\w+) at index (\d+), hash (\w+); (\d+) bytes, in "
)


@dataclass
class Backup:
    """A backup, and what was said of it."""

    file: Path
    endpoint: str
    cluster_id: str
    index: int
    state_hash: str


def fetch(node: Node, file: Path, *options: str) -> Backup:
    done = raft_server("backup", "--output", file, "--endpoints", node.address, *options)
    assert (done.code, done.out) == (0, ""), done
    told = TOLD.match(done.err)
    assert told is not None, done.err
    endpoint, cluster_id, index, state_hash, length = told.groups()
    assert file.stat().st_size == int(length)
    assert not file.with_name(file.name + ".part").exists()
    return Backup(file, endpoint, cluster_id, int(index), state_hash)


def restore(backup: Backup | Path, node: Node) -> Done:
    file = backup.file if isinstance(backup, Backup) else backup
    options = ("--data-dir", node.data, "--output", "json")
    return raft_server("restore", file, node.node_id, node.address, *options)


def state_at(load: Load, index: int) -> dict[str, Any]:
    """What the keys hold at a log index, by what the writers were told."""
    latest: dict[str, tuple[int, Any]] = {}
    for writer in load.writers:
        for write in writer.writes:
            assert write.outcome is not Outcome.UNKNOWN, "nothing goes wrong here"
            if 0 < write.revision <= index:
                latest[write.key] = max(latest.get(write.key, (0, None)), (write.revision, write.value))
    return {key: value for key, (_, value) in latest.items()}


def acknowledged(load: Load) -> int:
    """A revision of a write that was acknowledged before this call, the highest that is known."""
    return max(write.revision for writer in load.writers for write in list(writer.writes))


@pytest.mark.deadline(120)
def test_under_load_it_is_the_state_at_one_index(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Backups through each node while clients write: each holds every write up to one log index, among them
    all that were acknowledged before it was asked for, and none after; restored, the state is that one."""
    old = make_cluster(3).start()
    backups, files = list[Backup](), dict[int, bytes]()
    with Load(old.nodes, writers=8, pace=0) as load:
        load.wait_for_progress(300)
        for node in old:
            before = acknowledged(load)
            backup = fetch(node, tmp_path / f"backup-{node.node_id}")
            assert backup.index > before
            # The same file is on all nodes, byte by byte, but for one that was still busy with another.
            name = f"snapshot-{backup.index:020}"
            eventually(lambda: sum((node.data / name).exists() for node in old) > 1, f"all have {name}")  # noqa: B023
            files[backup.index] = backup.file.read_bytes()
            assert {(n.data / name).read_bytes() for n in old if (n.data / name).exists()} == {
                files[backup.index]
            }
            backups.append(backup)
            load.wait_for_progress(200)
    written = len(old.assert_stores_equal())
    # Nobody writes any more: the hash is the one that all nodes show.
    last = fetch(old[1], tmp_path / "last")
    for node in old:
        shown = eventually(lambda: _at(node, last.index), f"{node} is at the snapshot's index")  # noqa: B023
        assert shown == last.state_hash
    for backup in [*backups, last]:
        with Cluster(tmp_path / f"new-{backup.index}", 1) as new:
            told: dict[str, Any] = json.loads(restore(backup, new[0]).out)
            assert (told["index"], told["state_hash"]) == (backup.index, backup.state_hash)
            assert told["from_cluster_id"] == backup.cluster_id == old[0].status()["cluster_id"]
            new.start()
            assert new[0].store() == state_at(load, backup.index)
    sizes = [len(state_at(load, backup.index)) for backup in backups]
    print(f"{written} keys at the end; at the indexes {[b.index for b in backups]} there were {sizes}")
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] < sizes[-1] < written


def _at(node: Node, index: int) -> str | None:
    status = node.status()
    return str(status["applied_hash"]) if status["last_applied"] == index else None


def test_a_snapshot_on_demand_is_on_all_nodes(calm_cluster: Cluster) -> None:
    for asked in calm_cluster:
        revision = asked.http.set_key("k", "v").ok()["revision"]
        answer = asked.http.post("/api/snapshot", {}).ok()
        assert (answer["success"], answer["index"] > revision, answer["bytes"] > 0) == (True, True, True)
        for node in calm_cluster:
            eventually(lambda: node.status()["snapshot_index"] == answer["index"], f"{node} has it")  # noqa: B023
    said = raft_server("client", "snapshot", "--output", "json", "--endpoints", calm_cluster.endpoints)
    assert json.loads(said.out)["index"] > answer["index"]
    said = raft_server("client", "snapshot", "--endpoints", calm_cluster.endpoints)
    assert re.fullmatch(r"has a snapshot of log index \d+: \d+ bytes, in \d+ ms\n", said.out), said
    metrics = calm_cluster[0].http.get("/metrics").body.decode()
    assert re.search(r"^raft_snapshots_taken [1-9]", metrics, re.MULTILINE)


def test_several_who_ask_at_once_are_all_answered(calm_cluster: Cluster) -> None:
    answers: list[int] = []

    def ask(node: Node) -> None:
        answers.append(Http(node.host, node.port).post("/api/snapshot", {}).ok()["index"])

    asking = [threading.Thread(target=ask, args=[calm_cluster[n % 3]]) for n in range(12)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    assert len(answers) == 12


def test_without_a_leader_only_a_stale_one(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(3).start()
    node = cluster[0]
    assert node.http.get("/api/backup?consistency=stale").code == "not_found"
    cluster.wait_for_leader()
    node.http.set_key("k", "v").ok()
    index = fetch(node, tmp_path / "fresh").index
    for other in cluster.others(node):
        other.kill()
    node.wait_without_leader()
    assert node.http.get("/api/backup?timeout_ms=500").code == "no_leader"
    stale = fetch(node, tmp_path / "stale", "--stale")
    assert stale.index == index
    refused = raft_server("backup", "--timeout", "500", "--endpoints", node.address)
    assert (refused.code, refused.out) == (3, ""), refused
    assert "no leader" in refused.err


def test_of_a_node_without_a_directory(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(1, arguments=["--ephemeral"]).start()
    cluster[0].set_eventually("k", {"a": 1})
    backup = fetch(cluster[0], tmp_path / "backup")
    with Cluster(tmp_path / "new", 1) as new:
        assert restore(backup, new[0]).code == 0
        assert new.start()[0].store() == {"k": {"a": 1}}


def test_to_stdout_and_not_to_a_terminal(calm_cluster: Cluster, tmp_path: Path) -> None:
    calm_cluster[0].set_eventually("k", "v")
    command = f"{server_binary()} backup --endpoints {calm_cluster.endpoints}"
    done = run(["sh", "-c", f"{command} > backup"], tmp_path)
    assert (done.code, TOLD.match(done.err) is not None) == (0, True), done
    with Cluster(tmp_path / "new", 1) as new:
        assert restore(tmp_path / "backup", new[0]).code == 0
    on_terminal = pexpect.spawn(command, encoding="utf-8", timeout=20)
    on_terminal.expect("no text for a terminal")
    on_terminal.expect(pexpect.EOF)
    on_terminal.close()
    assert on_terminal.exitstatus == 2
    full = run(["sh", "-c", f"{command} > /dev/full"], tmp_path)
    assert (full.code, "cannot write" in full.err) == (1, True), full


def answers(body: bytes) -> bytes:
    """A whole answer of one chunk."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


@contextmanager
def node_that_sends(answer: bytes) -> Iterator[str]:
    """Answers one request with these bytes, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def test_what_is_not_whole_passes_for_nothing(calm_cluster: Cluster, tmp_path: Path) -> None:
    """Cut off within the answer, an answer that ends too early, and a byte that was changed on the way."""
    calm_cluster[0].set_eventually("large", "x" * 100_000)
    whole = fetch(calm_cluster[0], tmp_path / "backup").file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for number, (answer, why) in enumerate(
        [
            (answers(whole)[: len(whole) // 2], "broke off"),
            (answers(whole[:-1]), "before its end mark"),
            (answers(whole[: len(whole) // 2]), "before its end mark"),
            (answers(b""), "before its end mark"),
            (answers(bytes(changed)), "damaged at offset"),
            (answers(whole + b"x"), "goes on after its end"),
        ]
    ):
        file = tmp_path / f"file-{number}"
        with node_that_sends(answer) as endpoint:
            done = raft_server("backup", "--output", file, "--endpoints", endpoint)
        assert (done.code, why in done.err) == (3, True), (number, done)
        assert not list(tmp_path.glob("file-*")), number
        with node_that_sends(answer) as endpoint:
            done = run(["sh", "-c", f"{server_binary()} backup --endpoints {endpoint} > out"], tmp_path)
        assert done.code == 3, done
        if number < 5:
            new = Cluster(tmp_path / f"new-{number}", 1)
            assert restore(tmp_path / "out", new[0]).code == 2, number
            assert not (new[0].data / "identity").exists()
    with node_that_sends(answers(whole)) as endpoint:
        assert raft_server("backup", "--output", tmp_path / "good", "--endpoints", endpoint).code == 0
