"""A node in this process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from raft_py import _exit, _native
from raft_py._errors import NotRunningError, RaftError
from raft_py._store import Store

if TYPE_CHECKING:
    from typing_extensions import Self


class RaftNode(Store):
    """A Raft node on threads of its own; it serves HTTP and the other nodes on its port.

    Nodes started from Python, from C and from the shell form one cluster together.

    >>> from raft_py import RaftNode
    >>> node = RaftNode("solo", 12000, peers={"solo": "127.0.0.1:12000"}, ephemeral=True).start()
    >>> _ = node.set("name", "Raft Cluster")
    >>> node.get("name")
    'Raft Cluster'
    >>> node.delete("name")
    True
    >>> node.get("name", "nobody")
    'nobody'
    >>> node.status()["state"]
    'leader'
    >>> node.stop()

    Keep the object: a node that nobody refers to any more is stopped. At the interpreter's exit all are.
    """

    __slots__ = ("__weakref__", "_lock", "_node", "_node_id", "_port", "_process", "_settings")

    def __init__(
        self,
        node_id: str,
        port: int,
        *,
        peers: Mapping[str, str] | None = None,
        join: Iterable[str] | None = None,
        host: str | None = None,
        advertise: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        ephemeral: bool = False,
        election_timeout_min: float | None = None,
        election_timeout_max: float | None = None,
        heartbeat_interval: float | None = None,
        request_timeout: float | None = None,
        max_value_bytes: int | None = None,
        insecure: bool = False,
        io_threads: int | None = None,
        record_mib: int | None = None,
        snapshot_mib: int | None = None,
    ) -> None:
        """Describes a node; `start` starts it. Parameters mean what the options of `raft-server` mean.

        Args:
            node_id: its name, one of `peers`: 1 to 64 characters of A-Z a-z 0-9 _ . -
            port: the port to listen on, for clients and peers.
            peers: all members by name, this one among them, each with the `HOST:PORT` at which the others
            reach it;
                by default the documented cluster, node_0 to node_2 at 127.0.0.1:12000 to 12002.
            join: `HOST:PORT` of members of a running cluster that this node is to be added to, instead of
            `peers`.
            host: the address to listen on; 127.0.0.1 by default.
            advertise: the `HOST:PORT` at which others reach this node, where it is not the one it listens on.
            data_dir: where it keeps its log; `./raft-data/<node_id>` by default.
            ephemeral: keep the log in memory: a node that stops has lost its disk.
            election_timeout_min: the least time without a leader's word before an election, in
            **milliseconds**
                like the two below, as on the command line and in the paper; 150 by default.
            election_timeout_max: the most; each wait is drawn between the two; 300 by default.
            heartbeat_interval: how often an idle leader speaks; 50 by default.
            request_timeout: how long a call may take that does not say itself, in **seconds**; 5 by default.
            max_value_bytes: the largest value that is accepted; 1 MiB by default, at most 8 MiB.
            insecure: accept a `host` that other machines can reach, although nothing asks them who they are.
            io_threads: threads for sockets, 0 to 256; 0, the default, shares the node's own.
            record_mib: how much of the recording of what the node did is kept, keys and values in it, in MiB;
            64 by default, 0 records nothing.
            snapshot_mib: by how much the log grows before a snapshot is taken and the log before it let go
            of, in MiB; 64 by default, with 0 none is taken by itself.

        Raises:
            ConfigError: the parts cannot work together. The message says what to change.
        """
        self._settings = _native.Settings(
            {
                "node_id": node_id,
                "port": port,
                "peers": None if peers is None else list(peers.items()),
                "join": None if join is None else list(join),
                "host": host,
                "advertise": advertise,
                "data_dir": None if data_dir is None else os.fspath(data_dir),
                "ephemeral": ephemeral,
                "election_timeout_min": election_timeout_min,
                "election_timeout_max": election_timeout_max,
                "heartbeat_interval": heartbeat_interval,
                "request_timeout": request_timeout,
                "max_value_bytes": max_value_bytes,
                "insecure": insecure,
                "io_threads": io_threads,
                "record_mib": record_mib,
                "snapshot_mib": snapshot_mib,
            }
        )
        self._node_id, self._port = node_id, port
        self._node: _native.Node | None = None
        # One start or stop at a time. Calls on the store do not take it.
        self._lock = threading.Lock()
        self._process = os.getpid()

    def start(self, *, timeout: float | None = None) -> Self:
        """Starts the node, and returns it. It need not have a leader yet: the first calls wait for one.

        A node that runs is left as it is. One that was stopped is started anew, from the same data directory.

        Args:
            timeout: how long reading the log may take, in seconds; up to a day by default.

        Raises:
            ListenError: the port is taken, or not this machine's. DataDirectoryError, DamagedError: the
            log cannot
                be used. RaftTimeoutError: it took too long. In each case nothing is left running.
        """
        with self._lock:
            if self._node is None:
                self._node = _native.Node(self._settings, timeout)
                self._process = os.getpid()
                _exit.watch_node(self)
        return self

    def stop(self, *, timeout: float | None = None) -> None:
        """Hands leadership over if this node leads, stops it, and waits until its threads have ended.

        A node that does not run is left as it is.

        Args:
            timeout: how long that may take, in seconds; 10 by default.

        Raises:
            RaftTimeoutError: its threads have not ended in time; it has been told to stop, and `stop` may be
                called again.
        """
        with self._lock:
            if self._node is not None:
                self._node.stop(timeout)
                self._node = None

    def _stop_at_exit(self) -> None:
        node = self._node
        if node is not None and self._process == os.getpid():
            with contextlib.suppress(RaftError):  # a disk that hangs; the process ends all the same
                node.stop_at_exit()

    def _calls(self) -> _native.Node:
        if self._node is None:
            raise NotRunningError(f"{self._node_id} does not run: call start()")
        return self._node

    @property
    def node_id(self) -> str:
        """Its name."""
        return self._node_id

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def address(self) -> str:
        """The `HOST:PORT` at which others reach it."""
        return self._settings.address

    @property
    def peers(self) -> dict[str, str]:
        """All members with their addresses."""
        return dict(self._settings.peers)

    @property
    def data_dir(self) -> Path | None:
        """Where its log is; None where it is in memory."""
        return self._settings.data_dir

    @property
    def is_running(self) -> bool:
        """Whether it was started, in this process, and not stopped. How it does is in `status` and
        `explain`."""
        return self._node is not None and self._process == os.getpid()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A child that was forked within the block leaves it too, and the node is its parent's.
        if self._node is None or self._process == os.getpid():
            self.stop()

    def __repr__(self) -> str:
        return (
            f"<RaftNode {self._node_id} at {self.address}, {'running' if self.is_running else 'not running'}>"
        )
