"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from raft_py import _native
from raft_py._store import Store
from raft_py._types import Consistency

if TYPE_CHECKING:
    from typing_extensions import Self


class RaftClient(Store):
    """A client of a cluster: any of its nodes may fail, and the call goes to another.

    >>> from raft_py import RaftClient, RaftNode
    >>> with RaftNode("solo", 12000, peers={"solo": "127.0.0.1:12000"}, ephemeral=True) as node:
    ...     with RaftClient(["127.0.0.1:12000"], timeout=10) as client:
    ...         _ = client.set("config/limits", {"cpu": 2, "rate": 0.5})
    ...         client.get("config/limits")
    ...         client.keys("config/")
    ...         client.delete("config/limits"), client.delete("config/limits")
    {'cpu': 2, 'rate': 0.5}
    ['config/limits']
    (True, False)
    """

    __slots__ = ("__weakref__", "_native")

    def __init__(
        self,
        endpoints: Iterable[str] | None = None,
        *,
        timeout: float = 5.0,
        consistency: Consistency = "linearizable",
    ) -> None:
        """Makes a client. Nothing is dialled yet.

        Args:
            endpoints: `HOST:PORT` of nodes, not all of which need be there; by default the documented
            cluster,
                127.0.0.1:12000 to 12002.
            timeout: how long a call may take in all, in seconds.
            consistency: how fresh reads are.

        Raises:
            BadRequestError: an argument cannot be used.
        """
        self._native = _native.Client(_listed(endpoints), timeout, consistency)

    def _calls(self) -> _native.Client:
        return self._native

    @property
    def endpoints(self) -> list[str]:
        """The endpoints, as `HOST:PORT`."""
        return self._native.endpoints

    def close(self) -> None:
        """Lets go of all connections. Calls after this raise NotRunningError; closing again does nothing."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RaftClient of {', '.join(self.endpoints)}>"


def _listed(endpoints: Iterable[str] | None) -> list[str] | None:
    if isinstance(endpoints, str):
        raise TypeError('endpoints is a list, such as ["127.0.0.1:12000"], and not one string')
    return None if endpoints is None else list(endpoints)
