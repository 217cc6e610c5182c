"""Every node on a host of its own: network namespaces joined by a bridge, so that links can be cut.

The test speaks to the nodes from the namespace of the bridge; nothing leaves the namespaces. Needs root,
iproute2 and iptables.
"""

import ctypes
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from raft_harness.cluster import Cluster, Node
from raft_harness.http import Http

PORT = 12000
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def why_not() -> str | None:
    """What keeps this machine from having namespaces; None where they work."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "iptables"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    name = f"rt{os.getpid()}probe"
    try:
        run("ip", "netns", "add", name)
        try:
            run("ip", "netns", "exec", name, "iptables", "-w", "-A", "INPUT", "-s", "10.77.0.1", "-j", "DROP")
            run("ip", "-n", name, "link", "add", "probe", "type", "bridge")
        finally:
            run("ip", "netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces do not work here: {' '.join(error.cmd)}: {error.stderr.strip()}"
    return None


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread's new sockets belong to the namespace; they stay there for good."""
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{namespace}").open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class HttpInside(Http):
    """Speaks from within a namespace."""

    def __init__(self, namespace: str, host: str, port: int, timeout: float = 10.0) -> None:
        super().__init__(host, port, timeout)
        self.namespace = namespace

    def connect(self) -> socket.socket:
        with inside(self.namespace):
            return super().connect()


class HostNode(Node):
    """A node in a namespace of its own."""

    def __init__(self, cluster: "NamespaceCluster", n: int) -> None:
        super().__init__(cluster, f"node_{n}", PORT)
        self.host = f"10.77.0.{n + 1}"
        self.namespace = f"{cluster.prefix}n{n}"
        self.http = HttpInside(cluster.hub, self.host, PORT)

    def command(self) -> list[str | Path]:
        where = ["ip", "netns", "exec", self.namespace]
        return [*where, *super().command(), "--host", self.host, "--insecure"]


class NamespaceCluster(Cluster):
    """A cluster whose links can be cut."""

    def __init__(
        self,
        directory: Path,
        size: int = 3,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = f"rt{os.getpid()}x{next(_numbers)}"
        self.hub = f"{self.prefix}hub"
        super().__init__(directory, size, arguments, env)
        self._build()

    def _make_nodes(self, size: int) -> list[Node]:
        return [HostNode(self, n) for n in range(size)]

    def _build(self) -> None:
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.hub, "addr", "add", "10.77.0.254/24", "dev", "bridge")
        run("ip", "-n", self.hub, "link", "set", "bridge", "up")
        for n, node in enumerate(self._hosts()):
            namespace = node.namespace
            run("ip", "netns", "add", namespace)
            peer = ["peer", "name", "eth0", "netns", namespace]
            run("ip", "-n", self.hub, "link", "add", f"port{n}", "type", "veth", *peer)
            run("ip", "-n", self.hub, "link", "set", f"port{n}", "master", "bridge", "up")
            run("ip", "-n", namespace, "addr", "add", f"{node.host}/24", "dev", "eth0")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")

    def _hosts(self) -> list[HostNode]:
        return [node for node in self.nodes if isinstance(node, HostNode)]

    def cut(self, one: Node, other: Node) -> None:
        """Drops every packet between the two from now on. Connections stay open: nobody is told."""
        self.split([one], [other])

    def cut_off(self, node: Node) -> None:
        """Cuts a node off from all others; the test still reaches it."""
        self.split([node], self.others(node))

    def split(self, left: Sequence[Node], right: Sequence[Node]) -> None:
        """Cuts all of these off from all of those."""
        for here, there in ((left, right), (right, left)):
            for node in here:
                self.deafen(node, there)

    @staticmethod
    def deafen(node: Node, sources: Sequence[Node], share: float = 1.0) -> None:
        """The node no longer hears the sources: of their packets this share, drawn at random, is dropped."""
        assert isinstance(node, HostNode)
        rule = ["-s", ",".join(source.host for source in sources), "-j", "DROP"]
        if share < 1:
            rule += ["-m", "statistic", "--mode", "random", "--probability", f"{share:.3f}"]
        run("ip", "netns", "exec", node.namespace, "iptables", "-w", "-A", "INPUT", *rule)

    def heal(self) -> None:
        """Undoes every cut."""
        for node in self._hosts():
            run("ip", "netns", "exec", node.namespace, "iptables", "-w", "-F", "INPUT")

    def close(self) -> None:
        super().close()
        for namespace in [self.hub, *(node.namespace for node in self._hosts())]:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=20, check=False)
