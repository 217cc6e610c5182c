"""Starting a node: settings and where they come from, and every way in which a start can fail."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Http, Process, Unreachable, eventually, server_binary
from raft_harness.ports import free_ports
from raft_harness.shell import raft_server


def single(port: int, node_id: str = "node_0") -> list[str]:
    return [node_id, str(port), "--peers", f"{node_id}=127.0.0.1:{port}"]


def test_help_and_version() -> None:
    for arguments in (["--help"], ["-h"]):
        done = raft_server(*arguments)
        assert done.code == 0
        for name in ("--peers", "--data-dir", "--election-timeout-min", "NODE_ID"):
            assert name in done.out or arguments == ["-h"]
    assert raft_server("--version").out.startswith("raft-server ")


def test_a_data_directory_of_its_own_by_default(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(1).start()
    assert (cluster.directory / "raft-data/node_0/identity").exists()
    assert list((cluster.directory / "raft-data/node_0").glob("log-*"))


def test_usage_errors(tmp_path: Path) -> None:
    port = str(free_ports(1)[0])
    for arguments in [
        ["node_0"],
        ["node_0", "port"],
        ["node_0", "0"],
        ["node_0", "65536"],
        ["node_0", port, "--nonsense"],
        ["node_0", port, "--heartbeat-interval", "x"],
    ]:
        done = raft_server(*arguments, directory=tmp_path)
        assert (done.code, done.out) == (2, ""), arguments
        assert done.err.strip()
    assert not (tmp_path / "raft-data").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bad id", "PORT"], "bad id"),
        (["x" * 65, "PORT"], "64"),
        (["stranger", "PORT"], "stranger"),
        (["node_0", "PORT", "--peers", "node_0"], "node_0"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1"], "127.0.0.1"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT,node_0=127.0.0.1:1"], "node_0"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT,node_1=127.0.0.1:PORT"], "node_1"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:1"], "--advertise"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT", "--host", "0.0.0.0"], "--insecure"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT", "--election-timeout-min", "400"], "election"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT", "--heartbeat-interval", "200"], "heartbeat"),
        (["node_0", "PORT", "--peers", "node_0=127.0.0.1:PORT", "--config", "missing.toml"], "missing.toml"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value,
)
def test_a_configuration_that_cannot_work(tmp_path: Path, arguments: list[str], named: str) -> None:
    port = str(free_ports(1)[0])
    done = raft_server(*[part.replace("PORT", port) for part in arguments], directory=tmp_path)
    assert named in done.one_line_error()
    assert not (tmp_path / "raft-data").exists(), "nothing is written by a start that fails"


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as taken:
        port = taken.getsockname()[1]
        line = raft_server(*single(port), directory=tmp_path).one_line_error()
    assert str(port) in line
    assert "in use" in line


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_text("x")
    for path in ["file", "file/below", "photos", "/proc/nowhere"]:
        done = raft_server(*single(free_ports(1)[0]), "--data-dir", path, directory=tmp_path)
        assert path.split("/", maxsplit=1)[0] in done.one_line_error() or path in done.err
    assert (tmp_path / "photos/holiday.jpg").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop its rights")
def test_an_unwritable_directory(tmp_path: Path) -> None:
    """As a user without rights: root may write anywhere."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    for parent in [tmp_path, *tmp_path.parents]:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    if not all(parent.stat().st_mode & 0o001 for parent in server_binary().resolve().parents):
        pytest.skip("another user could not run the binary where it lies")
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", server_binary(), *single(free_ports(1)[0])],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "raft-data" in done.stderr
    assert "permission" in done.stderr


def test_precedence_of_flag_environment_and_file(tmp_path: Path) -> None:
    """Each place names another data directory; the strongest one wins."""
    port = free_ports(1)[0]
    config = tmp_path / "raft.toml"
    config.write_text('data-dir = "from-file"\n')
    for env, flags, expected in [
        ({}, [], "from-file"),
        ({"RAFT_DATA_DIR": "from-env"}, [], "from-env"),
        ({"RAFT_DATA_DIR": "from-env"}, ["--data-dir", "from-flag"], "from-flag"),
    ]:
        command: list[str | Path] = [server_binary(), *single(port), *flags]
        process = Process(command, tmp_path / "log", tmp_path, env)
        eventually((tmp_path / expected / "identity").exists, f"{expected} is used: {process.output()}")
        process.kill()


