"""Torn and damaged files: a tail that a crash may leave is cut off and told; all else stops the start."""

from collections.abc import Callable
from pathlib import Path

import pytest
from raft_harness import Cluster, Node

ZERO_RUN = 512


def fill(cluster: Cluster, count: int = 60) -> None:
    for n in range(count):
        cluster[n % 3].http.set_key(f"k/{n}", f"value {n} " + "x" * 100).ok()
    cluster.wait_settled()


def segment(node: Node) -> Path:
    """The segment that holds the newest records."""
    used = [path for path in sorted(node.data.glob("log-*")) if used_bytes(path) > 0]
    assert used, sorted(node.data.iterdir())
    return max(used, key=lambda path: (used_bytes(path) > ZERO_RUN, path.name))


def used_bytes(path: Path) -> int:
    """Where the zeros of the preallocated rest begin."""
    return len(path.read_bytes().rstrip(b"\0"))


def change(path: Path, offset: int, edit: Callable[[int], int]) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([edit(byte)]))


@pytest.mark.parametrize("part", [0.1, 0.4, 0.7])
def test_a_flipped_byte_in_the_middle_stops_the_start(cluster: Cluster, part: float) -> None:
    fill(cluster)
    victim = cluster.followers()[0]
    victim.kill()
    path = segment(victim)
    offset = int(used_bytes(path) * part)
    change(path, offset, lambda byte: byte ^ 0x40)
    victim.start()
    assert victim.process is not None
    assert victim.process.wait() == 2, victim.said()
    said = victim.said()
    assert path.name in said, said
    line = next(line for line in said.splitlines() if path.name in line)
    numbers = [int(word) for word in "".join(c if c.isdigit() else " " for c in line).split()]
    near = [n for n in numbers if offset - 65536 <= n <= offset + 65536 and n > 0]
    assert near, f"no offset near {offset} in: {line}"
    assert any(
        word in said.lower() for word in ("restore", "remove", "move", "wipe", "rejoin", "backup", "replace")
    )
    for other in cluster.others(victim):
        assert other.http.get_key("k/1").ok()["found"], "the others go on"


def test_the_others_are_not_disturbed_and_the_file_is_left_as_it_was(cluster: Cluster) -> None:
    fill(cluster)
    victim = cluster.followers()[0]
    victim.kill()
    path = segment(victim)
    change(path, used_bytes(path) // 2, lambda byte: byte ^ 0xFF)
    before = {file.name: file.read_bytes() for file in victim.data.glob("log-*")}
    for _ in range(2):
        victim.start()
        assert victim.process is not None
        assert victim.process.wait() == 2
    after = {file.name: file.read_bytes() for file in victim.data.glob("log-*")}
    assert before == after, "a refused start changes nothing"


@pytest.mark.parametrize("lost", [1, 9, 40])
def test_a_torn_tail_is_cut_off_and_told(cluster: Cluster, lost: int) -> None:
    """The last bytes of one node's last record are gone, as after a power cut in the middle of a write: it
    starts, says what it cut off and where, and gets it from the others."""
    fill(cluster)
    # All of them have all of it: what two have and one of those loses may be gone.
    assert len(cluster.assert_stores_equal()) == 60
    victim = cluster.followers()[0]
    cluster.kill_all()
    path = segment(victim)
    end = used_bytes(path)
    with path.open("r+b") as file:
        file.seek(end - lost)
        file.write(bytes(lost))
    cluster.start()
    told = [line for line in victim.said().splitlines() if path.name in line]
    assert told, victim.said()
    assert "cut off" in told[0]
    assert len(cluster.assert_stores_equal()) == 60


def test_garbage_after_the_last_record_is_a_torn_tail(cluster: Cluster) -> None:
    fill(cluster)
    victim = cluster.followers()[0]
    victim.kill()
    path = segment(victim)
    end = used_bytes(path)
    with path.open("r+b") as file:
        file.seek((end + 7) // 8 * 8)
        file.write(b"\x5a" * 100)
    victim.start().wait_healthy()
    assert len(cluster.assert_stores_equal()) == 60


def test_a_missing_segment_stops_the_start(cluster: Cluster) -> None:
    fill(cluster)
    victim = cluster.followers()[0]
    victim.kill()
    min(victim.data.glob("log-*")).unlink()
    victim.start()
    assert victim.process is not None
    assert victim.process.wait() == 2, victim.said()
    assert "log-" in victim.said()


def test_a_truncated_segment_is_handled(cluster: Cluster) -> None:
    """A file cut short inside its records, as by a copy that broke off, is damage, told by name."""
    fill(cluster)
    victim = cluster.followers()[0]
    victim.kill()
    path = segment(victim)
    with path.open("r+b") as file:
        file.truncate(used_bytes(path) // 2)
    victim.start()
    assert victim.process is not None
    assert victim.process.wait() == 2, victim.said()
    assert path.name in victim.said()


def test_a_damaged_identity_stops_the_start(cluster: Cluster) -> None:
    victim = cluster.followers()[0]
    victim.kill()
    (victim.data / "identity").write_text("nonsense\n")
    victim.start()
    assert victim.process is not None
    assert victim.process.wait() == 2, victim.said()
    assert "identity" in victim.said()
