"""The demos: they end well only when what they say was observed, and leave nothing behind."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from raft_harness import Process, eventually, server_binary
from raft_harness.shell import Done, raft_server
from regenerate_demos import DEMOS, Demo, documented, normal, run

GOOD = "All of this was observed. The servers are stopped, and their directory is removed."


def children(pid: int) -> list[int]:
    """The processes it started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def running_in(directory: Path) -> list[int]:
    """Processes that work there, or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            cwd = str((process / "cwd").readlink())
        except OSError:
            continue
        if cwd.startswith(str(directory)):
            found.append(int(process.name))
    return found


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Where demos make their directories; nothing may be left there, or run there."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    yield directory
    assert running_in(directory) == []
    assert list(directory.iterdir()) == []


def demo(scratch: Path, *arguments: str, **variables: str) -> Done:
    env = {"TMPDIR": str(scratch), **variables}
    return raft_server("demo", *arguments, directory=scratch.parent, env=env, timeout=100)


class Running:
    """A demo under way."""

    def __init__(self, scratch: Path, *arguments: str) -> None:
        env = {"TMPDIR": str(scratch)}
        self.process = Process([server_binary(), "demo", *arguments], scratch.parent / "out", env=env)

    def says(self, text: str) -> "Running":
        eventually(lambda: text in self.process.output(), f"it says {text!r}", 30)
        return self

    def servers(self) -> list[int]:
        return children(self.process.pid)

    def ends_badly(self) -> str:
        code = self.process.wait(60)
        output = self.process.output()
        assert code == 1, output
        assert GOOD not in output
        last = output.splitlines()[-1]
        assert last.startswith("raft-server: ")
        return last


@pytest.mark.parametrize("size", [3, 5])
def test_failover(scratch: Path, size: int) -> None:
    done = demo(scratch, "failover", "--rounds", "2", "--nodes", str(size))
    assert (done.code, done.err) == (0, ""), done
    assert done.out.splitlines()[-1] == GOOD
    assert len(re.findall(r"No write for: median \S+ ms, min \S+ ms, max \S+ ms\.", done.out)) == 2
    row = r"^   node_\d, term \d+ +\S+ ms   node_\d, term \d+ +\S+ ms$"
    assert len(re.findall(row, done.out, re.MULTILINE)) == 4
    assert max(map(len, done.out.replace(str(scratch), "/tmp").splitlines())) <= 100
    (count,) = re.findall(r"(\d+) writes were acknowledged", done.out)
    assert int(count) > 10
    assert done.out.count(f"all {count} are there") == size
    assert "\x1b" not in done.out, "colour is for terminals"


def test_terms_go_up_and_leaders_change(scratch: Path) -> None:
    done = demo(scratch, "failover", "--rounds", "3")
    rounds = re.findall(r"^   (node_\d), term (\d+) .* (node_\d), term (\d+) ", done.out, re.MULTILINE)
    assert len(rounds) == 6
    for before, old, after, new in rounds:
        assert before != after
        assert int(old) < int(new)


def test_consistency(scratch: Path) -> None:
    done = demo(scratch, "consistency")
    assert (done.code, done.err) == (0, ""), done
    assert done.out.splitlines()[-1] == GOOD
    for words in (
        r"\n   set balance = 200 +50[34] (timeout|no_leader)\n",
        r"\n   get balance +50[34] (timeout|no_leader)\n",
        r"\n   get balance\?consistency=stale +200: 100, which may be old",
        r"acknowledged \S+ ms after the cut",
        r"set balance = 300 through node_\d: 200",
        r"entries of term 1 wait",
    ):
        assert re.search(words, done.out), words
    assert len(re.findall(r"node_\d holds (\d+) keys; balance is 300", done.out)) == 3
    assert max(map(len, done.out.replace(str(scratch), "/tmp").splitlines())) <= 100


def test_the_users_settings_are_not_for_the_servers_of_a_demo(scratch: Path) -> None:
    (scratch.parent / "raft.toml").write_text("nonsense = true\n")
    assert demo(scratch, "consistency", RAFT_HOST="0.0.0.0", RAFT_PEERS="nobody").code == 0


def test_a_server_that_somebody_else_kills_spoils_it(scratch: Path) -> None:
    running = Running(scratch, "consistency").says("1. Reads")
    victim = running.servers()[0]
    os.kill(victim, signal.SIGKILL)
    assert "was killed by signal 9, which was not this demo's doing" in running.ends_badly()


def test_a_killed_server_spoils_a_failover_too(scratch: Path) -> None:
    running = Running(scratch, "failover", "--rounds", "100").says("1. The leader")

    def spoil() -> bool:
        # The demo kills servers too: one that it was about to kill is not missed.
        for victim in running.servers()[:1]:
            os.kill(victim, signal.SIGKILL)
        return not running.process.running

    eventually(spoil, "it ends", 60, interval=0.5)
    assert "not this demo's doing" in running.ends_badly()


@pytest.mark.parametrize("name", ["failover", "consistency"])
def test_without_a_majority_nothing_is_claimed(scratch: Path, name: str) -> None:
    running = Running(scratch, name).says("1. ")
    for victim in running.servers()[:2]:
        os.kill(victim, signal.SIGSTOP)
    assert running.ends_badly()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["failover", "consistency"])
def test_an_interrupt_clears_up(scratch: Path, name: str, number: signal.Signals) -> None:
    running = Running(scratch, name).says("1. ")
    assert len(running.servers()) >= 2
    running.process.send(number)
    assert running.process.wait(20) == 130
    assert GOOD not in running.process.output()


def test_kill_9_leaves_no_server(tmp_path: Path) -> None:
    running = Running(tmp_path, "consistency").says("1. ")
    running.process.kill()
    eventually(lambda: not running_in(tmp_path), "its servers end with it", 20)


def test_kill_9_leaves_no_paused_server(tmp_path: Path) -> None:
    running = Running(tmp_path, "failover", "--rounds", "3").says("2. The leader is paused")

    def a_paused_server() -> bool:
        assert running.process.running, running.process.output()
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in running.servers()]
        return any(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    eventually(a_paused_server, "a server stands still", 20, interval=0.002)
    running.process.kill()
    eventually(lambda: not running_in(tmp_path), "its servers end with it", 20)


def test_a_reader_that_goes_away_gets_no_good_end(scratch: Path) -> None:
    command = f"{server_binary()} demo consistency | head -1 >&2; exit ${{PIPESTATUS[0]}}"
    process = Process(["bash", "-c", command], scratch.parent / "out", env={"TMPDIR": str(scratch)})
    assert process.wait(60) == 1
    assert len(process.output().splitlines()) == 1


def general(output: str) -> list[str]:
    """Without what differs from run to run."""
    return [normal(line) for line in output.splitlines() if not line.strip().startswith(">")]


@pytest.mark.parametrize("shown", DEMOS, ids=lambda shown: shown.command.replace(" ", "-"))
def test_the_document_shows_what_the_demos_print(shown: Demo) -> None:
    assert general(documented(shown)) == general(run(shown)), "run python-tests/regenerate_demos.py"
