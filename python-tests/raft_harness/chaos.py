"""Faults for a cluster in network namespaces, drawn from a seed."""

import itertools
import random
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from raft_harness.cluster import Node
from raft_harness.http import Unreachable
from raft_harness.namespaces import NamespaceCluster


@dataclass(frozen=True)
class Episode:
    """A fault, from before its first effect until all of it was mended."""

    kind: str
    begin: int
    end: int


class Arena:
    """A cluster, what is wrong with it at the moment, and since when a majority of it can work."""

    def __init__(self, cluster: NamespaceCluster) -> None:
        self.cluster = cluster
        self.down: set[Node] = set()
        """Not running, or paused."""
        self.deaf: set[tuple[Node, Node]] = set()
        """Who does not hear, or not all of it, and whom."""
        self.majority_spells: list[tuple[int, int]] = []
        """From when until when a majority was alive, each of them connected with each other, both ways."""
        self._since: int | None = time.monotonic_ns()

    def change(
        self, action: Callable[[], object], down: Collection[Node], deaf: Collection[tuple[Node, Node]]
    ) -> None:
        """Does something that leaves these nodes down and these deaf."""
        can_work = self.can_work(down, deaf)
        if not can_work:
            self._note(False)
        action()
        self.down, self.deaf = set(down), set(deaf)
        self._note(can_work)

    def can_work(self, down: Collection[Node], deaf: Collection[tuple[Node, Node]]) -> bool:
        """Whether a majority is alive with each of it connected with each other, both ways."""
        alive = [node for node in self.cluster.nodes if node not in down]
        groups = itertools.combinations(alive, self.cluster.majority)
        return any(not any(pair in deaf for pair in itertools.permutations(group, 2)) for group in groups)

    def _note(self, can_work: bool) -> None:
        if can_work and self._since is None:
            self._since = time.monotonic_ns()
        elif not can_work and self._since is not None:
            self.majority_spells.append((self._since, time.monotonic_ns()))
            self._since = None

    def finish(self) -> None:
        """Ends the last spell."""
        self._note(False)

    def alive(self) -> list[Node]:
        return [node for node in self.cluster.nodes if node not in self.down]

    def leader(self) -> Node | None:
        """Whoever takes itself for the leader of the latest term, if anybody does."""
        leaders = []
        for node in self.alive():
            try:
                status = node.http.get("/api/status", timeout=0.5).ok()
            except Unreachable:
                continue
            if status["state"] == "leader":
                leaders.append((status["term"], node.node_id))
        return self.cluster.by_id(max(leaders)[1]) if leaders else None

    def kill(self, nodes: Sequence[Node]) -> None:
        """kill -9, all at once."""

        def action() -> None:
            for node in nodes:
                if node.process is not None:
                    node.process.send(signal.SIGKILL)
            for node in nodes:
                node.kill()

        self.change(action, self.down | set(nodes), self.deaf)

    def stop(self, nodes: Sequence[Node]) -> None:
        """SIGTERM, all at once; each has to end in good order."""

        def action() -> None:
            for node in nodes:
                assert node.process is not None
                node.process.send(signal.SIGTERM)
                node.http.close()
            for node in nodes:
                assert node.process is not None
                code = node.process.wait(20)
                assert code == 0, f"{node} was stopped and ended with {code}"

        self.change(action, self.down | set(nodes), self.deaf)

    def pause(self, nodes: Sequence[Node]) -> None:
        def action() -> None:
            for node in nodes:
                node.pause()

        self.change(action, self.down | set(nodes), self.deaf)

    def deafen(self, node: Node, sources: Sequence[Node], share: float = 1.0) -> None:
        pairs = {(node, source) for source in sources}
        self.change(lambda: self.cluster.deafen(node, sources, share), self.down, self.deaf | pairs)

    def allow(self, pairs: Collection[tuple[Node, Node]]) -> None:
        """Cuts all links but these, which work both ways."""
        for node in self.cluster:
            linked = {other for pair in pairs if node in pair for other in pair}
            sources = [other for other in self.cluster.others(node) if other not in linked]
            if sources:
                self.deafen(node, sources)

    def mend_network(self) -> None:
        self.change(self.cluster.heal, self.down, set())

    def mend_processes(self) -> None:
        """Wakes whoever is paused, and starts whoever does not run."""

        def action() -> None:
            for node in self.cluster:
                if node.running and node.paused:
                    node.resume()
            for node in self.cluster:
                if not node.running:
                    node.start()

        self.change(action, set(), self.deaf)

    def mend(self) -> None:
        self.mend_network()
        self.mend_processes()


Strike = Callable[[Arena, random.Random], None]


def one(arena: Arena, chance: random.Random) -> list[Node]:
    return some(arena, chance, 1)


def some(arena: Arena, chance: random.Random, count: int) -> list[Node]:
    alive = arena.alive()
    return chance.sample(alive, min(count, len(alive)))


