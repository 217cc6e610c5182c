"""The asyncio client."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import raft_py
from raft_harness import eventually
from raft_harness.module import lonely, solo
from raft_py import AsyncRaftClient, RaftNode


@pytest.fixture(scope="module")
def node() -> Iterator[RaftNode]:
    with solo() as node:
        yield node


def test_every_call(node: RaftNode) -> None:
    async def main() -> None:
        async with AsyncRaftClient([node.address]) as client:
            revision = await client.set("a", {"x": [1.0, b"".decode()]})
            assert await client.get("a") == {"x": [1.0, ""]}
            assert await client.item("a") == raft_py.Item({"x": [1.0, ""]}, revision)
            assert await client.item("missing") is None
            assert await client.get("missing", 7, consistency="stale") == 7
            await client.set("b", b"\xff")
            assert await client.get("b") == b"\xff"
            assert await client.keys() == ["a", "b"]
            assert await client.delete("b") is True
            assert await client.delete("b") is False
            assert (await client.status())["state"] == "leader"
            assert (await client.explain())["ok"] is True
            assert await client.transfer_leadership("solo") == "solo"
            assert [member["node_id"] for member in (await client.members())["members"]] == ["solo"]
            with pytest.raises(raft_py.ConflictError):
                await client.add_member("solo", "127.0.0.1:1", learner=True, priority=1)
            with pytest.raises(raft_py.ConflictError):
                await client.promote_member("other")
            assert await client.set_priority("solo", 1) > 0
            assert (await client.snapshot()).index == (await client.status())["snapshot_index"]
            with pytest.raises(raft_py.ConflictError):
                await client.remove_member("solo")
            assert client.endpoints == [node.address]

    asyncio.run(main())


def test_many_calls_are_under_way_at_a_time_on_one_thread(node: RaftNode) -> None:
    async def main() -> None:
        async with AsyncRaftClient([node.address], timeout=30) as client:
            await client.set("many/0", 0)
            threads = threading.active_count()
            await asyncio.gather(*(client.set(f"many/{n}", n) for n in range(500)))
            assert threading.active_count() == threads
            assert len(await client.keys("many/")) == 500

    asyncio.run(main())


def test_errors_are_those_of_the_blocking_client(node: RaftNode) -> None:
    async def main() -> None:
        async with AsyncRaftClient([node.address]) as client:
            for bad in (client.set("k", (1,)), client.get(""), client.get("k", timeout=0)):  # type: ignore[arg-type]
                with pytest.raises(raft_py.BadRequestError):
                    await bad
        with pytest.raises(raft_py.NotRunningError):
            await client.get("k")
        async with AsyncRaftClient(["127.0.0.1:1"], timeout=0.3) as gone:
            with pytest.raises(raft_py.UnreachableError):
                await gone.get("k")

    asyncio.run(main())


def test_the_loop_goes_on_while_a_call_waits() -> None:
    async def main() -> None:
        async with AsyncRaftClient([lone.address], timeout=60) as client:
            waiting = asyncio.ensure_future(client.get("k"))
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert not waiting.done()
            began = time.monotonic()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.set("k", 1), 0.2)
            with pytest.raises(raft_py.NoLeaderError):
                await client.get("k", timeout=0.2)
            assert time.monotonic() - began < 10

    with lonely() as lone:
        asyncio.run(main())


def test_closing_ends_the_calls_under_way() -> None:
    async def main() -> None:
        client = AsyncRaftClient([lone.address], timeout=60)
        waiting = asyncio.ensure_future(client.get("k"))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(raft_py.NotRunningError):
            await asyncio.wait_for(waiting, 10)

    with lonely() as lone:
        asyncio.run(main())


def test_a_client_serves_one_loop_after_another_and_leaves_no_thread(node: RaftNode) -> None:
    from test_module_process import _threads

    before = _threads()
    client = AsyncRaftClient([node.address])
    for n in range(3):
        asyncio.run(client.set("loop", n))
    assert asyncio.run(client.get("loop")) == 2
    assert "raft-py-async" in _threads()
    asyncio.run(client.close())
    eventually(lambda: _threads() == before, "its thread is gone")
