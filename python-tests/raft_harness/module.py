"""The Python module in tests: a node alone in this process, and Python programs that use the module."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raft_py import RaftNode

from raft_harness.ports import free_ports


def solo(**settings: object) -> RaftNode:
    """A cluster of one, in memory unless told otherwise; not started."""
    port = free_ports(1)[0]
    settings = {"ephemeral": "data_dir" not in settings, **settings}
    return RaftNode("solo", port, peers={"solo": f"127.0.0.1:{port}"}, **settings)  # type: ignore[arg-type]


def lonely() -> RaftNode:
    """One of three nodes, the others of which are not there: it has no leader; not started."""
    ports = free_ports(3)
    peers = {f"n{n}": f"127.0.0.1:{port}" for n, port in enumerate(ports)}
    return RaftNode("n0", ports[0], peers=peers, ephemeral=True)


PRELUDE = """
import os, signal, sys, threading, time
import raft_py
from raft_py import *
from raft_harness.module import lonely, solo
"""


def environment() -> dict[str, str]:
    """For a Python program that finds the harness."""
    harness = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": harness, "PYTHONDONTWRITEBYTECODE": "1"}


def command(program: str) -> list[str]:
    """A Python program after `PRELUDE`."""
    return [sys.executable, "-u", "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(program)]


def run(program: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    """Runs a Python program to its end, which has to come in time."""
    return subprocess.run(
        command(program), capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )


@contextmanager
def running(program: str) -> Iterator["subprocess.Popen[str]"]:
    """A Python program that runs until it has ended or the test has."""
    with subprocess.Popen(
        command(program), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()
