#!/usr/bin/env python3
"""From the death of the leader to the next acknowledged write through the survivors.

Each trial: a cluster of three takes writes; just before `kill -9` of the leader (or SIGSTOP with --mode
stop) the clock starts; it stops when a survivor acknowledges a write that was sent after the kill. A fresh
write goes to each survivor every few milliseconds, over kept-alive connections, and none is cancelled: what
one survivor still tries to hand to the dead leader does not hold up the next. Then the old leader comes
back and catches up before the next trial.
"""

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench_tools import machine_notes, quantile, scratch_directory
from raft_harness import Cluster, Node


class Probe:
    """Kept-alive connections to some nodes, each with at most one write in flight: as many as it takes."""

    MOST = 1000

    def __init__(self, nodes: Sequence[Node], each: int = 24) -> None:
        self.nodes = nodes
        self.selector = selectors.DefaultSelector()
        self.free: list[list[socket.socket]] = [[connect(node) for _ in range(each)] for node in nodes]
        self.counts: dict[int, int] = {}
        for n, sockets in enumerate(self.free):
            for one in sockets:
                self.selector.register(one, selectors.EVENT_READ, n)

    def send(self, key: str) -> None:
        """One write to each node."""
        body = json.dumps({"key": key, "value": "x"})
        request = (
            "POST /api/set HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode()
        for n, sockets in enumerate(self.free):
            if not sockets and len(self.selector.get_map()) < self.MOST:
                sockets.append(connect(self.nodes[n]))
                self.selector.register(sockets[0], selectors.EVENT_READ, n)
            if sockets:
                with contextlib.suppress(OSError):
                    sockets.pop().send(request)

    def receive(self, wait: float) -> float | None:
        """The moment of the first acknowledgement, if one comes in time."""
        for ready, _ in self.selector.select(wait):
            one, n = ready.fileobj, ready.data
            assert isinstance(one, socket.socket)
            now = time.perf_counter()
            try:
                status = int(one.recv(65536).split(b" ", 2)[1])
            except (OSError, IndexError, ValueError):
                status = 0
                self.selector.unregister(one)
            self.counts[status] = self.counts.get(status, 0) + 1
            if status == 200:
                return now
            if status:
                self.free[n].append(one)
        return None

    def close(self) -> None:
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self.selector.close()


def connect(node: Node) -> socket.socket:
    one = socket.create_connection((node.host, node.port), timeout=5)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.setblocking(False)
    return one


def wait_until_still(pid: int) -> None:
    """Until the kernel has stopped or ended the process: it must not answer the first write itself."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "TZX":
            return


def trial(cluster: Cluster, number: int, mode: str, interval: float, give_up: float) -> float:
    """Seconds without a leader, as a client sees it."""
    leader = cluster.wait_for_leader()
    assert leader.process is not None
    probe = Probe(cluster.others(leader))
    for n in range(20):
        leader.http.set_key(f"before/{n}", number).ok()
    pid, sign = leader.process.pid, signal.SIGKILL if mode == "kill" else signal.SIGSTOP
    began = time.perf_counter()
    os.kill(pid, sign)
    leader.paused = mode == "stop"
    wait_until_still(pid)
    acknowledged, n = None, 0
    while acknowledged is None:
        due = began + n * interval
        if time.perf_counter() >= due:
            probe.send(f"after/{n % 100}")
            n += 1
        acknowledged = probe.receive(max(0.0, began + n * interval - time.perf_counter()))
        assert time.perf_counter() < began + give_up, (
            f"no write in {give_up} s: {probe.counts}\n{cluster.logs()}"
        )
    probe.close()
    if mode == "kill":
        leader.kill()
        leader.start()
    else:
        leader.resume()
    cluster.wait_healthy()
    cluster.wait_for_leader()
    cluster.wait_settled()
    return acknowledged - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--mode", choices=["kill", "stop"], default="kill")
    parser.add_argument("--interval-ms", type=float, default=4, help="between two writes to a survivor")
    parser.add_argument("--give-up", type=float, default=15, help="seconds after which a trial has failed")
    parser.add_argument("--json", type=Path, help="write every trial's milliseconds there")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    notes = machine_notes()
    took: list[float] = []
    with scratch_directory() as directory, Cluster(directory) as cluster:
        cluster.start()
        for number in range(options.trials):
            took.append(
                1000 * trial(cluster, number, options.mode, options.interval_ms / 1000, options.give_up)
            )
            if options.verbose or (number + 1) % 10 == 0:
                print(f"  trial {number + 1}: {took[-1]:.1f} ms", flush=True)
    print("\n".join(notes))
    print(report(options.mode, took))
    if options.json:
        options.json.write_text(json.dumps(took))


def report(mode: str, took: list[float]) -> str:
    ordered = sorted(took)
    what = "kill -9" if mode == "kill" else "SIGSTOP"
    return (
        f"{what} of the leader to the next acknowledged write, {len(took)} trials, timeouts 150-300 ms:"
        f" median {statistics.median(took):.1f} ms, p90 {quantile(ordered, 0.9):.1f}, p99"
        f" {quantile(ordered, 0.99):.1f}, min {ordered[0]:.1f}, max {ordered[-1]:.1f}"
    )


if __name__ == "__main__":
    main()
