"""Members of a cluster that are C programs: examples/c/node.c, compiled against the installed library."""

import json
import subprocess
from pathlib import Path
from typing import Any

from raft_harness.c_door import program
from raft_harness.cluster import Cluster, Node
from raft_harness.ports import free_ports
from raft_harness.process import Process
from raft_harness.waiting import eventually


class CNode(Node):
    """A node in a C program, which also does what it reads on stdin."""

    def command(self) -> list[str | Path]:
        return [program("node"), self.node_id, str(self.port), self.cluster.peers, self.data]

    def start(self) -> "CNode":
        assert not self.running, f"{self} runs already"
        self.http.close()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        directory, env = self.cluster.directory, self.cluster.env
        self.process = Process(self.command(), self.log, directory, env, stdin=subprocess.PIPE)
        self.paused = False
        return self

    def ask(self, command: str) -> str:
        """The line that a command on its stdin is answered with."""
        assert self.process
        assert self.process.child.stdin
        said = len(self.said().splitlines())
        self.process.child.stdin.write(command.encode() + b"\n")
        self.process.child.stdin.flush()
        lines = eventually(lambda: self._lines()[said:], f"{self} answers {command!r}", 30, interval=0.002)
        assert len(lines) == 1, lines
        return lines[0]

    def _lines(self) -> list[str]:
        """Whole lines it has said."""
        whole, _, _ = self.said().rpartition("\n")
        return whole.splitlines()

    def set_by_c(self, key: str, value: Any) -> bool:
        """Sets a key by the C API; whether that was acknowledged."""
        answer = self.ask(f"set {key} {json.dumps(value)}")
        assert answer.startswith(("ok ", "error no_leader ", "error outcome_unknown ")), answer
        return answer.startswith("ok ")

    def get_by_c(self, key: str) -> Any:
        """What the C API reads, which has to be there."""
        answer = self.ask(f"get {key}")
        assert answer.startswith("value "), answer
        return json.loads(answer.removeprefix("value "))


class CAndServerCluster(Cluster):
    """One raft-server process; the others are C programs."""

    def _make_nodes(self, size: int) -> list[Node]:
        ports = free_ports(size)
        server = Node(self, "node_0", ports[0])
        return [server, *(CNode(self, f"node_{n}", ports[n]) for n in range(1, size))]

    @property
    def c_nodes(self) -> list[CNode]:
        return [node for node in self.nodes if isinstance(node, CNode)]
