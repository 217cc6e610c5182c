"""Starts, hurts and watches clusters of the shipped `raft-server`.

`Cluster` is the way in: a temporary directory, free ports, one process a node. `Http` speaks to a node,
`load` writes with known outcomes, `namespaces` gives every node a network of its own. Nothing here sleeps
for a fixed time to let something happen: `eventually` polls for a condition up to a deadline.
"""

from raft_harness.cluster import Cluster, Joining, Node
from raft_harness.http import Http, Reply, Unreachable
from raft_harness.process import Process, server_binary
from raft_harness.waiting import Missed, eventually

__all__ = [
    "Cluster",
    "Http",
    "Joining",
    "Missed",
    "Node",
    "Process",
    "Reply",
    "Unreachable",
    "eventually",
    "server_binary",
]
