"""Members of every kind in one cluster: the command, a Python program, a C program, this process itself."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raft_py import RaftNode

from raft_harness.c_node import CNode
from raft_harness.cluster import Cluster, Node
from raft_harness.ports import free_ports


class PythonNode(CNode):
    """A node in a Python program, which answers on stdin and stdout as a C program's does."""

    def command(self) -> list[str | Path]:
        host = Path(__file__).with_name("python_host.py")
        return [sys.executable, host, self.node_id, str(self.port), self.cluster.peers, self.data]


class ModuleNode(Node):
    """A node in this process. It cannot be killed alone: `kill` stops it."""

    def __init__(self, cluster: Cluster, node_id: str, port: int) -> None:
        super().__init__(cluster, node_id, port)
        self.module: RaftNode | None = None

    @property
    def running(self) -> bool:
        return self.module is not None and self.module.is_running

    def start(self) -> "ModuleNode":
        assert not self.running, f"{self} runs already"
        self.http.close()
        peers = {node.node_id: node.address for node in self.cluster.nodes}
        self.module = RaftNode(self.node_id, self.port, peers=peers, data_dir=self.data).start()
        return self

    def stop(self) -> int:
        self.kill()
        return 0

    def kill(self) -> None:
        self.http.close()
        if self.module is not None:
            self.module.stop()


KINDS: dict[str, type[Node]] = {"process": Node, "module": ModuleNode, "python": PythonNode, "c": CNode}


class MixedCluster(Cluster):
    """A cluster of members of the given kinds."""

    def __init__(self, directory: Path, size: int = 3, kinds: Sequence[str] = (), **options: Any) -> None:
        self.kinds = list(kinds) or ["process"] * size
        super().__init__(directory, len(self.kinds), **options)

    def _make_nodes(self, size: int) -> list[Node]:
        ports = enumerate(zip(self.kinds, free_ports(size), strict=True))
        return [KINDS[kind](self, f"node_{n}", port) for n, (kind, port) in ports]

    def kill_all(self) -> None:
        super().kill_all()
        for node in self.nodes:
            if isinstance(node, ModuleNode):
                node.kill()


def set_through(node: Node, key: str, value: Any) -> bool:
    """Sets a key through the node's own door; whether that was acknowledged."""
    if isinstance(node, ModuleNode):
        assert node.module is not None
        return node.module.set(key, value, timeout=10) > 0
    if isinstance(node, CNode):
        return node.set_by_c(key, value)
    return node.http.set_key(key, value).status == 200


def get_through(node: Node, key: str) -> Any:
    """Reads a key through the node's own door."""
    if isinstance(node, ModuleNode):
        assert node.module is not None
        return node.module.get(key, timeout=10)
    if isinstance(node, CNode):
        return node.get_by_c(key)
    return node.http.get_key(key).ok()["value"]
