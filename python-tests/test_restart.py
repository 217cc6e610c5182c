"""The whole cluster dies and comes back."""

import pytest
from conftest import MakeCluster
from raft_harness import Cluster, Process
from raft_harness.load import Load


def test_all_are_killed_at_once_and_restarted(cluster: Cluster) -> None:
    terms = [cluster.wait_for_leader().status()["term"]]
    identities = set()
    for round_number in range(3):
        for n in range(20):
            cluster[n % 3].http.set_key(f"{round_number}/{n}", n).ok()
        cluster.kill_all()
        cluster.start()
        terms.append(cluster.wait_for_leader().status()["term"])
        for node in cluster:
            assert len(node.http.get("/api/state_machine").ok()["state_machine"]) == 20 * (round_number + 1)
            identities.add(node.status()["cluster_id"])
    assert len(identities) == 1
    assert None not in identities, "who has applied a write has applied the cluster's name"
    assert terms == sorted(set(terms)), "each start is a term of its own"


def test_killed_under_load_and_restarted(cluster: Cluster) -> None:
    with Load(cluster.nodes, writers=6) as load:
        for _ in range(2):
            load.wait_for_progress(100)
            cluster.kill_all()
            cluster.start()
        load.wait_for_progress(50)
    print(load.assert_nothing_lost(cluster.assert_stores_equal()))


def test_restarted_one_after_the_other_by_sigterm(cluster: Cluster) -> None:
    with Load(cluster.nodes) as load:
        for node in cluster:
            load.wait_for_progress(30)
            assert node.stop() == 0
            load.wait_for_progress(30)
            node.start().wait_healthy()
    print(load.assert_nothing_lost(cluster.assert_stores_equal()))


@pytest.mark.parametrize("size", [1, 5])
def test_other_sizes(make_cluster: MakeCluster, size: int) -> None:
    cluster = make_cluster(size).start()
    cluster[0].http.set_key("k", "v").ok()
    cluster.kill_all()
    cluster.start()
    for node in cluster:
        assert node.http.get_key("k").ok()["value"] == "v"


def test_a_node_knows_its_own_directory(cluster: Cluster) -> None:
    """Files of one node do not serve another: it says so and exits with 2."""
    first, second = cluster[0], cluster[1]
    cluster.kill_all()
    second.data.rename(second.data.with_name("aside"))
    first.data.rename(second.data)
    second.start()
    assert second.process is not None
    assert second.process.wait() == 2
    assert first.node_id in second.said()
    assert second.node_id in second.said()


def test_a_directory_serves_one_process(cluster: Cluster) -> None:
    node = cluster[0]
    again = Process(node.command(), cluster.directory / "again.log", cluster.directory)
    assert again.wait() == 2, again.output()
    assert len(again.output().strip().splitlines()) >= 1
    assert node.running
