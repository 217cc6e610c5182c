"""Free ports for nodes."""

import itertools
import os
import random
import socket

# Below the range the kernel takes for outgoing connections, so that a node which was killed finds its port
# free again; above the documented cluster's 12000 to 12002, where somebody may be trying the quick start.
FIRST, LAST = 20_000, 31_999


def _share() -> range:
    """Those that this process may take: of several of pytest-xdist each has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST - FIRST + 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(FIRST + worker * size, FIRST + (worker + 1) * size)


_candidates = itertools.cycle(random.Random(os.getpid()).sample(_share(), len(_share())))


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on."""
    return list(itertools.islice(filter(is_free, _candidates), count))


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether one could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
