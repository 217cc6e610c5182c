"""The suites of a cluster, whatever its members are: processes of the command, Python programs, C programs,
nodes in this process, and all of them together."""

import random
import threading

import pytest
from conftest import MakeCluster
from raft_harness import eventually
from raft_harness.c_door import need
from raft_harness.kinds import MixedCluster, get_through, set_through
from raft_harness.load import Load

pytestmark = pytest.mark.deadline(240)

MIXES = [
    ["process"] * 3,
    ["module"] * 3,
    ["python"] * 3,
    ["process", "module", "python"],
    ["process", "python", "c"],
]


@pytest.fixture(params=MIXES, ids="-".join)
def cluster(request: pytest.FixtureRequest, make_cluster: MakeCluster) -> MixedCluster:
    if "c" in request.param:
        need("cc", "pkg-config")
    made = make_cluster(kind=MixedCluster, kinds=request.param).start()
    assert isinstance(made, MixedCluster)
    return made


def test_it_is_healthy_and_has_one_leader(cluster: MixedCluster) -> None:
    leader = cluster.wait_for_leader()

    def all_agree() -> bool:
        statuses = [node.status() for node in cluster]
        return {s["leader_id"] for s in statuses} == {leader.node_id} and [
            s["node_id"] for s in statuses if s["state"] == "leader"
        ] == [leader.node_id]

    eventually(all_agree, "all agree on one leader")
    for node in cluster:
        assert node.http.get("/health").ok()["status"] == "ok"
        eventually(lambda: node.why()["ok"], f"{node} has nothing to explain")  # noqa: B023


def test_what_is_set_through_each_is_read_and_deleted_through_each(cluster: MixedCluster) -> None:
    for writer in cluster:
        for value in ["1.0", 1.5, None, True, [1, "é"], {"a": {"b": []}}]:
            assert set_through(writer, "k", value)
            for reader in cluster:
                assert get_through(reader, "k") == value
                assert reader.http.get_key("k").ok()["value"] == value
        assert writer.http.delete_key("k").ok()["deleted"] is True


def test_a_read_is_as_new_as_the_last_write_through_any(cluster: MixedCluster) -> None:
    chance = random.Random(4)
    for n in range(60):
        assert set_through(chance.choice(cluster.nodes), "counter", n)
        assert get_through(chance.choice(cluster.nodes), "counter") == n


def test_writers_through_all_doors_leave_one_store(cluster: MixedCluster) -> None:
    def write(n: int) -> None:
        for i in range(40):
            set_through(cluster[n], f"hot/{i % 5}", [n, i])

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = cluster.assert_stores_equal()
    assert set(store) == {f"hot/{i}" for i in range(5)}


def test_the_leader_goes_and_nothing_acknowledged_is_lost(cluster: MixedCluster) -> None:
    with Load(cluster.nodes, timeout=8.0) as load:
        for _ in range(2):
            load.wait_for_progress(40)
            leader = cluster.wait_for_leader()
            leader.kill()
            load.wait_for_progress(40)
            leader.start().wait_healthy()
        load.wait_for_progress(20)
    print(load.assert_nothing_lost(cluster.assert_stores_equal()))


def test_each_kind_of_process_is_killed_while_the_others_write(make_cluster: MakeCluster) -> None:
    """kill -9 of a raft-server process, a Python program and a C program in turn, twice. All write by HTTP
    all the while, the survivors through their own doors too from the moment the victim is gone."""
    need("cc", "pkg-config")
    cluster = make_cluster(kind=MixedCluster, kinds=["process", "python", "c"]).start()
    own: dict[str, list[int]] = {}
    unknown = 0
    with Load(cluster.nodes, timeout=8.0) as load:
        for n, victim in enumerate([*cluster.nodes, *cluster.nodes]):
            load.wait_for_progress(40)
            victim.kill()
            for i in range(10):
                for node in cluster.others(victim):
                    key, value = f"own/{n}/{node.node_id}/{i}", [n, i]
                    if set_through(node, key, value):
                        own[key] = value
                    else:
                        unknown += 1
            load.wait_for_progress(40)
            victim.start().wait_healthy()
            for key in [key for key in own if key.startswith(f"own/{n}/")][:6]:
                assert get_through(victim, key) == own[key], "what came back knows what it missed"
        load.wait_for_progress(20)
    store = cluster.assert_stores_equal()
    print(load.assert_nothing_lost({key: store[key] for key in store if not key.startswith("own/")}))
    print(f"through their own doors: {len(own)} acknowledged, {unknown} not, 0 lost")
    assert len(own) >= 60, "the programs wrote too"
    assert own.items() <= store.items()
    for node in cluster:
        for key in list(own)[:: len(own) // 10]:
            assert get_through(node, key) == own[key]
