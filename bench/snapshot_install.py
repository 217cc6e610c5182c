#!/usr/bin/env python3
"""A large store on three nodes, and a fourth that joins empty while writes go on.

How long the snapshot takes to make and to install, how long the replicas' threads are busy at a time, what
memory all that needs, and what writers notice.

Every key is written once, then keys are drawn at random. The data is the keys and values as they are stored.
"""

import argparse
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench_tools import load_generator, machine_notes, run_load, scratch_directory
from raft_harness import Cluster, Http, Joining, Node, Unreachable
from raft_harness.ports import free_ports

MIB = 1 << 20
# A key of the load generator's has twelve bytes, and JSON puts a value into quotes.
KEY, QUOTES = 12, 2
TARGET_PAUSE_MS = 10
TARGET_MEMORY = 2


class Probe:
    """Writes one key again and again, and keeps the longest time between two acknowledgements."""

    def __init__(self, node: Node) -> None:
        self.http = Http(node.host, node.port)
        self.acked, self.longest, self._over = 0, 0.0, False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()
        self.http.close()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over:
            try:
                is_acked = self.http.set_key("probe", self.acked).status == 200
            except Unreachable:
                is_acked = False
            if is_acked:
                now = time.monotonic()
                self.acked, self.longest, last = self.acked + 1, max(self.longest, now - last), now
            time.sleep(0.002)


class Pauses:
    """The turns of a node's replica from now on, by the bounds of its histogram."""

    def __init__(self, node: Node) -> None:
        self.node, self.before = node, node.metrics()

    def text(self) -> str:
        """How many were long since then, and the longest since the node was started."""
        after = self.node.metrics()
        counts = {
            bound: after[name] - self.before.get(name, 0)
            for name in after
            if (bound := bound_of(name)) is not None
        }
        total = counts[float("inf")]
        longer = {bound: total - count for bound, count in sorted(counts.items()) if total > count}
        over = ", ".join(f"{n:.0f} over {bound * 1000:g} ms" for bound, n in longer.items() if bound >= 0.002)
        longest = after["raft_longest_turn_seconds"] * 1000
        return f"{total:.0f} turns, {over or 'none over 2 ms'}; the longest since its start {longest:.1f} ms"


