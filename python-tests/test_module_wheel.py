"""The wheel on other versions of CPython, without Rust; and `pip install .` from a fresh clone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from raft_harness.namespaces import why_not
from raft_harness.process import REPOSITORY, server_binary
from raft_harness.shell import run

OLDEST, NEWEST = 9, 15


def _others() -> dict[str, str]:
    """The interpreters of other versions that this machine has, one of each."""
    found: dict[str, str] = {}
    for minor in range(OLDEST, NEWEST + 1):
        places = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
        named = shutil.which(f"python3.{minor}")
        for candidate in [*map(str, places), *([named] if named else [])]:
            if minor != sys.version_info.minor and _works(candidate):
                found[f"3.{minor}"] = candidate
                break
    return found


def _works(python: str) -> bool:
    probe = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    return probe.returncode == 0


def _run(*command: str | Path, directory: Path, timeout: float = 100, path: str = "/usr/bin:/bin") -> str:
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for name in ("CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"):
        if path != "/usr/bin:/bin" and name in os.environ:
            environment[name] = os.environ[name]
    done = subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


PROGRAM = """
import asyncio, socket, sys
from raft_py import AsyncRaftClient, RaftClient, RaftNode

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
address = f"127.0.0.1:{port}"
with RaftNode("solo", port, peers={"solo": address}) as node:
    node.set("name", "Raft Cluster")
    with RaftClient([address]) as client:
        assert client.get("name") == "Raft Cluster"
    async def ask():
        async with AsyncRaftClient([address]) as client:
            return await client.keys()
    print(sys.version_info[:2], asyncio.run(ask()), node.status()["state"])
left = RaftNode("solo", port, peers={"solo": address}).start()  # for the interpreter's exit to stop
assert left.get("name") == "Raft Cluster"
"""


def _the_readme_runs_with(python: Path) -> None:
    """README's Python lines, verbatim, where they can have a network of their own."""
    if why_not():
        return
    command = [sys.executable, "-m", "pytest", "-q", "python-tests/test_readme_python.py", "-k", "README"]
    env = {"RAFT_README_PYTHON": str(python), "RAFT_SERVER_BIN": str(server_binary())}
    done = run(command, REPOSITORY, env, timeout=100)
    assert done.code == 0, done.out
    assert re.search(r"^[2-9] passed", done.out, re.MULTILINE), done.out


OTHERS = _others()
NONE = [pytest.param("", marks=pytest.mark.skip("there is no other CPython from 3.9 on here"))]


@pytest.mark.parametrize("version", OTHERS or NONE)
def test_the_wheel_on_another_version_without_rust(version: str, tmp_path: Path) -> None:
    wheels = list((REPOSITORY / "target/wheels").glob("raft_py-*-abi3-*.whl"))
    assert len(wheels) == 1, "run .ci/wheel first"
    _run(OTHERS[version], "-m", "venv", "venv", directory=tmp_path)
    python = tmp_path / "venv/bin/python"
    _run(python, "-m", "pip", "install", "--quiet", "--no-index", wheels[0], directory=tmp_path)
    said = _run(python, "-c", PROGRAM, directory=tmp_path)
    assert said == f"(3, {version.split('.')[1]}) ['name'] leader\n"
    assert (tmp_path / "raft-data/solo").is_dir()
    if version == min(OTHERS, key=lambda other: int(other[2:])):
        _the_readme_runs_with(python)
    for command in ([tmp_path / "venv/bin/raft-server"], [python, "-m", "raft_py"]):
        assert _run(*command, "--version", directory=tmp_path).startswith("raft-server ")


@pytest.mark.deadline(1500)
@pytest.mark.skipif("RAFT_PIP_INSTALL" not in os.environ, reason="builds for minutes: set RAFT_PIP_INSTALL=1")
def test_pip_install_from_a_fresh_clone(tmp_path: Path) -> None:
    """`pip install .` in a fresh environment, with nothing built before, then README's lines."""
    _run("git", "clone", "--quiet", REPOSITORY, "clone", directory=tmp_path)
    _run(sys.executable, "-m", "venv", "venv", directory=tmp_path)
    python = tmp_path / "venv/bin/python"
    install = (python, "-m", "pip", "install", "--quiet", "./clone")
    _run(*install, directory=tmp_path, timeout=1400, path=os.environ["PATH"])
    assert "leader" in _run(python, "-c", PROGRAM, directory=tmp_path)
    _the_readme_runs_with(python)
    assert _run(tmp_path / "venv/bin/raft-server", "--version", directory=tmp_path)
