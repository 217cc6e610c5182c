"""A Python program with a node in it, which does what it reads on stdin: `NODE_ID PORT PEERS DATA_DIR`.

Its words are those of examples/c/node.c. It is run as a program of its own, by raft_harness.kinds.
"""

import json
import signal
import sys
from types import FrameType
from typing import NoReturn

from raft_py import RaftError, RaftNode


def answer(node: RaftNode, line: str) -> str:
    command, _, rest = line.partition(" ")
    key, _, value = rest.partition(" ")
    try:
        if command == "set":
            return f"ok {node.set(key, json.loads(value))}"
        if command == "get":
            item = node.item(key)
            return "none" if item is None else f"value {json.dumps(item.value)}"
        return "ok" if node.delete(key) else "none"
    except RaftError as error:
        return f"error {error.code} {'maybe' if error.maybe_happened else 'no'} {error}"


def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    node_id, port, peers, data_dir = sys.argv[1:]
    members = dict(peer.split("=") for peer in peers.split(","))
    with RaftNode(node_id, int(port), peers=members, data_dir=data_dir) as node:
        for line in sys.stdin:
            print(answer(node, line.rstrip("\n")), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
