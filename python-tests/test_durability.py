"""Rounds of: writes through all nodes, kill -9 of one node or of all, restart. Nothing acknowledged may be
lost.

RAFT_ROUNDS sets how many rounds (25; 100 for the full proof). RAFT_SEED repeats a run's choices.
"""

import os
import random
import time

import pytest
from raft_harness import Cluster
from raft_harness.load import Load

ROUNDS = int(os.environ.get("RAFT_ROUNDS", "25"))
SEED = int(os.environ.get("RAFT_SEED", "0")) or random.randrange(1, 1 << 30)


@pytest.mark.deadline(120 + 15 * ROUNDS)
def test_rounds_of_kill_and_restart(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    began = time.monotonic()
    kinds = {"one": 0, "leader": 0, "all": 0, "two": 0}
    with Load(cluster.nodes, writers=6, seed=SEED) as load:
        for _ in range(ROUNDS):
            load.wait_for_progress(chance.randrange(20, 120))
            kind = chance.choice(list(kinds))
            kinds[kind] += 1
            if kind == "all":
                cluster.kill_all()
            elif kind == "two":
                for node in chance.sample(cluster.nodes, 2):
                    node.kill()
            elif kind == "leader":
                cluster.wait_for_leader().kill()
            else:
                chance.choice(cluster.nodes).kill()
            if kind in ("one", "leader") and chance.random() < 0.5:
                load.wait_for_progress(chance.randrange(10, 60))
            cluster.start()
        load.wait_for_progress(20)
    store = cluster.assert_stores_equal(60)
    tally = load.assert_nothing_lost(store)
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds ({kinds}), seed {SEED}, {time.monotonic() - began:.0f} s: {tally}")
    assert tally.acked > 20 * ROUNDS
