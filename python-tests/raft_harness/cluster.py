"""A cluster of the shipped command, in a temporary directory."""

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from raft_harness.http import Http, Unreachable
from raft_harness.ports import free_ports
from raft_harness.process import Process, server_binary
from raft_harness.waiting import eventually

PAGE = 1000


class Node:
    """One member: its process comes and goes, its directory stays."""

    def __init__(self, cluster: "Cluster", node_id: str, port: int) -> None:
        self.cluster, self.node_id, self.port = cluster, node_id, port
        self.host = "127.0.0.1"
        self.http = Http(self.host, port)
        self.log = cluster.directory / f"{node_id}.log"
        self.data = cluster.directory / "raft-data" / node_id
        self.process: Process | None = None
        self.paused = False
        self._log_start = 0

    def __repr__(self) -> str:
        return f"<{self.node_id} on {self.port}>"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def command(self) -> list[str | Path]:
        peers = ["--peers", self.cluster.peers]
        return [server_binary(), self.node_id, str(self.port), *peers, *self.cluster.arguments]

    def start(self) -> "Node":
        """Starts the process; does not wait for it to answer."""
        assert not self.running, f"{self} runs already"
        self.http.close()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self.process = Process(self.command(), self.log, self.cluster.directory, self.cluster.env)
        self.paused = False
        return self

    def said(self) -> str:
        """What it has logged since its last start."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.http.close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send(signal.SIGTERM)
        self.http.close()
        return self.process.wait(20)

    def pause(self) -> None:
        assert self.process is not None
        self.process.send(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        assert self.process is not None
        self.process.send(signal.SIGCONT)
        self.paused = False

    def wipe(self) -> None:
        """Removes the data directory, as a replaced disk would."""
        assert not self.running, f"{self} must be stopped first"
        shutil.rmtree(self.data)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/api/status", timeout=3).ok()
        return found

    def why(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/api/why", timeout=3).ok()
        return found

    def metrics(self) -> dict[str, float]:
        """Its metrics by name and labels, as they are written."""
        lines = self.http.get("/metrics", timeout=3).body.decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def is_healthy(self) -> bool:
        return self.running and self.http.get("/health", timeout=3).status == 200

    def wait_healthy(self, timeout: float = 15.0) -> "Node":
        """Waits until it knows a leader."""
        eventually(lambda: _reached(self.is_healthy), f"{self} is healthy", timeout)
        return self

    def wait_without_leader(self, timeout: float = 15.0) -> None:
        """Waits until it says that it knows no leader."""
        eventually(
            lambda: _reached(lambda: self.http.get("/health", timeout=3).status == 503),
            f"{self} knows no leader",
            timeout,
        )

    def wait_answering(self, timeout: float = 15.0) -> "Node":
        """Waits until it answers at all."""
        eventually(lambda: self.running and _reached(self.status), f"{self} answers", timeout)
        return self

    def set_eventually(self, key: str, value: Any, timeout: float = 10.0) -> None:
        """Writes again and again until it is acknowledged."""
        eventually(
            lambda: _reached(lambda: self.http.set_key(key, value).status == 200),
            f"{self} writes {key}",
            timeout,
        )

    def store(self) -> dict[str, Any]:
        """Its own store, all of it, page by page; stale, so that it is this node's."""
        found: dict[str, Any] = {}
        after = ""
        while True:
            paging = f"limit={PAGE}" + (f"&after={quote(after, safe='')}" if after else "")
            page = self.http.get(f"/api/state_machine?consistency=stale&{paging}").ok()["state_machine"]
            if not page:
                return found
            assert not found.keys() & page.keys(), "pages overlap"
            found |= page
            after = max(page, key=str.encode)


class Joining(Node):
    """A node without a log, which asks the others to be taken in."""

    def command(self) -> list[str | Path]:
        join = ["--join", self.cluster.endpoints]
        return [server_binary(), self.node_id, str(self.port), *join, *self.cluster.arguments]


def _reached(attempt: Any) -> Any:
    try:
        return attempt()
    except Unreachable:
        return None


