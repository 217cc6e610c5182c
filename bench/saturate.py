#!/usr/bin/env python3
"""Saturating load with default timeouts: no change of leader, and no error but 429.

256 connections write 256-byte values through all three nodes for 60 s. Meanwhile every node's term and
leader are read twice a second. Exits with 1 where the leader or the term changed, or another error came.
"""

import argparse
import sys
import threading

from bench_tools import machine_notes, run_load, scratch_directory
from raft_harness import Cluster, Unreachable

Views = set[tuple[str | None, int]]


def watch(cluster: Cluster, views: Views, slow: list[str], done: threading.Event) -> None:
    """Notes every leader and term that any node tells of."""
    while not done.wait(0.5):
        for node in cluster.nodes:
            try:
                status = node.http.get("/api/status", timeout=5).ok()
                views.add((status["leader_id"], status["term"]))
            except Unreachable as error:
                slow.append(str(error))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--operation", choices=["put", "get"], default="put")
    parser.add_argument("--value-bytes", type=int, default=256)
    options = parser.parse_args()
    notes = machine_notes()
    views: Views = set()
    slow: list[str] = []
    with scratch_directory() as directory, Cluster(directory) as cluster:
        cluster.start()
        leader = cluster.wait_for_leader()
        before = (leader.node_id, leader.status()["term"])
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(cluster, views, slow, done), daemon=True)
        watcher.start()
        figures = run_load(
            options.operation,
            "raft",
            cluster.endpoints,
            connections=options.connections,
            seconds=options.seconds,
            value_bytes=options.value_bytes,
        )
        done.set()
        watcher.join(30)
        after = {(status["leader_id"], status["term"]) for status in map(type(leader).status, cluster)}
        cluster.assert_stores_equal(60)
    latency = figures["latency_us"]
    print("\n".join(notes))
    print(
        f"{options.operation}, {options.connections} connections over 3 nodes, {figures['seconds']:.0f} s:"
        f" {figures['operations']:,} done, {figures['operations_per_second']:,.0f}/s; µs: p50"
        f" {latency['p50']:,}, p99 {latency['p99']:,}, p99.9 {latency['p999']:,}, max {latency['max']:,};"
        f" errors {figures['errors']}"
    )
    changes = (views | after) - {before}
    wrong = {status: count for status, count in figures["errors"].items() if status != "429"}
    print(f"leader and term at first: {before}, changes: {sorted(map(str, changes))}, slow status: {slow}")
    if changes or wrong or slow:
        sys.exit("not as it should be: see above")


if __name__ == "__main__":
    main()
