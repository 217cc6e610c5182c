"""What the benchmarks share: an etcd cluster, the load generator, notes about the machine."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "python-tests"))

from raft_harness import Http, Process, Unreachable, eventually
from raft_harness.ports import free_ports


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory on the repository's disk, removed afterwards."""
    (REPOSITORY / "target").mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=REPOSITORY / "target"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class EtcdCluster:
    """Three etcd members on loopback, with etcd's defaults unless told otherwise."""

    def __init__(self, directory: Path, binary: Path, size: int = 3, options: Sequence[str] = ()) -> None:
        self.directory, self.binary, self.options = directory, binary, list(options)
        ports = free_ports(2 * size)
        self.client_ports, self.peer_ports = ports[:size], ports[size:]
        self.processes: list[Process] = []
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        members = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(self.peer_ports))
        self.processes = [self._start(n, members) for n in range(len(self.client_ports))]
        eventually(self._answers, "etcd answers", 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.kill()

    def _start(self, n: int, members: str) -> Process:
        client = f"http://127.0.0.1:{self.client_ports[n]}"
        peer = f"http://127.0.0.1:{self.peer_ports[n]}"
        command: list[str | Path] = [self.binary, "--name", f"m{n}", "--data-dir", self.directory / f"m{n}"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", members, "--initial-cluster-state", "new", "--log-level", "error"]
        return Process([*command, *self.options], self.directory / f"m{n}.log")

    def _answers(self) -> bool:
        body = {"key": "cHJvYmU=", "value": "MQ=="}
        try:
            replies = [Http("127.0.0.1", port).post("/v3/kv/put", body).status for port in self.client_ports]
        except Unreachable:
            return False
        return all(status == 200 for status in replies)

    @property
    def endpoints(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.client_ports)


def etcd_binary() -> Path:
    """ETCD_BIN, or Debian's, which bench/get-etcd brings."""
    if "ETCD_BIN" in os.environ:
        return Path(os.environ["ETCD_BIN"])
    done = subprocess.run([REPOSITORY / "bench/get-etcd"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def load_generator() -> Path:
    path = REPOSITORY / "target/release/raft-bench"
    default = os.environ.get("RAFT_BENCH_BIN", path)
    if not Path(default).exists():
        raise SystemExit(f"{default} is not there: cargo build --release -p raft-bench")
    return Path(default)


def run_load(operation: str, target: str, endpoints: str, **options: object) -> dict[str, Any]:
    """One run of raft-bench; its figures."""
    command: list[str | Path] = [load_generator(), operation, "--target", target, "--endpoints", endpoints]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def machine_notes() -> list[str]:
    """What the figures depend on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = Path("/proc/meminfo").read_text().split()[1]
    return [
        f"{time.strftime('%Y-%m-%d %H:%M')}: {os.cpu_count()} cores, {model}, {int(memory) >> 20} GiB,"
        f" Linux {platform.release()}",
        f"load before: {os.getloadavg()[0]:.2f}; fdatasync of an overwritten 4 KiB block on this disk:"
        f" {_fdatasync_micros():.0f} µs (median of 300)",
    ]


def _fdatasync_micros() -> float:
    took = []
    with scratch_directory() as directory:
        descriptor = os.open(directory / "probe", os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(descriptor, bytes(4 << 20), 0)
            os.fsync(descriptor)
            for n in range(300):
                began = time.perf_counter()
                os.pwrite(descriptor, os.urandom(4096), 4096 * n)
                os.fdatasync(descriptor)
                took.append(time.perf_counter() - began)
        finally:
            os.close(descriptor)
    return statistics.median(took) * 1e6


def quantile(sorted_values: Sequence[float], q: float) -> float:
    """The value below which a share q lies, by the nearest rank."""
    rank = max(0, min(len(sorted_values) - 1, round(q * len(sorted_values) + 0.5) - 1))
    return sorted_values[rank]
