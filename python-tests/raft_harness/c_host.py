"""A host process of libraft as a C program is one: SIGPIPE is at its default, and ends whoever raises it.

python -m raft_harness.c_host LIBRARY PORT server-side|client-side|leaks
"""

import signal
import socket
import struct
import sys
import threading
from pathlib import Path

from raft_harness.libraft import STATUS, Library

VALUE = b"x" * 500_000
REQUESTS = b"GET /api/get/large HTTP/1.1\r\nHost: x\r\n\r\n" * 50


def server_side(raft: Library, port: int) -> None:
    """HTTP clients ask for much and go away, politely or not, while the node answers."""
    node = raft.node(port)
    raft.ok("raft_node_set", node, b"large", VALUE, len(VALUE), 30_000, None)
    for n in range(60):
        with socket.create_connection(("127.0.0.1", port)) as asking:
            if n % 3 == 0:
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            asking.sendall(REQUESTS)
            if n % 2:
                asking.recv(1000)
    raft.ok("raft_node_set_text", node, b"still", b"here", 30_000, None)
    raft.raft_node_free(node)


def client_side(raft: Library, _port: int) -> None:
    """The client writes much to an endpoint that goes away in the middle of it."""
    endpoint = socket.create_server(("127.0.0.1", 0))

    def go_away() -> None:
        while True:
            connection, _ = endpoint.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            connection.recv(100)
            # First the end of the stream, then a reset: what makes a further write raise SIGPIPE.
            connection.shutdown(socket.SHUT_WR)
            connection.close()

    threading.Thread(target=go_away, daemon=True).start()
    client = raft.client(endpoint.getsockname()[1])
    for _ in range(30):
        status = raft.raft_client_set(client, b"k", VALUE, len(VALUE), 100, None)
        assert status in (STATUS["RAFT_OUTCOME_UNKNOWN"], STATUS["RAFT_TIMEOUT"], STATUS["RAFT_PROTOCOL"]), (
            status
        )
    raft.raft_client_free(client)


def leaks(raft: Library, port: int) -> None:
    """Forty rounds of everything leave no thread and no descriptor behind."""

    def a_round() -> tuple[int, int]:
        node, client = raft.node(port), raft.client(port)
        raft.ok("raft_client_set_text", client, b"k", b"v", 30_000, None)
        raft.raft_value_free(raft.made("raft_node_get", node, b"k", 0, 0))
        if port % 2:
            raft.ok("raft_node_stop", node, 0)
        raft.raft_node_free(node)
        raft.raft_client_free(client)
        return count("fd"), count("task")

    before = a_round()
    after = [a_round() for _ in range(40)]
    assert set(after) == {before}, (before, after)


def count(what: str) -> int:
    """How many descriptors (fd) or threads (task) this process has."""
    return sum(1 for _ in Path("/proc/self", what).iterdir())


def dispositions() -> dict[str, int]:
    """The signals this process catches, ignores and blocks; not 32 and 33, which are the C library's own."""
    status = Path("/proc/self/status").read_text()
    masks = (line.split() for line in status.splitlines() if line.startswith(("SigCgt", "SigIgn", "SigBlk")))
    return {name: int(mask, 16) & ~(0b11 << 31) for name, mask in masks}


MODES = {"server-side": server_side, "client-side": client_side, "leaks": leaks}

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    before = dispositions()
    MODES[sys.argv[3]](Library(Path(sys.argv[1])), int(sys.argv[2]))
    assert dispositions() == before, f"{before} became {dispositions()}"
    print("alive")
