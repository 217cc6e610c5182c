"""`raft-server cluster`: a whole local cluster as real processes, in one command, with no orphans."""

import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from raft_harness import Http, Process, Unreachable, eventually, server_binary
from raft_harness.ports import free_ports
from raft_harness.shell import raft_server


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def consecutive_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for _ in range(1000):
        (first,) = free_ports(1)
        try:
            socks = []
            for port in range(first, first + count):
                sock = socket.socket()
                socks.append(sock)
                sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for sock in socks:
                sock.close()
        return first
    raise AssertionError("no free ports in a row")


class Local:
    """The command, running."""

    def __init__(self, directory: Path, size: int) -> None:
        self.first = consecutive_ports(size + 1)
        self.dashboard = self.first + size
        self.ports = list(range(self.first, self.first + size))
        command: list[str | Path] = [server_binary(), "cluster", "--nodes", str(size)]
        ports = ["--base-port", str(self.first), "--dashboard-port", str(self.dashboard)]
        self.process = Process([*command, *ports], directory / "out", directory)

    def ready(self) -> bool:
        assert self.process.running, self.process.output()
        try:
            return all(Http("127.0.0.1", port).get("/health").status == 200 for port in self.ports)
        except Unreachable:
            return False

    def says(self, *words: str) -> bool:
        """Whether it has said one of these."""
        return any(word in self.process.output() for word in words)

    def wait(self) -> "Local":
        eventually(self.ready, "every node of the cluster is healthy", 20)
        return self


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    one = Local(tmp_path, 3).wait()
    yield one
    left = children(one.process.pid)
    one.process.kill()
    eventually(lambda: not any(map(is_alive, left)), "its nodes ended with it", 10)


def test_it_serves_and_tells_what_to_try(local: Local) -> None:
    for port in local.ports:
        Http("127.0.0.1", port).set_key("k", port).ok()
        eventually(partial(local.says, f":{port}"), "it names every address")
    eventually(partial(local.says, "client"), "it says what to try")
    assert len(children(local.process.pid)) == 3, "a process each"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_all(local: Local, number: signal.Signals) -> None:
    nodes = children(local.process.pid)
    assert len(nodes) == 3
    local.process.send(number)
    assert local.process.wait(15) == 0
    assert not any(map(is_alive, nodes))


def test_kill_9_of_the_command_leaves_no_orphans(local: Local) -> None:
    nodes = children(local.process.pid)
    os.kill(local.process.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, nodes)), "no orphans", 10)


def test_what_was_written_is_there_the_next_time(tmp_path: Path) -> None:
    first = Local(tmp_path, 3).wait()
    Http("127.0.0.1", first.ports[0]).set_key("k", "v").ok()
    first.process.send(signal.SIGINT)
    assert first.process.wait(15) == 0
    ports = ["--base-port", str(first.first), "--no-dashboard"]
    second_command: list[str | Path] = [server_binary(), "cluster", *ports]
    second = Process(second_command, tmp_path / "out2", tmp_path)
    http = Http("127.0.0.1", first.ports[1])

    def value() -> bool:
        try:
            return bool(http.get_key("k").json().get("value") == "v")
        except Unreachable:
            return False

    eventually(value, f"the value is there again: {second.output()}", 20)
    second.kill()


@pytest.mark.parametrize("size", [1, 5])
def test_other_sizes(tmp_path: Path, size: int) -> None:
    one = Local(tmp_path, size).wait()
    assert len(children(one.process.pid)) == size
    one.process.send(signal.SIGINT)
    assert one.process.wait(15) == 0


def test_a_node_that_dies_is_told(local: Local) -> None:
    victim = children(local.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(partial(local.says, "stopped", "ended", "killed", "died"), "it says that a node ended")


def test_bad_arguments(tmp_path: Path) -> None:
    for arguments in (["--nodes", "0"], ["--nodes", "x"], ["--nonsense"]):
        done = raft_server("cluster", *arguments, directory=tmp_path)
        assert (done.code, done.out) == (2, "")
