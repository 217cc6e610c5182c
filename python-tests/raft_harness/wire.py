"""Raw sockets: what no HTTP client would send."""

import contextlib
import socket
import time
from collections.abc import Iterable

from raft_harness.cluster import Node


def send_raw(
    node: Node, data: bytes | Iterable[bytes], wait: float = 5.0, close_write: bool = False
) -> bytes:
    """Sends bytes as they are; returns what comes back until the other side closes or is silent so long."""
    answer = b""
    with node.http.connect() as sock:
        sock.settimeout(wait)
        # Whoever has heard enough answers and closes; what he said is there to be read all the same.
        with contextlib.suppress(OSError):
            for piece in [data] if isinstance(data, bytes) else data:
                sock.sendall(piece)
            if close_write:
                sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while chunk := sock.recv(65536):
                answer += chunk
                if is_whole(answer):
                    break
    return answer


def is_whole(answer: bytes) -> bool:
    """Whether a whole HTTP answer with a length is there."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(body) >= int(value)
    return False


def status_of(answer: bytes) -> int | None:
    """The HTTP status of raw bytes; None where there is none."""
    parts = answer.split(b" ", 2)
    return int(parts[1]) if answer.startswith(b"HTTP/1.1 ") and parts[1].isdigit() else None


def drip(sock: socket.socket, data: bytes, interval: float, most: float) -> float:
    """Sends one byte at a time until the other side has had enough; how long that took."""
    began = time.monotonic()
    sock.settimeout(interval)
    for n in range(len(data)):
        if time.monotonic() - began > most:
            break
        try:
            sock.sendall(data[n : n + 1])
            if not sock.recv(65536):
                break
            break  # an answer: it has had enough
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began
