"""Ctrl-C ends every blocking call of the module within 200 ms."""

import inspect
import json
import os
import shutil
from pathlib import Path

import pytest
from raft_harness.module import run
from raft_py import RaftClient, RaftNode

# A machine that is busy with other things may be late once, but not each time.
LIMIT, TRIES = 0.2, 5

# `lone` is one of three nodes and has no leader, `client` asks it; `deaf` asks somebody who never answers.
# The stop of `stopping` waits for a call under way, a start of `reading` for a log without an end.
CALLS = {
    "RaftNode.set": "lone.set('k', 1, timeout=60)",
    "RaftNode.get": "lone.get('k', timeout=60)",
    "RaftNode.item": "lone.item('k', timeout=60)",
    "RaftNode.delete": "lone.delete('k', timeout=60)",
    "RaftNode.keys": "lone.keys(timeout=60)",
    "RaftNode.start": "next(reading).start(timeout=60)",
    "RaftNode.stop": "stopping.stop(timeout=60)",
    "RaftClient.set": "client.set('k', 1, timeout=60)",
    "RaftClient.get": "client.get('k', timeout=60)",
    "RaftClient.item": "client.item('k', timeout=60)",
    "RaftClient.delete": "client.delete('k', timeout=60)",
    "RaftClient.keys": "client.keys(timeout=60)",
    "RaftNode.transfer_leadership": "lone.transfer_leadership(timeout=60)",
    "RaftClient.transfer_leadership": "client.transfer_leadership(timeout=60)",
    "RaftNode.add_member": "lone.add_member('x', '127.0.0.1:1', timeout=60)",
    "RaftNode.promote_member": "lone.promote_member('x', timeout=60)",
    "RaftNode.set_priority": "lone.set_priority('x', 1, timeout=60)",
    "RaftClient.set_priority": "client.set_priority('x', 1, timeout=60)",
    "RaftNode.snapshot": "lone.snapshot(timeout=60)",
    "RaftClient.snapshot": "client.snapshot(timeout=60)",
    "RaftNode.remove_member": "lone.remove_member('x', timeout=60)",
    "RaftClient.add_member": "client.add_member('x', '127.0.0.1:1', timeout=60)",
    "RaftClient.promote_member": "client.promote_member('x', timeout=60)",
    "RaftClient.remove_member": "client.remove_member('x', timeout=60)",
    "RaftClient.members": "deaf.members(timeout=60)",
    "RaftClient.status": "deaf.status(timeout=60)",
    "RaftClient.explain": "deaf.explain(timeout=60)",
    "AsyncRaftClient.get": "asyncio.run(AsyncRaftClient([lone.address]).get('k', timeout=60))",
}
# These a node answers from what it knows, whatever its cluster does.
AT_ONCE = {"RaftNode.status", "RaftNode.explain", "RaftNode.members"}

PROGRAM = """
    import asyncio, json, socket
    lone, stopping = lonely().start(), lonely().start()
    reading = iter([solo(data_dir=directory) for directory in {directories!r}])
    client = RaftClient([lone.address])
    silent = socket.create_server(("127.0.0.1", 0))
    deaf = RaftClient(["127.0.0.1:%d" % silent.getsockname()[1]])

    def waits():
        try:
            stopping.get("k", timeout=60)
        except RaftError:
            pass

    threading.Thread(target=waits, daemon=True).start()
    for call in lone.status, lone.explain, lone.members:
        began = time.monotonic()
        call()
        assert time.monotonic() - began < 5, call

    def ring(rung):
        rung.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    for name, call in {{{calls}}}.items():
        took = []
        while len(took) < {tries} and min(took, default=9) >= {limit}:
            rung = []
            # Between two looks of the call, of which there are twenty a second.
            threading.Timer(0.11 + 0.01 * len(took), ring, [rung]).start()
            try:
                call()
                raise SystemExit(name + " has returned")
            except KeyboardInterrupt:
                took.append(time.monotonic() - rung[0])
        print(json.dumps([name, took]), flush=True)
"""


def blocking_calls() -> set[str]:
    """Whatever takes a timeout may take a while."""
    return {
        f"{kind.__name__}.{name}"
        for kind in (RaftNode, RaftClient)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and "timeout" in inspect.signature(method).parameters
    }


def test_each_call_that_may_wait_is_in_the_table() -> None:
    assert len(blocking_calls()) > 12
    assert CALLS.keys() | AT_ONCE >= blocking_calls()


@pytest.fixture
def endless_logs(tmp_path: Path) -> list[str]:
    """Data directories whose log is a pipe that nobody writes to. Who has given up has not let go of his."""
    first = tmp_path / "0"
    done = run(f"solo(data_dir={str(first)!r}).start().stop()")
    assert done.returncode == 0, done.stderr
    (log,) = first.glob("log-*")
    log.unlink()
    copies = [shutil.copytree(first, tmp_path / str(n)) for n in range(1, TRIES + 1)]
    for copy in copies:
        os.mkfifo(copy / log.name)
    return list(map(str, copies))


def test_ctrl_c_ends_each(endless_logs: list[str]) -> None:
    calls = ", ".join(f"{name!r}: lambda: {call}" for name, call in CALLS.items())
    program = PROGRAM.format(directories=endless_logs, calls=calls, tries=TRIES, limit=LIMIT)
    done = run(program, timeout=100)
    assert done.returncode == 0, done.stderr
    took = dict(json.loads(line) for line in done.stdout.splitlines())
    assert took.keys() == CALLS.keys()
    print("seconds after Ctrl-C:", {name: round(min(times), 3) for name, times in took.items()})
    late = {name: times for name, times in took.items() if min(times) >= LIMIT}
    assert not late, f"of {TRIES} times, seconds after Ctrl-C: {late}"
