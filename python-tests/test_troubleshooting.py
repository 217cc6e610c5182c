"""docs/troubleshooting.md: what it quotes is what the node says. Each quoted line is provoked."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Http, Node, Process, Unreachable, eventually, namespaces, server_binary
from raft_harness.ports import free_ports
from raft_harness.process import REPOSITORY
from raft_harness.shell import raft_server

DOCUMENT = REPOSITORY / "docs/troubleshooting.md"
Provoke = Callable[[MakeCluster, Path], str]
PROVOKED: dict[str, Provoke] = {}


def provokes(title: str) -> Callable[[Provoke], Provoke]:
    def register(provoke: Provoke) -> Provoke:
        PROVOKED[title] = provoke
        return provoke

    return register


def quoted() -> dict[str, list[str]]:
    """The quoted lines under each bold title."""
    found: dict[str, list[str]] = {}
    title, inside = "", False
    for line in DOCUMENT.read_text().splitlines():
        if heading := re.fullmatch(r"\*\*(.+)\*\*", line):
            title = heading[1]
        elif line.startswith("```"):
            inside = line == "```text"
        elif inside:
            found.setdefault(title, []).append(line)
    return found


def general(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b(?:127\.0\.0\.1|10\.\d+\.\d+\.\d+):\d+", "HOST:PORT", text)
    text = re.sub(r"\b[0-9a-f]{16}\b(?!\.)", "INCARNATION", text)
    text = re.sub(r"\S*raft-data/", "raft-data/", text)
    return re.sub(r"\d+", "N", text)


def said_by(why: dict[str, object]) -> str:
    lines = [str(why["summary"])]
    reasons = why["reasons"]
    assert isinstance(reasons, list)
    for reason in reasons:
        lines += [reason["detail"], reason["advice"]]
    return "\n".join(lines)


def why_of(node: Node, code: str) -> str:
    """What a node gives for an answer once it names a reason of this kind."""

    def named() -> bool:
        return any(reason["code"] == code for reason in node.why()["reasons"])

    eventually(named, f"{node} gives {code} for a reason")
    return said_by(node.why())


def three(tmp_path: Path, *arguments: str) -> str:
    ports = free_ports(3)
    peers = ",".join(f"node_{n}=127.0.0.1:{port}" for n, port in enumerate(ports))
    given = [part.replace("PORT", str(ports[0])) for part in arguments]
    return raft_server(*given, "--peers", peers, directory=tmp_path).one_line_error()


@provokes("The port is taken")
def port_taken(make_cluster: MakeCluster, tmp_path: Path) -> str:
    taken = make_cluster(1).start()[0]
    peers = f"node_0={taken.address}"
    return raft_server("node_0", str(taken.port), "--peers", peers, directory=tmp_path).one_line_error()


@provokes("The node is not in its own peer list, or at another port")
def not_listed(_: MakeCluster, tmp_path: Path) -> str:
    other_port = str(free_ports(1)[0])
    return three(tmp_path, "node_9", "PORT") + "\n" + three(tmp_path, "node_0", other_port)


@provokes("The data directory is in use")
def directory_in_use(make_cluster: MakeCluster, _: Path) -> str:
    cluster = make_cluster(1).start()
    port = str(free_ports(1)[0])
    peers = ["--peers", f"node_0=127.0.0.1:{port}"]
    return raft_server("node_0", port, *peers, directory=cluster.directory).one_line_error()


@provokes("The bind address is open to the network")
def exposed(_: MakeCluster, tmp_path: Path) -> str:
    return three(tmp_path, "node_0", "PORT", "--host", "0.0.0.0")


@provokes("The log is damaged")
def damaged(make_cluster: MakeCluster, _: Path) -> str:
    cluster = make_cluster(1).start()
    node = cluster[0]
    for n in range(20):
        node.set_eventually(f"k{n}", "x" * 1000)
    node.kill()
    (path,) = [path for path in node.data.glob("log-*") if path.name.endswith("1")]
    log = bytearray(path.read_bytes())
    log[log.index(b"k5") + 100] ^= 1
    path.write_bytes(log)
    node.start()
    assert node.process is not None
    assert node.process.wait(20) == 2
    return node.said()


@provokes("The other members are not there")
def alone(make_cluster: MakeCluster, _: Path) -> str:
    node = make_cluster(3)[0]
    node.start().wait_answering()
    return why_of(node, "peer_unreachable")


@provokes("A firewall drops what the nodes send")
def firewalled(make_cluster: MakeCluster, _: Path) -> str:
    if reason := namespaces.why_not():
        pytest.skip(reason)
    cluster = make_cluster(3, kind=namespaces.NamespaceCluster)
    assert isinstance(cluster, namespaces.NamespaceCluster)
    cluster.cut(cluster[0], cluster[1])
    cluster[0].start().wait_answering()
    eventually(lambda: "no answer" in said_by(cluster[0].why()), "node_0 gets no answer")
    return said_by(cluster[0].why())


@provokes("The number of members is even")
def half_gone(make_cluster: MakeCluster, _: Path) -> str:
    cluster = make_cluster(2).start()
    cluster.wait_for_leader()
    for node in cluster:
        node.wait_healthy()
    cluster[1].kill()
    cluster[0].wait_without_leader()
    eventually(lambda: "refused" in said_by(cluster[0].why()), "node_0 has dialled again")
    return said_by(cluster[0].why())


@provokes("A member lost its disk")
def wiped(make_cluster: MakeCluster, _: Path) -> str:
    cluster: Cluster = make_cluster(3).start()
    cluster[0].set_eventually("k", 1)
    cluster[2].kill()
    cluster[2].wipe()
    # With both others there it would be back within a second.
    cluster[1].kill()
    cluster[2].start().wait_answering()
    return re.sub(r"node_\d knows it", "node_0 knows it", why_of(cluster[2], "wiped"))


@provokes("Two clusters met, or the peer lists differ")
def other_members(make_cluster: MakeCluster, _: Path) -> str:
    cluster = make_cluster(3)
    node = cluster[0]
    node.start()
    cluster.nodes.pop()
    cluster[1].start()
    return why_of(node.wait_answering(), "unwelcome")


@provokes("The disk is full")
def disk_full(_: MakeCluster, tmp_path: Path) -> str:
    directory = tmp_path / "raft-data"
    directory.mkdir()
    port = free_ports(1)[0]
    # A file system of its own for this process alone; the second segment of 16 MiB does not fit.
    script = 'mount -t tmpfs -o size=20m tmpfs "$1" && shift && exec "$@"'
    start = ["unshare", "--mount", "sh", "-c", script, "sh", str(directory), str(server_binary())]
    node = ["node_0", str(port), "--peers", f"node_0=127.0.0.1:{port}", "--data-dir", f"{directory}/node_0"]
    process = Process([*start, *node], tmp_path / "log", tmp_path)
    door = Http("127.0.0.1", port)
    headers = {"Content-Type": "application/octet-stream"}

    def refused() -> bool:
        if not process.running and re.search("ermission denied|not permitted", process.output()):
            pytest.skip("mounting needs root")
        try:
            return door.request("PUT", "/api/raw/k", b"x" * 900_000, headers).code == "disk_full"
        except Unreachable:
            door.close()
            return False

    try:
        eventually(refused, "the disk is full", 60)
        return said_by(door.get("/api/why").ok())
    finally:
        process.kill()


@pytest.mark.parametrize("title", list(PROVOKED))
def test_what_is_quoted_is_said(title: str, make_cluster: MakeCluster, tmp_path: Path) -> None:
    said = general(PROVOKED[title](make_cluster, tmp_path)).splitlines()
    for line in quoted()[title]:
        assert any(general(line) in real for real in said), json.dumps([general(line), said], indent=1)


def test_nothing_is_quoted_that_is_not_provoked() -> None:
    assert set(quoted()) == set(PROVOKED)


def test_codes_in_the_table_are_the_nodes_own(shared_cluster: Cluster) -> None:
    described = json.dumps(shared_cluster[0].http.get("/openapi.json").ok())
    codes = list(_codes())
    assert len(codes) > 4
    for code in codes:
        assert re.search(rf"\b{code}\b", described), code


def _codes() -> Iterator[str]:
    for line in DOCUMENT.read_text().splitlines():
        if row := re.match(r"\| (\d{3}) \| `(\w+)`", line):
            yield row[2]