class Cluster:
    """Members that know each other; a context manager that leaves no process behind."""

    def __init__(
        self,
        directory: Path,
        size: int = 3,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.arguments = list(arguments)
        self.env = {"RAFT_LOG_LEVEL": "info", **(env or {})}
        directory.mkdir(parents=True, exist_ok=True)
        self.nodes = self._make_nodes(size)

    def _make_nodes(self, size: int) -> list[Node]:
        return [Node(self, f"node_{n}", port) for n, port in enumerate(free_ports(size))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, n: int) -> Node:
        return self.nodes[n]

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def peers(self) -> str:
        return ",".join(f"{node.node_id}={node.address}" for node in self.nodes)

    @property
    def endpoints(self) -> str:
        return ",".join(node.address for node in self.nodes)

    @property
    def majority(self) -> int:
        return len(self.nodes) // 2 + 1

    @property
    def alive(self) -> list[Node]:
        """Nodes whose process runs and is not paused."""
        return [node for node in self.nodes if node.running and not node.paused]

    def others(self, *but: Node) -> list[Node]:
        return [node for node in self.nodes if node not in but]

    def start(self, timeout: float = 20.0) -> Self:
        """Starts what does not run, and waits until all are healthy."""
        for node in self.nodes:
            if not node.running:
                node.start()
        self.wait_healthy(timeout)
        return self

    def wait_healthy(self, timeout: float = 20.0) -> None:
        for node in self.alive:
            node.wait_healthy(timeout)

    def kill_all(self) -> None:
        for node in self.nodes:
            if node.process is not None:
                node.process.send(signal.SIGKILL)
        for node in self.nodes:
            if node.process is not None:
                node.kill()

    def close(self) -> None:
        """Kills every process."""
        self.kill_all()
        for node in self.nodes:
            node.http.close()

    def leader(self) -> Node | None:
        """The node that a majority, itself among them, takes for the leader of one term."""
        views: dict[tuple[str, int], set[str]] = {}
        leads: set[tuple[str, int]] = set()
        for node in self.alive:
            status = _reached(node.status)
            if status is None or status["leader_id"] is None:
                continue
            view = (status["leader_id"], status["term"])
            views.setdefault(view, set()).add(node.node_id)
            if status["state"] == "leader" and status["leader_id"] == node.node_id:
                leads.add(view)
        for view in leads:
            if len(views[view]) >= self.majority:
                return self.by_id(view[0])
        return None

    def by_id(self, node_id: str) -> Node:
        return next(node for node in self.nodes if node.node_id == node_id)

    def wait_for_leader(self, timeout: float = 10.0) -> Node:
        return eventually(self.leader, "a majority follows one leader", timeout)

    def followers(self) -> list[Node]:
        return self.others(self.wait_for_leader())

    def wait_settled(self, timeout: float = 20.0) -> None:
        """Waits until every running node has applied the last entry of one log.

        That all have applied the same is not enough: a new leader commits what its log has with the first
        entry of its own term only.
        """

        def applied() -> bool:
            statuses = [_reached(node.status) for node in self.alive]
            if None in statuses:
                return False
            ends = {(s["last_applied"], s["last_log_index"], s["term"]) for s in statuses}
            return len(ends) == 1 and all(applied == last for applied, last, _ in ends)

        eventually(applied, "all nodes have applied the same log", timeout)

    def assert_stores_equal(self, timeout: float = 20.0) -> dict[str, Any]:
        """All running nodes hold the same store; returns it."""
        self.wait_settled(timeout)
        first, *others = [(node, node.store()) for node in self.alive]
        for node, store in others:
            wrong = {key for key in store.keys() | first[1].keys() if store.get(key) != first[1].get(key)}
            assert not wrong, f"{node} and {first[0]} differ in {len(wrong)} keys: {sorted(wrong)[:5]}"
        return first[1]

    def logs(self, last: int = 60) -> str:
        """The last lines of every node's log."""
        parts = []
        for node in self.nodes:
            if node.log.exists():
                lines = node.log.read_text(errors="replace").splitlines()
                parts.append(f"-- {node.node_id} (port {node.port}, {len(lines)} lines)")
                parts.extend(lines[-last:])
        return "\n".join(parts)
