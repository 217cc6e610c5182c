"""What goes in and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Union

Value = Union[str, int, float, bool, None, list[Any], dict[str, Any], bytes, bytearray, memoryview]
"""What can be stored. A value comes back as it was set; `bytearray` and `memoryview` come back as `bytes`.

What would come back as something else is refused with BadRequestError: tuples, sets, enums and other
subclasses, dictionary keys that are not strings, NaN
and infinity, and a dictionary `{"$base64": …}`, which stands for bytes.
"""

Consistency = Union[Literal["linearizable"], Literal["stale"]]
"""`linearizable` sees every write that was acknowledged before; `stale` answers at once with what the node
has."""


class Item(NamedTuple):
    """What is stored at a key."""

    value: Any
    revision: int
    """The log index at which the key was last set."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was taken."""

    index: int
    """The log index whose state it holds."""
    bytes: int
    """The length of its file."""
    took_ms: int
    """How long the leader took over it, in milliseconds."""


class Member(TypedDict):
    """A member of the cluster."""

    node_id: str
    address: str
    role: Literal["voter", "learner", "leaving"]
    priority: int


class Members(TypedDict):
    """Who belongs to the cluster: the document of `GET /api/members`."""

    configuration_index: int
    """Where the configuration that says so stands in the log; 0 before there is one."""
    members: list[Member]


class Peer(TypedDict):
    """How a follower does, as the leader sees it."""

    match_index: int
    next_index: int
    agreed_index: int
    last_contact_ms: int | None
    reachable: bool
    state: str


class _Status(TypedDict):
    node_id: str
    state: Literal["leader", "follower", "candidate", "pre_candidate", "learner"]
    term: int
    leader_id: str | None
    leader_address: str | None
    voted_for: str | None
    commit_index: int
    last_applied: int
    applied_hash: str
    last_log_index: int
    last_log_term: int
    log_length: int
    snapshot_index: int
    first_log_index: int
    keys: int
    uptime_ms: int
    version: str
    cluster_id: str | None
    members: list[Member]
    peers: dict[str, Peer]


class Status(_Status, total=False):
    """A node's view of itself and its cluster: the document of `GET /api/status`."""

    failed: str
    """Why the node has stopped working; only there if it has."""
    diverged_index: int
    """A log index at which its state differs from the others'; only there if that is why."""


class Reason(TypedDict):
    """One thing that is in the way."""

    code: str
    detail: str
    node_id: str | None
    advice: str


class Explanation(TypedDict):
    """What is wrong and what would help: the document of `GET /api/why`."""

    ok: bool
    summary: str
    reasons: list[Reason]
