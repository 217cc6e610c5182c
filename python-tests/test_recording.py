"""The flight recorder: what a node recorded is replayed at a desk, and comes to the same."""

import re
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

from conftest import MakeCluster
from raft_harness import Cluster, Node, Unreachable, eventually
from raft_harness.files import bytes_in
from raft_harness.load import Load
from raft_harness.shell import Done, raft_server

STANDING = re.compile(
    r"stands as \w+ in term \d+, committed \d+, applied (\d+) with state hash ([0-9a-f]{16})"
)


def replay(what: Path, *options: str, code: int = 0) -> Done:
    done = raft_server("replay", what, *options, timeout=60)
    assert done.code == code, (done.out[-2000:], done.err)
    return done


def standings(done: Done) -> dict[int, str]:
    """Where the replica stood: the state hash by the last index applied."""
    return {int(index): digest for index, digest in STANDING.findall(done.out)}


def summary(done: Done) -> dict[str, str]:
    lines = [line for line in done.out.splitlines() if line[:1].isalpha()]
    return {line[:12].strip(): line[14:] for line in lines}


def ending(done: Done) -> tuple[int, str]:
    told = summary(done)
    return int(told["last applied"]), told["state hash"]


def record(node: Node, to: Path) -> Path:
    """The recording of a running node."""
    done = raft_server("client", "record", to, "--endpoints", node.address)
    assert (done.code, done.err) == (0, ""), done
    assert f"{to.stat().st_size} bytes from {node.address} in {to}" in done.out
    return to


def fill(node: Node, count: int, size: int = 100) -> None:
    for n in range(count):
        node.http.set_key(f"k/{n}", "x" * size).ok()


def has_said(node: Node, text: str, count: int) -> bool:
    return node.said().count(text) == count


def recorded_bytes(node: Node) -> int:
    return bytes_in(node.data / "recording/current")


def piece_names(node: Node) -> list[str]:
    return sorted(path.name for path in (node.data / "recording/current").iterdir())


def test_a_leader_killed_under_load_is_replayed(cluster: Cluster, tmp_path: Path) -> None:
    """The recordings of all nodes, that of the killed leader among them, tell of the same states."""
    with Load(cluster.nodes, writers=4) as load:
        # The last moments before a kill -9 are not in a recording: 20 ms, more where the machine is busy.
        load.wait_for_progress(1000)
        victim = cluster.wait_for_leader()
        victim.kill()
        load.wait_for_progress(50)
    done = replay(victim.data)
    killed = standings(done)
    index, digest = ending(done)
    assert (index, digest) == max(killed.items())
    assert index > 200
    assert int(summary(done)["compared"].split()[0]) > 100
    for node in cluster.others(victim):
        live = replay(record(node, tmp_path / f"{node.node_id}.raftrec"))
        others = standings(live)
        both = sorted(killed.keys() & others.keys())
        # The others apply in batches of their own.
        assert len(both) > 50
        assert index - both[-1] < 50
        assert {at: killed[at] for at in both} == {at: others[at] for at in both}
        assert max(others) > index
        # Read from its directory, the recording is the same and goes on.
        assert others.items() <= standings(replay(node.data)).items()
    assert "becomes Leader" in done.out
    assert f"from {cluster.others(victim)[0].node_id}: AppendReply" in done.out


def test_a_recording_is_saved_when_told_to(cluster: Cluster) -> None:
    node = cluster[1]
    fill(node, 20)
    cluster.wait_settled()
    files: list[Path] = []
    for count in (1, 2):
        assert node.process is not None
        node.process.send(signal.SIGUSR1)
        eventually(partial(has_said, node, "saved the recording", count), "it is saved")
        files = sorted(node.data.glob("recording-*.raftrec"))
        assert len(files) == count
        assert all(file.name in node.said() for file in files)
    status = node.status()
    for file in files:
        assert ending(replay(file, "--quiet")) == (status["last_applied"], status["applied_hash"])
    assert standings(replay(files[0], "--quiet")) == {}, "no story"
    node.kill()
    node.start().wait_healthy()
    assert sorted(node.data.glob("recording-*.raftrec")) == files


def test_over_http(cluster: Cluster, tmp_path: Path) -> None:
    node = cluster[0]
    fill(node, 20)
    reply = node.http.get("/api/recording")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    assert reply.headers["content-disposition"] == f'attachment; filename="{node.node_id}.raftrec"'
    file = tmp_path / "fetched"
    file.write_bytes(reply.body)
    assert ending(replay(file))[0] > 5
    assert node.http.get("/api/recording?x=1").code == "bad_request"
    # Without a name it is called after the node, and nothing is written over.
    first = raft_server("client", "record", "--endpoints", node.address, directory=tmp_path)
    assert (first.code, (tmp_path / "node_0.raftrec").exists()) == (0, True)
    again = raft_server("client", "record", "--endpoints", node.address, directory=tmp_path)
    assert "is there already" in again.one_line_error()
    assert not list(tmp_path.glob("*.part"))


