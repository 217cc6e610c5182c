"""Clients of several kinds, each a thread in the driver's namespace, that record all they ask and hear."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from raft_py import AsyncRaftClient, RaftClient, RaftError

from raft_harness.clients import DEADLINES_MS, KEYS, Client, Crowd, send
from raft_harness.history import History, Operation
from raft_harness.load import Outcome
from raft_harness.namespaces import HostNode, HttpInside, NamespaceCluster

ATTEMPTS = 8
EXPECTED_CODES = {"no_leader", "unreachable", "timeout", "outcome_unknown", "overloaded", "shutting_down"}


class HttpClient(Client):
    """Speaks to one node, and asks for each thing once."""

    def __init__(
        self, label: str, cluster: NamespaceCluster, history: History, seed: int, nodes: Sequence[HostNode]
    ) -> None:
        super().__init__(label, cluster, history, seed)
        self.doors = [HttpInside(cluster.hub, node.host, node.port) for node in nodes]

    def ask(self, operation: Operation) -> None:
        self.history.begin(operation)
        outcome = send(self.doors[0], operation, self._random.choice(DEADLINES_MS))
        self.history.end(operation, outcome)

    def close(self) -> None:
        for door in self.doors:
            door.close()


class ReadingClient(HttpClient):
    """Only reads, from one node and often: a deposed leader has little time to answer from the past."""

    PACE = 0.01

    def draw(self) -> Operation:
        return Operation(self.label, "get", self._random.choice(KEYS))


class PersistentClient(HttpClient):
    """Prefers one node; repeats its writes under one Idempotency-Key, through any, until they are
    acknowledged, and some after that."""

    def ask(self, operation: Operation) -> None:
        if not operation.is_write:
            super().ask(operation)
            return
        operation.once = str(uuid.UUID(int=self._random.getrandbits(128)))
        self.history.begin(operation)
        outcome, door = Outcome.REFUSED, self.doors[0]
        for _ in range(ATTEMPTS):
            told = send(door, operation, self._random.choice(DEADLINES_MS))
            outcome = told if told is Outcome.ACKED or outcome is Outcome.REFUSED else outcome
            if told is Outcome.ACKED or self._stop_asked.wait(self._pause()):
                break
            door = self._random.choice(self.doors)
        self.history.end(operation, outcome)
        if outcome is Outcome.ACKED and self._random.random() < 0.1:
            send(self._random.choice(self.doors), operation, 500)


class ModuleClient(Client):
    """`raft_py.RaftClient`, which knows all nodes and repeats by itself what is safe to repeat."""

    def __init__(
        self, label: str, cluster: NamespaceCluster, history: History, seed: int, endpoints: list[str]
    ) -> None:
        super().__init__(label, cluster, history, seed)
        self.client = RaftClient(endpoints, timeout=2.0)

    def ask(self, operation: Operation) -> None:
        timeout = self._random.choice(DEADLINES_MS) / 1000
        self.history.begin(operation)
        try:
            if operation.kind == "set":
                operation.revisions = [self.client.set(operation.key, operation.value, timeout=timeout)]
            elif operation.kind == "delete":
                operation.deleted = self.client.delete(operation.key, timeout=timeout)
            elif operation.kind == "get":
                take_item(operation, self.client.item(operation.key, timeout=timeout))
            else:
                take_item(operation, self.client.item(operation.key, consistency="stale", timeout=timeout))
        except RaftError as error:
            self.history.end(operation, judge_error(error))
        else:
            self.history.end(operation, Outcome.ACKED)

    def close(self) -> None:
        self.client.close()


def take_item(operation: Operation, item: Any) -> None:
    if item is not None:
        operation.value, operation.revisions = item.value, [item.revision]


def judge_error(error: RaftError) -> Outcome:
    """What an exception means for a write; one that a fault does not explain goes on."""
    if error.code not in EXPECTED_CODES:
        raise error
    return Outcome.UNKNOWN if error.maybe_happened else Outcome.REFUSED


class AsyncClient(Client):
    """`raft_py.AsyncRaftClient`: several calls at a time, some of which are cancelled."""

    TASKS = 3

    def __init__(
        self, label: str, cluster: NamespaceCluster, history: History, seed: int, endpoints: list[str]
    ) -> None:
        super().__init__(label, cluster, history, seed)
        self.endpoints = endpoints

    def work(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        async with AsyncRaftClient(self.endpoints, timeout=2.0) as client:
            await asyncio.gather(*(self._go_on(client) for _ in range(self.TASKS)))

    async def _go_on(self, client: AsyncRaftClient) -> None:
        while not self._stop_asked.is_set():
            await asyncio.sleep(self._pause())
            operation, patience = self.draw(), self._random.choice(DEADLINES_MS) / 1000
            if self._random.random() < 0.05:
                patience = 0.002
            self.history.begin(operation)
            try:
                async with asyncio.timeout(patience):
                    await self._call(client, operation)
            except RaftError as error:
                self.history.end(operation, judge_error(error))
            except TimeoutError:  # asyncio's: the call is cancelled under way
                self.history.end(operation, Outcome.UNKNOWN)
            else:
                self.history.end(operation, Outcome.ACKED)

    async def _call(self, client: AsyncRaftClient, operation: Operation) -> None:
        if operation.kind == "set":
            operation.revisions = [await client.set(operation.key, operation.value)]
        elif operation.kind == "delete":
            operation.deleted = await client.delete(operation.key)
        elif operation.kind == "get":
            take_item(operation, await client.item(operation.key))
        else:
            take_item(operation, await client.item(operation.key, consistency="stale"))


class Clients(Crowd):
    """Three HTTP clients for each node, two of `raft_py`'s, and one for asyncio."""

    def __init__(self, cluster: NamespaceCluster, history: History, seed: int) -> None:
        nodes = [node for node in cluster.nodes if isinstance(node, HostNode)]
        endpoints = [node.address for node in nodes]
        super().__init__([])
        for n, node in enumerate(nodes):
            self.threads.append(HttpClient(f"http-{n}", cluster, history, seed, [node]))
            self.threads.append(ReadingClient(f"read-{n}", cluster, history, seed, [node]))
            order = [node, *(other for other in nodes if other is not node)]
            self.threads.append(PersistentClient(f"once-{n}", cluster, history, seed, order))
        self.threads.extend(
            ModuleClient(f"module-{n}", cluster, history, seed, endpoints[n:] + endpoints[:n])
            for n in range(2)
        )
        self.threads.append(AsyncClient("async", cluster, history, seed, endpoints[::-1]))
