"""What a node and a client have in common: the replicated store."""

from __future__ import annotations

from typing import Any

from raft_py import _native
from raft_py._types import Consistency, Explanation, Item, Members, Snapshot, Status, Value


class Store:
    """The calls on the replicated store. Any number of threads may make them at a time.

    Each waits without the GIL, ends on Ctrl-C, and takes `timeout` in seconds, up to a day; without one,
    that of the
    node or client. A write that is sent again because its answer was lost happens once.
    """

    __slots__ = ()

    def _calls(self) -> _native.Node | _native.Client:
        raise NotImplementedError

    def set(self, key: str, value: Value, *, timeout: float | None = None) -> int:
        """Sets a key, waits until that is on the disks of a majority, and returns its revision.

        Raises:
            BadRequestError: the key or value cannot be stored (see `Value`). TooLargeError: it is over its
            limit.
            NoLeaderError, UnreachableError, RaftTimeoutError, OverloadedError: it did not happen.
            OutcomeUnknownError: it may have happened, or may yet.
        """
        return self._calls().set(key, value, timeout)

    def get(
        self,
        key: str,
        default: Any = None,
        *,
        consistency: Consistency | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Reads a key; `default` where it is not set.

        Raises:
            NoLeaderError, UnreachableError, RaftTimeoutError: nobody could say in time.
        """
        found = self._calls().get(key, consistency, timeout)
        return default if found is None else found[0]

    def item(
        self, key: str, *, consistency: Consistency | None = None, timeout: float | None = None
    ) -> Item | None:
        """Reads a key with its revision; None where it is not set, which tells that from a None that was
        set."""
        found = self._calls().get(key, consistency, timeout)
        return None if found is None else Item(*found)

    def delete(self, key: str, *, timeout: float | None = None) -> bool:
        """Deletes a key; returns whether it was there. Raises as `set`."""
        return self._calls().delete(key, timeout)[0]

    def keys(
        self, prefix: str = "", *, consistency: Consistency | None = None, timeout: float | None = None
    ) -> list[str]:
        """All keys that start with `prefix`, in the order of their UTF-8 bytes. Long lists are read in pages,
        between which the store may change."""
        return self._calls().keys(prefix, consistency, timeout)

    def status(self, *, timeout: float | None = None) -> Status:
        """The node's view of itself and its cluster; a client returns that of whichever endpoint answers
        first."""
        return self._calls().status(timeout)

    def transfer_leadership(self, to: str | None = None, *, timeout: float | None = None) -> str:
        """Hands leadership over and returns the id of whoever leads then.

        Args:
            to: the voter that is to lead; by default the one that has most of the log.
            timeout: how long it may take, in seconds.

        Raises:
            ConflictError: the leader goes on leading, or another was elected; the message says why.
            OutcomeUnknownError: it may have happened, or may yet.
        """
        return self._calls().transfer(to, timeout)

    def members(self, *, timeout: float | None = None) -> Members:
        """Who belongs to the cluster; a client asks as in `status`."""
        return self._calls().members(timeout)

    def add_member(
        self,
        node_id: str,
        address: str,
        *,
        learner: bool = False,
        priority: int | None = None,
        replaces: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Adds a server and waits until it has caught up and votes; returns the configuration's log index.

        Args:
            node_id: its name; it is started with `join`.
            address: the `HOST:PORT` at which the members reach it.
            learner: it stays without a vote; then a member is all it becomes.
            priority: the higher, the rather it leads.
            replaces: the voter whose place it takes.
            timeout: how long it may take, in seconds.

        Raises:
            ConflictError: the leader does not do it; the message says why.
            OutcomeUnknownError, RaftTimeoutError: it goes on; asked for again, it is waited for.
        """
        member = {
            "node_id": node_id,
            "address": address,
            "learner": learner,
            "priority": priority,
            "replaces": replaces,
        }
        return self._calls().add_member(member, timeout)

    def promote_member(self, node_id: str, *, timeout: float | None = None) -> int:
        """Makes a learner a voter once it has caught up. Returns and raises as `add_member`."""
        return self._calls().promote_member(node_id, timeout)

    def set_priority(self, node_id: str, priority: int, *, timeout: float | None = None) -> int:
        """Gives a member a priority, 0 to 255: among those that could lead, the one with the highest does.
        Returns and raises as `add_member`."""
        return self._calls().set_priority(node_id, priority, timeout)

    def snapshot(self, *, timeout: float | None = None) -> Snapshot:
        """Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe
        more; waits until the leader's own is on its disk.

        Raises:
            ConflictError: the leader cannot write one; the message says why.
            OutcomeUnknownError, RaftTimeoutError: one may have been taken, or may yet be.
        """
        return Snapshot(*self._calls().snapshot(timeout))

    def remove_member(self, node_id: str, *, force: bool = False, timeout: float | None = None) -> int:
        """Removes a member; `force` also where a majority of those who stay cannot be reached: until enough
        of them are back, nothing can be written. Returns and raises as `add_member`."""
        return self._calls().remove_member(node_id, force, timeout)

    def explain(self, *, timeout: float | None = None) -> Explanation:
        """Why there is no leader or writes are slow, and what would help; a client asks as in `status`."""
        return self._calls().explain(timeout)
