"""Documented examples, on free ports instead of the documented ones."""

import re

from raft_harness.ports import free_ports


def on_free_ports(text: str) -> str:
    """The text with 12000 to 12002 and 8080 replaced by free ports, each by the same one throughout."""
    ports = dict(zip(("12000", "12001", "12002", "8080"), map(str, free_ports(4)), strict=True))
    return re.sub(r"\b(12000|12001|12002|8080)\b", lambda found: ports[found[0]], text)
