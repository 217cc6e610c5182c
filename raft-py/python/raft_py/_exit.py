"""The end of the interpreter: nodes stop, and nobody is left waiting."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING

from raft_py import _native

if TYPE_CHECKING:
    from raft_py._async_client import AsyncRaftClient
    from raft_py._node import RaftNode

_nodes: weakref.WeakSet[RaftNode] = weakref.WeakSet()
_clients: weakref.WeakSet[AsyncRaftClient] = weakref.WeakSet()


def watch_node(node: RaftNode) -> None:
    """Stops this node at exit, if it still runs then."""
    _nodes.add(node)


def watch_client(client: AsyncRaftClient) -> None:
    """Closes this client at exit."""
    _clients.add(client)


@atexit.register
def _leave() -> None:
    _native.leave()
    for client in list(_clients):
        client._native.close()
    _stop(list(_nodes))
    _native.end()


def _stop(nodes: list[RaftNode]) -> None:
    if len(nodes) == 1:
        nodes[0]._stop_at_exit()
        return
    # Each may have its leadership to hand over: all at a time, where threads can still be had.
    threads = [threading.Thread(target=node._stop_at_exit, daemon=True) for node in nodes]
    # From Python 3.12 on none are to be had: then each is stopped below.
    with contextlib.suppress(RuntimeError):
        for thread in threads:
            thread.start()
    for node, thread in zip(nodes, threads):
        if thread.ident is None:
            node._stop_at_exit()
        else:
            thread.join()


def _forget() -> None:
    _nodes.clear()
    _clients.clear()


# What the parent started is the parent's to stop.
os.register_at_fork(after_in_child=_forget)
