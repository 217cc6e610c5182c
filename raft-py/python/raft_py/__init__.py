"""A Raft node in this process, and clients of a cluster.

>>> from raft_py import RaftNode, RaftClient
>>> with RaftNode("solo", 12000, peers={"solo": "127.0.0.1:12000"}, ephemeral=True) as node:
...     revision = node.set("name", "Raft Cluster")
...     with RaftClient(["127.0.0.1:12000"]) as client:
...         client.get("name")
'Raft Cluster'

Errors are below `RaftError`. What a node logs goes to the logger `raft_py`; nothing is printed unless the
program sets `logging` up.
"""

import logging

from raft_py._async_client import AsyncRaftClient
from raft_py._client import RaftClient
from raft_py._errors import (
    BadRequestError,
    CallInterruptedError,
    ConfigError,
    ConflictError,
    DamagedError,
    DataDirectoryError,
    DiskFullError,
    FailedError,
    ForbiddenError,
    ForkedError,
    ListenError,
    NoLeaderError,
    NotRunningError,
    OutcomeUnknownError,
    OverloadedError,
    ProtocolError,
    RaftError,
    RaftTimeoutError,
    SystemResourceError,
    TooLargeError,
    UnauthorizedError,
    UnreachableError,
)
from raft_py._native import VERSION
from raft_py._node import RaftNode
from raft_py._types import (
    Consistency,
    Explanation,
    Item,
    Member,
    Members,
    Peer,
    Reason,
    Snapshot,
    Status,
    Value,
)

__all__ = [
    "AsyncRaftClient",
    "BadRequestError",
    "CallInterruptedError",
    "ConfigError",
    "ConflictError",
    "Consistency",
    "DamagedError",
    "DataDirectoryError",
    "DiskFullError",
    "Explanation",
    "FailedError",
    "ForbiddenError",
    "ForkedError",
    "Item",
    "ListenError",
    "Member",
    "Members",
    "NoLeaderError",
    "NotRunningError",
    "OutcomeUnknownError",
    "OverloadedError",
    "Peer",
    "ProtocolError",
    "RaftClient",
    "RaftError",
    "RaftNode",
    "RaftTimeoutError",
    "Reason",
    "Snapshot",
    "Status",
    "SystemResourceError",
    "TooLargeError",
    "UnauthorizedError",
    "UnreachableError",
    "Value",
    "__version__",
]

__version__ = VERSION

# Without this Python would print the warnings of a program that has not set logging up.
logging.getLogger("raft_py").addHandler(logging.NullHandler())
