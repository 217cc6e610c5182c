"""A snapshot on its way to a node that lacks the log: cut off at random points, it goes on where it was.

Half way all take a later snapshot, and at last one after the other: the one that is being sent, and the log
after it, are kept by whoever sends it.
"""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import CALM, MakeCluster
from raft_harness import Cluster, Joining, Node, Unreachable, eventually
from raft_harness.ports import free_ports
from raft_harness.proxy import SlowProxy

MIB = 1 << 20
# So many values of half a MiB are in the snapshot.
VALUES = 24
# With the last ones the same server leads on: only it keeps what is older than the latest two.
CUTS = ["sender"] * 7 + ["receiver"] * 4 + ["connection"] * 3
LAST_CUTS = ["receiver", "connection"] * 3
# Bytes a second while a point is waited for, and else: a cut takes its time, and leaves the next something.
SPEED, SLOWLY = 4 * MIB, MIB // 5
# What a process had not handed to the kernel yet when it was killed, and the chunk that this cut in two.
UNWRITTEN = MIB
SENDS = re.compile(r"sends a snapshot, from this byte on.*\bindex=(\d+).*\bbytes=(\d+)")
RECEIVES = re.compile(r"receives a snapshot, from this byte on.*\bindex=(\d+).*\bbytes=(\d+)")
INSTALLED = "the state is now that of a snapshot"


class BehindProxy(Joining):
    """Joins a cluster, and is reached by the others through a proxy only."""

    def __init__(self, cluster: Cluster, node_id: str, port: int, proxy: SlowProxy) -> None:
        super().__init__(cluster, node_id, port)
        self.proxy = proxy

    def command(self) -> list[str | Path]:
        return [*super().command(), "--advertise", f"127.0.0.1:{self.proxy.port}"]


@dataclass
class Transfer:
    """A cluster that sends a snapshot to a newcomer."""

    cluster: Cluster
    receiver: BehindProxy
    dice: random.Random
    rows: list[tuple[str, int, int]] = field(default_factory=list)
    _seen: list[tuple[int, int]] = field(default_factory=list)

    def received(self) -> int:
        """So much of the snapshot is at the receiver."""
        found = metric(self.receiver, "raft_snapshot_receiving_bytes")
        assert found is not None
        return int(found)

    def wait_for_point(self, left: int) -> None:
        """A random one, so that about as much is left for each of so many to come."""
        there = self.received()
        point = there + self.dice.uniform(1, 1.5) * (VALUES * MIB / 2 - there) / (left + 2)
        self.receiver.proxy.limit(SPEED)
        eventually(lambda: self.received() > point, f"{point:.0f} bytes to be there", 20)
        self.receiver.proxy.limit(SLOWLY)

    def sent_from(self) -> list[tuple[int, int]]:
        """Where it began, and where it went on, as the senders have logged it: index and byte."""
        logs = (node.log.read_text(errors="replace") for node in self.cluster)
        return [(int(index), int(byte)) for log in logs for index, byte in SENDS.findall(log)]

    def cut(self, what: str) -> None:
        self._seen = self.sent_from()
        at = self.received()
        if what == "connection":
            self.receiver.proxy.cut()
        else:
            node = self.receiver if what == "receiver" else self.cluster.wait_for_leader()
            node.kill()
            node.start()
        went_on = f"the transfer to go on after a cut of the {what}"
        on = max(eventually(self.newest, went_on, 20))
        self.rows.append((what, at, on))
        lost = UNWRITTEN if what == "receiver" else 0
        assert on >= max(at - lost, 1), f"after a cut of the {what} at {at} it went on at {on}"
        self.cluster.wait_healthy()

    def newest(self) -> list[int]:
        """The bytes that were logged since, in whatever order the nodes have logged them."""
        rest = self.sent_from()
        for seen in self._seen:
            rest.remove(seen)
        return [byte for _, byte in rest]

    def table(self) -> str:
        lines = (f"{what:<10} {at / MIB:9.2f} {on / MIB:10.2f}" for what, at, on in self.rows)
        return "\n".join(["cut of the  at (MiB)  goes on at", *lines])


def metric(node: Node, name: str) -> float | None:
    try:
        return node.metrics().get(name)
    except Unreachable:
        return None


def hashes(cluster: Cluster) -> set[tuple[int, str]]:
    found = [node.status() for node in cluster]
    return {(status["last_applied"], status["applied_hash"]) for status in found}


def write(cluster: Cluster, dice: random.Random, keys: range) -> None:
    """Values of half a MiB, of which no compressor makes less."""
    for n in keys:
        cluster[0].http.set_key(f"large/{n}", f"{dice.getrandbits(2 * MIB):x}").ok()


def fill(cluster: Cluster, dice: random.Random) -> None:
    """All have a snapshot of some MiB, and no log from its start."""
    take_another(cluster, dice)
    write(cluster, dice, range(1, VALUES))
    take_another(cluster, dice)
    eventually(lambda: all(node.status()["first_log_index"] > 1 for node in cluster), "no log from its start")


def take_another(cluster: Cluster, dice: random.Random) -> None:
    """All take a later snapshot: so little is written that none is taken without being asked for."""
    write(cluster, dice, range(1))
    taken = cluster.wait_for_leader().http.post("/api/snapshot", {}).ok()

    def has_it(node: Node) -> bool:
        return bool(node.status()["snapshot_index"] >= taken["index"])

    eventually(lambda: all(map(has_it, cluster)), "all to have a later snapshot", 20)


@pytest.mark.deadline(180)
def test_a_transfer_that_is_cut_off_goes_on_where_it_was(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3, arguments=CALM).start()
    dice = random.Random(23)
    fill(cluster, dice)
    port = free_ports(1)[0]
    with SlowProxy(port, SLOWLY) as proxy:
        receiver = BehindProxy(cluster, "node_3", port, proxy)
        receiver.start()
        eventually(lambda: (metric(receiver, "raft_snapshot_receiving_bytes") or 0) > 0, "it to begin", 20)
        transfer = Transfer(cluster, receiver, dice)
        index, _ = transfer.sent_from()[0]
        kinds = dice.sample(CUTS, len(CUTS)) + LAST_CUTS
        for n, what in enumerate(kinds):
            if n == len(CUTS) // 2 or (n >= len(CUTS) and n % 2 == 0):
                take_another(cluster, dice)
            transfer.wait_for_point(len(kinds) - n)
            transfer.cut(what)
        kept_by_sender(cluster, index)
        proxy.limit(1 << 40)
        eventually(lambda: INSTALLED in receiver.log.read_text(errors="replace"), "it to be installed", 30)
        cluster.nodes.append(receiver)
        print(transfer.table())
        eventually(lambda: len(hashes(cluster)) == 1, "all to have the same state hash", 30)
        said = receiver.log.read_text(errors="replace")
        begun = [(int(index), int(byte)) for index, byte in RECEIVES.findall(said)]
        assert {found for found, _ in begun} == {index}, "one snapshot, however often it was cut"
        assert [byte for _, byte in begun].count(0) == 1, f"never again from its start: {begun}"
        assert said.count(INSTALLED) == 1, "the log did the rest"


def kept_by_sender(cluster: Cluster, index: int) -> None:
    """The server that sends a snapshot keeps the log after it; the others have let go of that."""
    leader = cluster.wait_for_leader()
    assert leader.status()["first_log_index"] <= index + 1 < leader.status()["snapshot_index"]

    def let_go() -> bool:
        return all(node.status()["first_log_index"] > index + 1 for node in cluster.followers())

    eventually(let_go, "the others to let go of the log", 10)
