"""The module's types and examples are true: stubtest, mypy as a user runs it, doctest."""

import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import raft_py
from raft_harness.documented import on_free_ports

MODULES = ["raft_py", *(f"raft_py.{module.name}" for module in pkgutil.iter_modules(raft_py.__path__))]
EXAMPLES = {
    test.name: test
    for name in MODULES
    if name not in ("raft_py._native", "raft_py.__main__")
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
}


def _mypy(*arguments: str | Path, directory: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_there_are_examples() -> None:
    names = {"raft_py", "raft_py._node.RaftNode", "raft_py._client.RaftClient"}
    assert EXAMPLES.keys() >= names | {"raft_py._async_client.AsyncRaftClient"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str) -> None:
    test = EXAMPLES[name]
    text = on_free_ports("\0".join(example.source for example in test.examples))
    for example, source in zip(test.examples, text.split("\0"), strict=True):
        example.source = source
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


def test_stubtest(tmp_path: Path) -> None:
    done = _mypy("mypy.stubtest", "raft_py", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


PROGRAM = """
from raft_py import AsyncRaftClient, RaftClient, RaftNode, Status

def use(node: RaftNode, client: RaftClient) -> int:
    with node as running, client as open_client:
        revision: int = running.set("k", {"a": [1, "x", None]}) + open_client.set("k", b"x", timeout=1.5)
        status: Status = node.status()
        names: list[str] = [member["node_id"] for member in status["members"]] + client.keys()
        was_there: bool = node.delete("k")
        return revision + len(names) + was_there

async def use_async(client: AsyncRaftClient) -> list[str]:
    async with client as open_client:
        return await open_client.keys("a")
"""


def test_mypy_strict_as_a_user_runs_it(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(PROGRAM)
    done = _mypy("mypy", "--strict", "--cache-dir=cache", "good.py", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = PROGRAM.replace('b"x"', "object()").replace("-> list[str]", "-> list[int]")
    (tmp_path / "wrong.py").write_text(wrong)
    done = _mypy("mypy", "--strict", "--cache-dir=cache", "wrong.py", directory=tmp_path)
    assert done.stdout.count("error:") == 2, done.stdout