def the_leader(arena: Arena, chance: random.Random) -> list[Node]:
    """The leader, or where there is none anybody; the draws are the same."""
    anybody = one(arena, chance)
    leader = arena.leader()
    return anybody if leader is None else [leader]


def one_way(arena: Arena, chance: random.Random) -> None:
    """A node hears the others and is not heard, or the reverse."""
    node = chance.choice([one, the_leader])(arena, chance)
    is_heard = chance.random() < 0.5
    for victim in node:
        if is_heard:
            arena.deafen(victim, arena.cluster.others(victim))
        else:
            for other in arena.cluster.others(victim):
                arena.deafen(other, [victim])


def halves(arena: Arena, chance: random.Random) -> None:
    nodes = chance.sample(arena.cluster.nodes, len(arena.cluster))
    middle = len(nodes) // 2
    arena.allow([*itertools.combinations(nodes[:middle], 2), *itertools.combinations(nodes[middle:], 2)])


def bridge(arena: Arena, chance: random.Random) -> None:
    """Two halves that share one node, which alone sees all."""
    nodes = chance.sample(arena.cluster.nodes, len(arena.cluster))
    middle = len(nodes) // 2
    left, right = nodes[: middle + 1], nodes[middle:]
    arena.allow([*itertools.combinations(left, 2), *itertools.combinations(right, 2)])


def chain(arena: Arena, chance: random.Random) -> None:
    """Each node sees the one before it and the one after it."""
    nodes = chance.sample(arena.cluster.nodes, len(arena.cluster))
    arena.allow(list(itertools.pairwise(nodes)))


def cut_off(arena: Arena, nodes: Sequence[Node]) -> None:
    rest = [node for node in arena.cluster if node not in nodes]
    arena.allow(list(itertools.combinations(rest, 2)))


def loss(arena: Arena, chance: random.Random) -> None:
    """Every link between nodes loses packets."""
    share = chance.uniform(0.05, 0.5)
    for node in arena.cluster:
        arena.deafen(node, arena.cluster.others(node), share)


def loss_at_one(arena: Arena, chance: random.Random) -> None:
    """One node, the leader as often as not, loses much of what it is sent."""
    share = chance.uniform(0.3, 0.9)
    for node in chance.choice([one, the_leader])(arena, chance):
        arena.deafen(node, arena.cluster.others(node), share)


STRIKES: dict[str, Strike] = {
    "kill one": lambda arena, chance: arena.kill(one(arena, chance)),
    "kill the leader": lambda arena, chance: arena.kill(the_leader(arena, chance)),
    "kill two": lambda arena, chance: arena.kill(some(arena, chance, 2)),
    "kill all": lambda arena, chance: arena.kill(some(arena, chance, 5)),
    "pause one": lambda arena, chance: arena.pause(one(arena, chance)),
    "pause the leader": lambda arena, chance: arena.pause(the_leader(arena, chance)),
    "pause two": lambda arena, chance: arena.pause(some(arena, chance, 2)),
    "pause three": lambda arena, chance: arena.pause(some(arena, chance, 3)),
    "halves": halves,
    "bridge": bridge,
    "chain": chain,
    "cut off one": lambda arena, chance: cut_off(arena, one(arena, chance)),
    "cut off the leader": lambda arena, chance: cut_off(arena, the_leader(arena, chance)),
    "one way": one_way,
    "loss": loss,
    "loss at one": loss_at_one,
    "stop one": lambda arena, chance: arena.stop(one(arena, chance)),
    "stop the leader": lambda arena, chance: arena.stop(the_leader(arena, chance)),
    "stop all": lambda arena, chance: arena.stop(some(arena, chance, 5)),
}
MIX = "mix"


def mix(arena: Arena, chance: random.Random) -> None:
    """Up to four at a time; in between the network or the processes may be mended, and not the rest."""
    for _ in range(chance.randrange(2, 5)):
        if chance.random() < 0.25:
            chance.choice([arena.mend_network, arena.mend_processes])()
        kind = chance.choice(sorted(STRIKES))
        if len(arena.alive()) > 1 or "stop" not in kind:
            STRIKES[kind](arena, chance)
        time.sleep(chance.uniform(0.05, 0.6))  # how long it is so: part of what is drawn


class Deck:
    """All kinds in random order, then again in another; every third is a mix."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._cards: list[str] = []

    def draw(self) -> str:
        if not self._cards:
            kinds = [*STRIKES, *[MIX] * (len(STRIKES) // 2)]
            self._cards = self._chance.sample(kinds, len(kinds))
        return self._cards.pop()


def strike(kind: str, arena: Arena, chance: random.Random) -> Episode:
    """One fault, held for a while, and all of it mended."""
    begin = time.monotonic_ns()
    (mix if kind == MIX else STRIKES[kind])(arena, chance)
    time.sleep(chance.uniform(0.2, 2.0))  # how long it lasts: part of what is drawn
    arena.mend()
    return Episode(kind, begin, time.monotonic_ns())
