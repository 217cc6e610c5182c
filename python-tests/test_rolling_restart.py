"""Every node is restarted, one after another, under load: no request that a client repeats fails."""

import statistics
import threading
import time

import pytest
from raft_harness import Cluster, Http, Node, Unreachable, eventually
from raft_harness.shell_clients import ShellWriters


def _progress(load: ShellWriters, more: int) -> None:
    goal = load.written + more
    eventually(lambda: load.written >= goal, f"{more} more writes are acknowledged", 30)


def test_a_rolling_restart_fails_no_request(cluster: Cluster) -> None:
    with ShellWriters(cluster, 4) as load:
        for _ in range(2):
            for node in cluster:
                _progress(load, 50)
                assert node.stop() == 0
                _progress(load, 50)
                node.start().wait_healthy()
        _progress(load, 50)
    print(
        f"{load.written} writes by 4 clients while each of 3 nodes was restarted twice:"
        f" {len(load.failed)} failed, the slowest took {load.slowest * 1000:.0f} ms"
    )
    assert load.failed == []
    store = cluster.assert_stores_equal()
    missing = [key for key, value in load.expected().items() if store.get(key) != value]
    assert missing == []


class _Prober(threading.Thread):
    """Writes to one node without a pause, and notes when each write was acknowledged."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[float] = [time.monotonic()]
        self.over = threading.Event()
        self._door = Http(node.host, node.port, 5)

    def run(self) -> None:
        n = 0
        while not self.over.is_set():
            n += 1
            try:
                if self._door.set_key("probe", n).status == 200:
                    self.acknowledged.append(time.monotonic())
            except Unreachable:
                pass
        self._door.close()

    def wait_for_more(self) -> None:
        goal = len(self.acknowledged) + 50
        eventually(lambda: len(self.acknowledged) >= goal, "writes are acknowledged")

    def longest_gap_since(self, begun: float) -> float:
        times = [t for t in self.acknowledged if t >= begun]
        before = max(t for t in self.acknowledged if t < begun)
        return max(later - earlier for earlier, later in zip([before, *times], times, strict=False))


@pytest.mark.alone
def test_leadership_is_handed_over_without_a_gap_to_speak_of(cluster: Cluster) -> None:
    """How long no write is acknowledged when the leader is stopped, as seen through a node that stays."""
    gaps = []
    for _ in range(7):
        leader = cluster.wait_for_leader()
        prober = _Prober(cluster.others(leader)[0])
        prober.start()
        prober.wait_for_more()
        begun = time.monotonic()
        assert leader.stop() == 0
        prober.wait_for_more()
        prober.over.set()
        prober.join(10)
        gaps.append(prober.longest_gap_since(begun))
        leader.start().wait_healthy()
    shown = ", ".join(f"{gap * 1000:.0f}" for gap in sorted(gaps))
    median = statistics.median(gaps)
    print(f"leadership was handed over in {median * 1000:.0f} ms (median of {shown} ms)")
    assert median < 0.25
