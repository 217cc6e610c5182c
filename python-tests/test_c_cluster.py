"""One cluster of C programs and a raft-server process."""

import pytest
from conftest import MakeCluster
from raft_harness.c_node import CAndServerCluster
from raft_harness.load import Load

pytestmark = pytest.mark.deadline(300)


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> CAndServerCluster:
    made = make_cluster(kind=CAndServerCluster).start()
    assert isinstance(made, CAndServerCluster)
    return made


def test_what_one_writes_the_others_read(cluster: CAndServerCluster) -> None:
    server, (one, two) = cluster[0], cluster.c_nodes
    server.http.set_key("by/server", {"a": [1, "é"]}).ok()
    assert one.set_by_c("by/one", "1.0")
    assert two.set_by_c("by/two", 1.5)
    wanted = {"by/one": "1.0", "by/server": {"a": [1, "é"]}, "by/two": 1.5}
    for key, value in wanted.items():
        assert server.http.get_key(key).ok()["value"] == value
        assert one.get_by_c(key) == value
        assert two.get_by_c(key) == value
    assert one.ask("keys") == "keys 3 by/one by/server by/two"
    assert two.ask("delete by/one").startswith("ok ")
    assert two.ask("delete by/one") == "none"
    assert one.ask("get by/one") == "none"
    assert '"node_id":"node_1"' in one.ask("status")
    assert '"ok":true' in one.ask("explain")
    assert one.ask("set k {").startswith("error bad_request no the value is not JSON")


def test_sigterm_stops_a_c_node_cleanly(cluster: CAndServerCluster) -> None:
    for node in cluster.c_nodes:
        assert node.set_by_c(f"last/{node.node_id}", 1)
        assert node.stop() == 0
        node.start().wait_healthy()
    store = cluster.assert_stores_equal()
    assert store == {"last/node_1": 1, "last/node_2": 1}


def test_each_is_killed_while_the_others_write(cluster: CAndServerCluster) -> None:
    acked: dict[str, int] = {}
    with Load(cluster.nodes, timeout=8.0) as load:
        for n, victim in enumerate([*cluster.nodes, *cluster.nodes]):
            load.wait_for_progress(50)
            victim.kill()
            for node in cluster.c_nodes:
                key = f"by_c/{n}/{node.node_id}"
                if node.running and node.set_by_c(key, n):
                    acked[key] = n
            load.wait_for_progress(50)
            victim.start().wait_healthy()
        load.wait_for_progress(50)
    store = cluster.assert_stores_equal()
    print(load.assert_nothing_lost({key: store[key] for key in store if not key.startswith("by_c/")}))
    assert len(acked) >= 6, "the C programs wrote too"
    assert acked.items() <= store.items()