def test_what_is_no_recording_is_refused(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(1).start()
    node = cluster[0]
    fill(node, 30)
    whole = record(node, tmp_path / "whole").read_bytes()
    index, _ = ending(replay(tmp_path / "whole"))
    file = tmp_path / "changed"

    middle = len(whole) * 2 // 3
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1 :])
    line = replay(file, code=2).err
    found = re.search(r"damaged at byte (\d+)", line)
    assert found, line
    assert middle - 4096 < int(found[1]) <= middle

    file.write_bytes(whole[:-3])
    torn = replay(file)
    assert re.fullmatch(r"\d+ bytes: the process ended while it wrote them", summary(torn)["torn end"])
    assert ending(torn)[0] <= index

    file.write_bytes(b"something else")
    assert "no recording" in replay(file, code=2).err
    assert "neither a recording nor a data directory" in replay(tmp_path, code=2).err
    assert "cannot read" in replay(tmp_path / "nothing", code=2).err
    assert "holds no such recording" in replay(node.data, "--previous", code=2).err
    assert "--previous" in raft_server("replay", file, "--previous").one_line_error()
    # The recording of a node, with another's log.
    node.kill()
    pieces = b"".join(path.read_bytes() for path in sorted((node.data / "recording/current").iterdir()))
    file.write_bytes(pieces[:-1])
    assert ending(replay(file))[0] > 20, "the first piece of a new node needs no log"


def test_a_node_can_do_without(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(1, arguments=["--record-mib", "0"]).start()
    node = cluster[0]
    fill(node, 3)
    assert not (node.data / "recording").exists()
    assert node.http.get("/api/recording").code == "not_found"
    refused = raft_server("client", "record", tmp_path / "x", "--endpoints", node.address)
    assert "record_mib" in refused.one_line_error()
    assert node.process is not None
    node.process.send(signal.SIGUSR1)
    eventually(lambda: "the recording was not saved: this node records nothing" in node.said(), "it says so")
    assert "holds no such recording" in replay(node.data, code=2).err


def test_the_ring_is_bounded(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Many times as much as fits goes through; what is there at any time is little more than what may be, and
    is replayed with a log that is longer."""
    cluster = make_cluster(1, arguments=["--record-mib", "1"]).start()
    node = cluster[0]
    most = 0
    for _ in range(20):
        fill(node, 20, size=10_000)
        most = max(most, recorded_bytes(node))
    assert (900 << 10) < most < (1200 << 10)
    # A fifth is there for a moment, until the oldest is removed.
    eventually(lambda: len(piece_names(node)) == 4, "there are four pieces")
    assert int(piece_names(node)[0].removeprefix("piece-")) > 10
    status = node.status()
    live = replay(record(node, tmp_path / "whole"), "--quiet")
    assert ending(live) == (status["last_applied"], status["applied_hash"])
    assert float(summary(live)["recorded"].split()[0]) > 0.1, "not from the beginning"
    node.kill()
    assert ending(replay(node.data)) == ending(live)


def test_a_restart_keeps_the_recording_before(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(1).start()
    node = cluster[0]
    ends: list[tuple[int, str]] = []
    for _ in range(3):
        fill(node, 100, size=400)
        status = node.status()
        ends.append((status["last_applied"], status["applied_hash"]))
        # What is written last is there within a moment.
        eventually(lambda: ending(replay(node.data, "--quiet")) == ends[-1], "all of it is recorded")
        node.kill()
        node.start().wait_healthy()
        assert ending(replay(node.data, "--previous", "--quiet")) == ends[-1]
    first = node.data / "recording/current" / f"piece-{1:020}"
    # The log is long by now, and is not in the recording.
    assert (node.data / "recording/previous" / first.name).stat().st_size > (20 << 10)
    assert first.stat().st_size < (8 << 10)
    assert node.stop() == 0
    assert ending(replay(node.data, "--quiet"))[0] >= ends[-1][0]


def test_an_ephemeral_node_records_in_memory(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster(1, arguments=["--ephemeral"]).start()
    node = cluster[0]
    fill(node, 10)
    status = node.status()
    assert ending(replay(record(node, tmp_path / "x"))) == (status["last_applied"], status["applied_hash"])
    assert node.process is not None
    node.process.send(signal.SIGUSR1)
    eventually(lambda: "fetch it with raft-server client record" in node.said(), "it says so")


def test_a_failed_node_leaves_its_recording(make_cluster: MakeCluster) -> None:
    """A directory stands in the way of the next segment: the disk fails. Only so many such files are kept."""
    cluster = make_cluster(1).start()
    node = cluster[0]
    for earlier in range(1, 6):
        (node.data / f"failed-{earlier}.raftrec").write_text("of an earlier failure")
    (node.data / f"log-{2:020}.tmp").mkdir()

    def failed() -> bool:
        with suppress(Unreachable):
            node.http.set_key("k", "v" * 1_000_000)
        return not node.running

    eventually(failed, "it has failed", 30)
    assert node.process is not None
    assert node.process.wait() == 1
    file, *kept = sorted(node.data.glob("failed-*.raftrec"), key=lambda path: -len(path.name))
    assert [path.name for path in kept] == ["failed-4.raftrec", "failed-5.raftrec"]
    assert f"file=raft-data/{node.node_id}/{file.name}" in node.said()
    told = replay(file).out
    assert "the disk fails: " in told
    assert "gives up: " in told
