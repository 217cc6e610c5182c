"""The client of asyncio programs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from raft_py import _exit, _native
from raft_py._client import _listed
from raft_py._errors import NotRunningError
from raft_py._types import Consistency, Explanation, Item, Members, Snapshot, Status, Value

if TYPE_CHECKING:
    from typing_extensions import Self

_Done = Callable[[Any, "BaseException | None"], None]


class AsyncRaftClient:
    """`RaftClient` for asyncio: thousands of calls may be under way at a time, on one thread of the
    client's own.

    A call that is cancelled is given up; a write may have happened all the same.

    >>> import asyncio
    >>> from raft_py import AsyncRaftClient, RaftNode
    >>> async def main():
    ...     async with AsyncRaftClient(["127.0.0.1:12000"]) as client:
    ...         await asyncio.gather(*(client.set(f"n/{n}", n) for n in range(3)))
    ...         return await client.keys("n/")
    >>> with RaftNode("solo", 12000, peers={"solo": "127.0.0.1:12000"}, ephemeral=True):
    ...     asyncio.run(main())
    ['n/0', 'n/1', 'n/2']
    """

    __slots__ = ("__weakref__", "_native", "_waiting")

    def __init__(
        self,
        endpoints: Iterable[str] | None = None,
        *,
        timeout: float = 5.0,
        consistency: Consistency = "linearizable",
    ) -> None:
        """As `RaftClient`. It may be made outside an event loop, and used in one after another."""
        self._native = _native.AsyncClient(_listed(endpoints), timeout, consistency)
        self._waiting: set[Callable[[], None]] = set()
        _exit.watch_client(self)

    async def _wait(self, begin: Callable[[_Done], _native.Task]) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def done(result: Any, error: BaseException | None) -> None:
            # Called on the client's own thread.
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(settle, result, error)

        def give_up() -> None:
            settle(None, NotRunningError("the client was closed while the call was under way"))

        self._waiting.add(give_up)
        try:
            task = begin(done)
            try:
                return await future
            finally:
                task.cancel()
        finally:
            self._waiting.discard(give_up)

    async def set(self, key: str, value: Value, *, timeout: float | None = None) -> int:
        """As `RaftClient.set`."""
        revision: int = await self._wait(lambda done: self._native.set(done, key, value, timeout))
        return revision

    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        consistency: Consistency | None = None,
        timeout: float | None = None,
    ) -> Any:
        """As `RaftClient.get`."""
        found = await self._wait(lambda done: self._native.get(done, key, consistency, timeout))
        return default if found is None else found[0]

    async def item(
        self, key: str, *, consistency: Consistency | None = None, timeout: float | None = None
    ) -> Item | None:
        """As `RaftClient.item`."""
        found = await self._wait(lambda done: self._native.get(done, key, consistency, timeout))
        return None if found is None else Item(*found)

    async def delete(self, key: str, *, timeout: float | None = None) -> bool:
        """As `RaftClient.delete`."""
        deleted: bool = (await self._wait(lambda done: self._native.delete(done, key, timeout)))[0]
        return deleted

    async def keys(
        self, prefix: str = "", *, consistency: Consistency | None = None, timeout: float | None = None
    ) -> list[str]:
        """As `RaftClient.keys`."""
        found: list[str] = await self._wait(
            lambda done: self._native.keys(done, prefix, consistency, timeout)
        )
        return found

    async def status(self, *, timeout: float | None = None) -> Status:
        """As `RaftClient.status`."""
        status: Status = await self._wait(lambda done: self._native.status(done, timeout))
        return status

    async def transfer_leadership(self, to: str | None = None, *, timeout: float | None = None) -> str:
        """As `RaftClient.transfer_leadership`."""
        leader: str = await self._wait(lambda done: self._native.transfer(done, to, timeout))
        return leader

    async def members(self, *, timeout: float | None = None) -> Members:
        """As `RaftClient.members`."""
        members: Members = await self._wait(lambda done: self._native.members(done, timeout))
        return members

    async def add_member(
        self,
        node_id: str,
        address: str,
        *,
        learner: bool = False,
        priority: int | None = None,
        replaces: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """As `RaftClient.add_member`."""
        member = {
            "node_id": node_id,
            "address": address,
            "learner": learner,
            "priority": priority,
            "replaces": replaces,
        }
        index: int = await self._wait(lambda done: self._native.add_member(done, member, timeout))
        return index

    async def promote_member(self, node_id: str, *, timeout: float | None = None) -> int:
        """As `RaftClient.promote_member`."""
        index: int = await self._wait(lambda done: self._native.promote_member(done, node_id, timeout))
        return index

    async def set_priority(self, node_id: str, priority: int, *, timeout: float | None = None) -> int:
        """As `RaftClient.set_priority`."""
        index: int = await self._wait(
            lambda done: self._native.set_priority(done, node_id, priority, timeout)
        )
        return index

    async def snapshot(self, *, timeout: float | None = None) -> Snapshot:
        """As `RaftClient.snapshot`."""
        return Snapshot(*await self._wait(lambda done: self._native.snapshot(done, timeout)))

    async def remove_member(self, node_id: str, *, force: bool = False, timeout: float | None = None) -> int:
        """As `RaftClient.remove_member`."""
        index: int = await self._wait(lambda done: self._native.remove_member(done, node_id, force, timeout))
        return index

    async def explain(self, *, timeout: float | None = None) -> Explanation:
        """As `RaftClient.explain`."""
        explanation: Explanation = await self._wait(lambda done: self._native.explain(done, timeout))
        return explanation

    @property
    def endpoints(self) -> list[str]:
        """The endpoints, as `HOST:PORT`."""
        return self._native.endpoints

    async def close(self) -> None:
        """Lets go of all connections and of the thread. Calls under way and later ones raise
        NotRunningError."""
        self._native.close()
        for give_up in list(self._waiting):
            give_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncRaftClient of {', '.join(self.endpoints)}>"