def bound_of(name: str) -> float | None:
    head, _, rest = name.partition('raft_turn_seconds_bucket{le="')
    return None if head or not rest else float(rest.removesuffix('"}').replace("+Inf", "inf"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--connections", type=int, default=16, help="of the writers that go on")
    parser.add_argument("--snapshot-mib", type=int, default=64)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each step")
    return parser.parse_args()


def reached(condition: Callable[[], object]) -> object:
    try:
        return condition()
    except Unreachable:
        return None


def wait(condition: Callable[[], object], what: str, timeout: float) -> float:
    """Looks a hundred times a second; when it was true."""
    deadline = time.monotonic() + timeout
    while not reached(condition):
        if time.monotonic() > deadline:
            raise SystemExit(f"after {timeout:.0f} s still not: {what}")
        time.sleep(0.01)
    return time.monotonic()


def memory(node: Node) -> tuple[int, int]:
    """What the process has in memory now, and the most since the last `forget_peak`: VmRSS and VmHWM."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    now, peak = (int(status.partition(f"{name}:")[2].split()[0]) << 10 for name in ("VmRSS", "VmHWM"))
    return now, peak


def forget_peak(node: Node) -> None:
    """From now on VmHWM is of what comes (proc(5), clear_refs)."""
    assert node.process is not None
    Path(f"/proc/{node.process.pid}/clear_refs").write_text("5")


@contextmanager
def writers(options: argparse.Namespace, cluster: Cluster) -> Iterator[subprocess.Popen[str]]:
    """The load generator, until it is told to stop."""
    command: list[str | Path] = [load_generator(), "put", "--endpoints", cluster.endpoints]
    command += ["--warmup", "0", "--values", "drawn"]
    for name in ("connections", "keys", "value_bytes"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    seconds = str(int(3 * options.timeout))
    load = subprocess.Popen([*command, "--seconds", seconds], stdout=subprocess.PIPE, text=True)
    try:
        yield load
    finally:
        load.kill()
        load.wait()


def fill(options: argparse.Namespace, cluster: Cluster) -> None:
    began = time.monotonic()
    size = {"keys": options.keys, "value_bytes": options.value_bytes, "values": "drawn"}
    # Reads need every key to be there: the load generator writes them all first.
    run_load("get", "raft", cluster.endpoints, connections=256, seconds=1, warmup=0, max_ops=1, **size)
    print(f"{options.keys:,} keys written in {time.monotonic() - began:.1f} s", flush=True)


def make(options: argparse.Namespace, leader: Node) -> None:
    """All take a snapshot."""
    pauses = Pauses(leader)
    timeout = int(options.timeout * 1000)
    path = f"/api/snapshot?timeout_ms={timeout}"
    made = leader.http.post(path, {}, timeout=options.timeout).ok()
    print(f"snapshot made in {made['took_ms'] / 1000:.2f} s: {made['bytes'] / MIB:.1f} MiB")
    print(f"  leader meanwhile: {pauses.text()}", flush=True)


def sendings(cluster: Cluster) -> int:
    """How often a transfer of a snapshot has begun or gone on."""
    logs = (node.log.read_text(errors="replace") for node in cluster)
    return sum(log.count("sends a snapshot, from this byte on") for log in logs)


def install(options: argparse.Namespace, cluster: Cluster, leader: Node) -> Node:
    """A fourth node joins and gets it."""
    node = Joining(cluster, "node_3", free_ports(1)[0])
    before = sendings(cluster)
    pauses, began = Pauses(leader), time.monotonic()
    node.start().wait_answering()
    done = lambda: node.status()["snapshot_index"] > 0  # noqa: E731
    installed = wait(done, "the snapshot to be installed", options.timeout)
    print(f"installed on an empty node {installed - began:.2f} s after its start")

    def votes() -> bool:
        roles = {member["node_id"]: member["role"] for member in leader.status()["members"]}
        return roles.get("node_3") == "voter"

    caught_up = wait(votes, "the new node to catch up and vote", options.timeout)
    sent = sendings(cluster) - before
    print(f"caught up by log, and a voter, {caught_up - installed:.2f} s later; sent {sent} time(s)")
    print(f"  leader meanwhile: {pauses.text()}")
    first = dict.fromkeys(node.metrics(), 0.0)
    pauses = Pauses(node)
    pauses.before = first
    print(f"  new node: {pauses.text()}", flush=True)
    return node


def report_memory(options: argparse.Namespace, nodes: list[Node], when: str) -> None:
    data = options.keys * (KEY + QUOTES + options.value_bytes)
    print(f"memory {when}; the data: {data / MIB:.1f} MiB of keys and values")
    for node in nodes:
        now, peak = memory(node)
        print(
            f"  {node.node_id}: {now / MIB:.1f} MiB now, {peak / MIB:.1f} at most: {peak / data:.2f} x data"
        )


def main() -> None:
    options = arguments()
    for note in machine_notes():
        print(note)
    with scratch_directory() as directory:
        settings = ["--snapshot-mib", str(options.snapshot_mib)]
        with Cluster(directory, arguments=settings) as cluster:
            cluster.start()
            fill(options, cluster)
            report_memory(options, cluster.nodes, "with all keys written")
            for node in cluster:
                forget_peak(node)
            leader = cluster.wait_for_leader(60)
            # A connection that was idle for so long may be closed by now.
            leader.http.close()
            before = leader.metrics()["raft_last_applied"]
            with writers(options, cluster), Probe(leader) as probe:
                began = time.monotonic()
                make(options, leader)
                cluster.nodes.append(install(options, cluster, leader))
                took = time.monotonic() - began
                written = leader.metrics()["raft_last_applied"] - before
            print(f"meanwhile {written:,.0f} writes in {took:.1f} s; {probe.acked:,} of one probing writer,")
            print(f"  whose acknowledgements were {probe.longest * 1000:.1f} ms apart at most")
            now: Any = cluster.wait_for_leader(30).node_id
            print(f"leader: {leader.node_id} at first, {now} at last")
            report_memory(options, cluster.nodes, "since then")
    print(f"targets: no turn over {TARGET_PAUSE_MS} ms, memory at most {TARGET_MEMORY} x data")


if __name__ == "__main__":
    main()
