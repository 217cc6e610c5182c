#!/usr/bin/env python3
"""Puts and linearizable reads of raft-server and etcd, three nodes each, in the same run on the same
machine.

Both clusters run all the time; the load generator asks one, then the other, and so on (A B A B). What is
printed is the median of the rounds, and the ratio. A single connection goes to the leader, since otherwise
it would be chance whether it did; more are spread over all nodes.
"""

import argparse
import json
import statistics
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_tools import EtcdCluster, etcd_binary, machine_notes, run_load, scratch_directory
from raft_harness import Cluster, server_binary

Results = dict[tuple[str, int, str], list[dict[str, Any]]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind and server")
    parser.add_argument("--connections", default="1,64,256")
    parser.add_argument("--operations", default="put,get")
    parser.add_argument("--targets", default="raft,etcd")
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--route", choices=["auto", "all", "leader"], default="auto")
    parser.add_argument("--json", type=Path, help="write every measurement there")
    return parser.parse_args()


def route(options: argparse.Namespace, connections: int) -> str:
    if options.route != "auto":
        return str(options.route)
    return "leader" if connections == 1 else "all"


def measure(options: argparse.Namespace, endpoints: dict[str, str]) -> Results:
    results: Results = {}
    for operation in options.operations.split(","):
        for connections in map(int, options.connections.split(",")):
            for number in range(options.rounds):
                for target, addresses in endpoints.items():
                    figures = run_load(
                        operation,
                        target,
                        addresses,
                        connections=connections,
                        seconds=options.seconds,
                        value_bytes=options.value_bytes,
                        keys=options.keys,
                        route=route(options, connections),
                    )
                    results.setdefault((operation, connections, target), []).append(figures)
                    told = f"{figures['operations_per_second']:>9,.0f}/s"
                    errors = f"  errors {figures['errors']}" if figures["errors"] else ""
                    print(f"  {operation} {connections:>3} {target} #{number + 1} {told}{errors}", flush=True)
    return results


def table(results: Results, targets: list[str]) -> list[str]:
    columns = [f"{target} {what}" for target in targets for what in ("per s", "p50 µs", "p99 µs", "p99.9 µs")]
    lines = ["| | connections | " + " | ".join(columns) + " | raft : etcd | errors |"]
    lines.append("| --- " * (len(columns) + 4) + "|")
    for operation, connections in dict.fromkeys(key[:2] for key in results):
        rates: list[float] = []
        cells: list[str] = []
        errors = 0
        for target in targets:
            runs = results[operation, connections, target]
            rates.append(statistics.median(run["operations_per_second"] for run in runs))
            latencies = [
                statistics.median(run["latency_us"][p] for run in runs) for p in ("p50", "p99", "p999")
            ]
            cells += [f"{figure:,.0f}" for figure in (rates[-1], *latencies)]
            errors += sum(sum(run["errors"].values()) for run in runs)
        ratio = f"{rates[0] / rates[1]:.1f}×" if len(rates) == 2 else ""
        lines.append("| " + " | ".join([operation, str(connections), *cells, ratio, str(errors)]) + " |")
    return lines


def main() -> None:
    options = arguments()
    targets = options.targets.split(",")
    notes = machine_notes()
    with ExitStack() as stack:
        directory = stack.enter_context(scratch_directory())
        endpoints: dict[str, str] = {}
        if "raft" in targets:
            cluster = stack.enter_context(Cluster(directory / "raft")).start()
            cluster.wait_for_leader()
            endpoints["raft"] = cluster.endpoints
            notes.append(f"raft-server: {version(server_binary())}")
        if "etcd" in targets:
            binary = etcd_binary()
            endpoints["etcd"] = stack.enter_context(EtcdCluster(directory / "etcd", binary)).endpoints
            notes.append(f"etcd: {version(binary)}, its defaults")
        results = measure(options, endpoints)
    print()
    print("\n".join(notes))
    print(
        f"3 nodes on loopback, {options.value_bytes}-byte values, {options.keys} keys, route {options.route},"
        f" medians of {options.rounds} runs of {options.seconds:g} s each, alternating\n"
    )
    print("\n".join(table(results, [target for target in ("raft", "etcd") if target in endpoints])))
    if options.json:
        options.json.write_text(json.dumps([run for runs in results.values() for run in runs], indent=1))


def version(binary: Path) -> str:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else "no --version"


if __name__ == "__main__":
    main()