def test_a_bad_config_file(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    for text, named in [
        ("nonsense", "raft.toml"),
        ("hartbeat-interval = 5", "hartbeat"),
        ('heartbeat-interval = "soon"', "heartbeat"),
    ]:
        (tmp_path / "raft.toml").write_text(text)
        line = raft_server(*single(port), directory=tmp_path).one_line_error()
        assert named in line
        assert "raft.toml" in line


def test_a_bad_environment(tmp_path: Path) -> None:
    line = raft_server(
        *single(free_ports(1)[0]), directory=tmp_path, env={"RAFT_HEARTBEAT_INTERVAL": "soon"}
    ).one_line_error()
    assert "RAFT_HEARTBEAT_INTERVAL" in line


def test_logs_in_json(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    command: list[str | Path] = [server_binary(), *single(port), "--log-format", "json"]
    process = Process(command, tmp_path / "log", tmp_path)
    eventually(lambda: len(process.output().splitlines()) >= 2, "it logs")
    process.kill()
    for line in process.output().splitlines():
        entry = json.loads(line)
        assert {"timestamp", "level"} <= entry.keys()


def test_names_are_resolved(tmp_path: Path) -> None:
    """A cluster whose peer list says `localhost` instead of an address."""
    with Cluster(tmp_path / "c") as cluster:
        for node in cluster:
            node.host = "localhost"
        assert "localhost" in cluster.peers
        cluster.start()
        cluster[0].http.set_key("k", 1).ok()


def test_advertise(tmp_path: Path) -> None:
    """A node that listens elsewhere than the others dial: behind a forwarded port."""
    port, other = free_ports(2)
    peers = f"node_0=127.0.0.1:{other}"
    command: list[str | Path] = [server_binary(), "node_0", str(port), "--peers", peers]
    process = Process([*command, "--advertise", f"127.0.0.1:{other}"], tmp_path / "log", tmp_path)
    eventually(lambda: process.running and answers(Http("127.0.0.1", port)), "it leads alone")
    status = Http("127.0.0.1", port).get("/api/status").ok()
    assert status["leader_address"] == f"127.0.0.1:{other}"
    process.kill()


def answers(http: Http) -> bool:
    try:
        return http.get("/health").status == 200
    except Unreachable:
        return False


def test_ephemeral_leaves_nothing_on_disk(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3, arguments=["--ephemeral"]).start()
    cluster[0].http.set_key("k", 1).ok()
    assert not (cluster.directory / "raft-data").exists()


def test_sigint_stops_cleanly(cluster: Cluster) -> None:
    for node in cluster:
        assert node.process is not None
        node.process.send(signal.SIGINT)
        assert node.process.wait() == 0


def test_two_clusters_do_not_mix(make_cluster: MakeCluster) -> None:
    """A node of another cluster that took a member's port is refused with a reason, and nothing is mixed."""
    first, second = make_cluster(3).start(), make_cluster(3).start()
    first[0].http.set_key("from", "first").ok()
    second[0].http.set_key("from", "second").ok()
    moved = first[2]
    moved.kill()
    identity = second[2].data / "identity"
    eventually(lambda: "cluster_id = none" not in identity.read_text(), "it knows its cluster's name")
    second.kill_all()
    intruder = second[2]
    intruder.port = moved.port
    intruder.http = type(intruder.http)("127.0.0.1", moved.port)
    second.nodes[0].port, second.nodes[1].port = first[0].port, first[1].port
    intruder.start().wait_answering()

    def refused() -> bool:
        return not intruder.is_healthy() and bool(intruder.why()["reasons"])

    eventually(refused, "the intruder has no leader and says why")
    leader = first.leader()
    assert leader is not None
    leader.http.set_key("still", "works").ok()
    assert intruder.store().get("from") != "first"
    assert "cluster" in json.dumps(intruder.why()).lower()
