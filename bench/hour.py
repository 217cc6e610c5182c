#!/usr/bin/env python3
"""An hour's worth of small sets: what they leave on the disk, how long a restart takes, and what a set that
comes while a snapshot is taken waits for.

Sets go to three nodes in windows of a few seconds. A window in which the leader finished a snapshot counts as
one with a snapshot, so that both kinds are of the same run.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench_tools import machine_notes, run_load, scratch_directory
from raft_harness import Cluster, Node


@dataclass
class Course:
    """What came of the windows so far."""

    sets: int = 0
    errors: int = 0
    disk: int = 0
    snapshots: int = 0
    with_snapshot: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=32)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--window", type=float, default=3, help="seconds of a window")
    parser.add_argument("--snapshot-mib", type=int, default=64)
    return parser.parse_args()


def disk_use(node: Node) -> int:
    """Bytes of the data directory, but for the recording."""

    def size(path: Path) -> int:
        try:
            return path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            return 0

    return sum(size(path) for path in node.data.rglob("*") if "recording" not in path.parts)


def window(options: argparse.Namespace, cluster: Cluster, course: Course) -> None:
    leader = cluster.wait_for_leader()
    before = leader.status()["snapshot_index"]
    figures = run_load(
        "put",
        "raft",
        cluster.endpoints,
        connections=options.connections,
        seconds=options.window,
        warmup=0,
        value_bytes=options.value_bytes,
        keys=options.keys,
        max_ops=options.sets - course.sets,
    )
    has_snapshot = leader.status()["snapshot_index"] > before
    course.snapshots += has_snapshot
    p99 = float(figures["latency_us"]["p99"])
    (course.with_snapshot if has_snapshot else course.without).append(p99)
    course.sets += int(figures["operations"])
    course.errors += sum(figures["errors"].values())
    course.disk = max(course.disk, *(disk_use(node) for node in cluster))


def restart_seconds(cluster: Cluster) -> float:
    """From kill -9 of all to the first acknowledged write."""
    cluster.kill_all()
    began = time.monotonic()
    for node in cluster:
        node.start()
    cluster[0].set_eventually("restarted", 1, 60)
    return time.monotonic() - began


def main() -> None:
    options = arguments()
    for note in machine_notes():
        print(note)
    course = Course()
    with scratch_directory() as directory:
        mib = str(options.snapshot_mib)
        with Cluster(directory, arguments=["--snapshot-mib", mib]) as cluster:
            cluster.start()
            while course.sets < options.sets:
                window(options, cluster, course)
                print(f"  {course.sets:,} sets, {course.disk >> 20} MiB at most", flush=True)
            left = [f"{disk_use(node) >> 20} MiB" for node in cluster]
            restart = restart_seconds(cluster)
    what = f"{options.value_bytes} bytes over {options.keys:,} keys"
    print(f"{course.sets:,} sets of {what}, {course.errors} errors")
    print(f"disk: {course.disk >> 20} MiB at most on a node, {', '.join(left)} at the end")
    print(f"restart of all three: {restart:.2f} s to the first acknowledged write")
    if course.with_snapshot and course.without:
        slow, quick = (statistics.median(p99s) for p99s in (course.with_snapshot, course.without))
        print(
            f"p99, median of windows: {slow / 1000:.2f} ms in {len(course.with_snapshot)} with a snapshot,"
            f" {quick / 1000:.2f} ms in {len(course.without)} without: {slow / quick:.2f} times"
        )


if __name__ == "__main__":
    main()
