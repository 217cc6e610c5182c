"""The wheel's `raft-server` and `python -m raft_py` are the command: exit codes, signals, children."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raft_harness import Http, Process, eventually
from raft_harness.module import solo
from raft_harness.ports import free_ports, is_free
from raft_harness.process import clean_environment
from raft_harness.shell import raft_server, run

WAYS = {
    "script": [str(Path(sys.executable).with_name("raft-server"))],
    "module": [sys.executable, "-m", "raft_py"],
}


@pytest.fixture(params=WAYS)
def command(request: pytest.FixtureRequest) -> list[str]:
    return WAYS[request.param]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["client", "--help"], ["completions", "bash"], ["node_0"], ["node_0", "x"]],
    ids=" ".join,
)
def test_it_says_what_the_binary_says(command: list[str], arguments: list[str]) -> None:
    wide = {"COLUMNS": "100"}  # help is as wide as the terminal
    assert run([*command, *arguments], env=wide) == raft_server(*arguments, env=wide)


def test_exit_codes(command: list[str]) -> None:
    with solo() as node:
        endpoint = ["--endpoints", node.address]
        assert run([*command, "client", "set", "k", "v", *endpoint]).code == 0
        assert node.get("k") == "v"
        done = run([*command, "client", "get", "k", *endpoint])
        assert (done.code, done.out) == (0, "v\n")
        assert run([*command, "client", "get", "missing", *endpoint]).code == 1
    assert run([*command, "client", "get", "k", "--timeout", "300", *endpoint]).code == 3
    assert run([*command, "nonsense"]).code == 2


@pytest.fixture
def children() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_node_cleanly(
    command: list[str], number: signal.Signals, tmp_path: Path, children: list[Process]
) -> None:
    port = free_ports(1)[0]
    node = [*command, "solo", str(port), "--peers", f"solo=127.0.0.1:{port}"]
    for n in range(2):
        process = Process(node, tmp_path / f"log{n}", tmp_path)
        children.append(process)
        eventually(lambda: "leads" in process.output(), "it leads", 20)  # noqa: B023
        http = Http("127.0.0.1", port)
        assert http.get_key("n").ok()["found"] is (n > 0)
        http.set_key("n", n).ok()
        http.close()
        process.send(number)
        assert process.wait(20) == 0, process.output()


def test_ctrl_c_ends_a_client_that_waits(command: list[str], tmp_path: Path, children: list[Process]) -> None:
    waits = ["client", "get", "k", "--endpoints", "127.0.0.1:1", "--timeout", "60000"]
    process = Process([*command, *waits], tmp_path / "log")
    children.append(process)
    eventually(lambda: Path(f"/proc/{process.pid}/maps").read_text().count("_native"), "it has loaded", 20)
    eventually(lambda: _dies_of(process, signal.SIGINT), "Ctrl-C ends it", 20)


def _dies_of(process: Process, number: signal.Signals) -> bool:
    process.send(number)
    return not process.running


def test_a_node_goes_with_its_parent(command: list[str]) -> None:
    port = free_ports(1)[0]
    node = ["solo", str(port), "--ephemeral", "--peers", f"solo=127.0.0.1:{port}", "--exit-with-parent"]
    command, env = [*command, *node], clean_environment()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_whole_cluster(command: list[str], tmp_path: Path, children: list[Process]) -> None:
    first = next(port for port in free_ports(50) if is_free(port + 1) and is_free(port + 2))
    arguments = ["cluster", "--ephemeral", "--base-port", str(first), "--no-dashboard"]
    process = Process([*command, *arguments], tmp_path / "log", tmp_path)
    children.append(process)
    eventually(lambda: "A cluster of 3 nodes is running" in process.output(), "it runs", 30)
    http = Http("127.0.0.1", first + 1)
    http.set_key("k", 1).ok()
    assert http.get_key("k").ok()["value"] == 1
    http.close()
    shown = "raft-server client" if command is WAYS["script"] else "python -m raft_py client"
    assert shown in process.output()
    process.send(signal.SIGINT)
    assert process.wait(30) == 0, process.output()
