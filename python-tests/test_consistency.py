"""A read is at least as new as every write that was answered before it began, whichever nodes were asked."""

import itertools
import random
import threading

from raft_harness import Cluster, Http


def test_a_write_is_seen_at_once_through_every_node(shared_cluster: Cluster) -> None:
    chance = random.Random(1)
    for n in range(200):
        writer, reader = chance.choice(shared_cluster.nodes), chance.choice(shared_cluster.nodes)
        writer.http.set_key("counter", n).ok()
        assert reader.http.get_key("counter").ok()["value"] == n


def test_readers_never_go_back(shared_cluster: Cluster) -> None:
    """One writer counts up through all nodes; readers hop between nodes and must never see less than before,
    nor less than what had been acknowledged when they asked."""
    acknowledged = [0]
    problems: list[str] = []
    done = threading.Event()

    def read(seed: int) -> None:
        chance = random.Random(seed)
        doors = [Http(node.host, node.port) for node in shared_cluster]
        seen = 0
        while not done.is_set():
            at_least = max(seen, acknowledged[0])
            seen = chance.choice(doors).get_key("up").ok()["value"]
            if seen < at_least:
                problems.append(f"read {seen} after {at_least}")
                return

    shared_cluster[0].http.set_key("up", 0).ok()
    readers = [threading.Thread(target=read, args=(seed,), daemon=True) for seed in range(3)]
    for reader in readers:
        reader.start()
    for n, node in zip(range(1, 400), itertools.cycle(shared_cluster), strict=False):
        node.http.set_key("up", n).ok()
        acknowledged[0] = n
    done.set()
    for reader in readers:
        reader.join(30)
    assert not problems


def test_stale_reads_answer_from_the_node_itself(shared_cluster: Cluster) -> None:
    shared_cluster[0].http.set_key("stale", "here").ok()
    shared_cluster.wait_settled()
    for node in shared_cluster:
        assert node.http.get_key("stale", consistency="stale").ok()["value"] == "here"
    assert len(shared_cluster.assert_stores_equal()) > 0


def test_all_stores_are_equal_after_concurrent_writes_to_the_same_keys(shared_cluster: Cluster) -> None:
    def write(n: int) -> None:
        door = Http(shared_cluster[n].host, shared_cluster[n].port)
        for i in range(150):
            door.set_key(f"hot/{i % 5}", [n, i]).ok()

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = shared_cluster.assert_stores_equal()
    for i in range(5):
        assert store[f"hot/{i}"][1] >= 145, "a writer's last write, or a later one of another"
