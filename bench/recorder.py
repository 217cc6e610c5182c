#!/usr/bin/env python3
"""What the flight recorder costs: the same load on a cluster that records and on one that does not.

Both clusters run all the time on the same disk, and the load generator asks them by turns (A B, B A, A B …),
so that what drifts falls on both alike. Each round gives one ratio; printed are the median of these, and how
much the runs of one cluster differ among themselves, below which a difference says nothing. The processors'
time that the nodes take for an operation says it too, and depends less on what else the machine does.
"""

import argparse
import json
import os
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_tools import machine_notes, run_load, scratch_directory
from raft_harness import Cluster
from raft_harness.files import bytes_in

ON, OFF = "on", "off"
Runs = dict[str, list[dict[str, Any]]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=6, help="measurements of each kind and cluster")
    parser.add_argument("--connections", default="1,64,256")
    parser.add_argument("--operations", default="put,get")
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--record-mib", type=int, default=64, help="of the cluster that records")
    parser.add_argument("--json", type=Path, help="write every measurement there")
    return parser.parse_args()


def cpu_seconds(cluster: Cluster) -> float:
    """What the nodes' processes have used so far."""
    ticks = 0
    for node in cluster:
        assert node.process is not None
        fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    options: argparse.Namespace, clusters: dict[str, Cluster], operation: str, connections: int
) -> Runs:
    runs: Runs = {ON: [], OFF: []}
    for number in range(options.rounds):
        order = [ON, OFF] if number % 2 == 0 else [OFF, ON]
        for kind in order:
            before = cpu_seconds(clusters[kind])
            figures = run_load(
                operation,
                "raft",
                clusters[kind].endpoints,
                connections=connections,
                seconds=options.seconds,
                value_bytes=options.value_bytes,
                keys=options.keys,
                # A single connection goes to the leader, or it would be chance whether it did.
                route="leader" if connections == 1 else "all",
            )
            used = cpu_seconds(clusters[kind]) - before
            figures["cpu_us"] = used * 1e6 / (figures["operations_per_second"] * options.seconds)
            runs[kind].append(figures)
            told = f"{figures['operations_per_second']:>9,.0f}/s  {figures['cpu_us']:>5.1f} µs of CPU"
            errors = f"  errors {figures['errors']}" if figures["errors"] else ""
            print(f"  {operation} {connections:>3} {kind:<3} #{number + 1} {told}{errors}", flush=True)
    return runs


def rates(runs: list[dict[str, Any]]) -> list[float]:
    return [float(run["operations_per_second"]) for run in runs]


def spread(runs: list[dict[str, Any]]) -> float:
    """Between the quickest and the slowest run, as a share of their median."""
    figures = rates(runs)
    return (max(figures) - min(figures)) / statistics.median(figures)


def row(operation: str, connections: int, runs: Runs) -> str:
    ratios = [on / off for on, off in zip(rates(runs[ON]), rates(runs[OFF]), strict=True)]
    cells = [operation, str(connections)]
    for kind in (ON, OFF):
        latencies = [statistics.median(run["latency_us"][p] for run in runs[kind]) for p in ("p50", "p99")]
        figures = (statistics.median(rates(runs[kind])), *latencies)
        cells += [f"{figure:,.0f}" for figure in figures]
        cells += [f"{statistics.median(run['cpu_us'] for run in runs[kind]):.1f}"]
    cells += [f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}"]
    cells += [f"{max(spread(runs[ON]), spread(runs[OFF])):.1%}"]
    errors = sum(sum(run["errors"].values()) for kind in (ON, OFF) for run in runs[kind])
    return "| " + " | ".join([*cells, str(errors)]) + " |"


def main() -> None:
    options = arguments()
    notes = machine_notes()
    table = [
        "| | connections | on: per s | p50 µs | p99 µs | CPU µs | off: per s | p50 µs | p99 µs | CPU µs |"
        " on : off | rounds | spread | errors |",
        "| --- " * 14 + "|",
    ]
    measured: list[dict[str, Any]] = []
    with ExitStack() as stack:
        directory = stack.enter_context(scratch_directory())
        clusters = {}
        for kind, mib in ((ON, options.record_mib), (OFF, 0)):
            cluster = Cluster(directory / kind, arguments=["--record-mib", str(mib)])
            clusters[kind] = stack.enter_context(cluster).start()
            clusters[kind].wait_for_leader()
        for operation in options.operations.split(","):
            for connections in map(int, options.connections.split(",")):
                runs = measure(options, clusters, operation, connections)
                table.append(row(operation, connections, runs))
                measured += [{"recorder": kind, **run} for kind in (ON, OFF) for run in runs[kind]]
        used = sum(map(bytes_in, (directory / ON).glob("raft-data/*/recording/current")))
    print()
    print("\n".join(notes))
    print(
        f"3 nodes on loopback each, {options.value_bytes}-byte values, {options.rounds} rounds of"
        f" {options.seconds:g} s; --record-mib {options.record_mib} against 0;"
        f" {used >> 20} MiB recorded at the end\n"
    )
    print("\n".join(table))
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
