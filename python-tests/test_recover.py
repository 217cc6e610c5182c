"""Recovery from a lost majority: `raft-server recover`, on the directories of real clusters."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from conftest import MakeCluster
from raft_harness import Cluster, Node, eventually
from raft_harness.shell import Done, raft_server


def recover(*nodes: Node, options: tuple[str, ...] = (), code: int = 0) -> Done:
    directories = [word for node in nodes for word in ("--data-dir", str(node.data))]
    done = raft_server("recover", *directories, *options)
    assert done.code == code, done
    return done


def account(*nodes: Node, options: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recover(*nodes, options=("--output", "json", *options)).out)
    return found


def peers(cluster: Cluster) -> tuple[str, str]:
    return "--peers", cluster.peers


def fill(node: Node, count: int, start: int = 0) -> dict[str, str]:
    written = {f"k/{n}": f"value {n}" for n in range(start, start + count)}
    for key, value in written.items():
        node.http.set_key(key, value).ok()
    return written


def files(directory: Path) -> dict[Path, bytes]:
    """Everything in it; the lock says who looked last."""
    return {
        path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "lock"
    }


def cluster_id(node: Node) -> str:
    found: str = node.status()["cluster_id"]
    return found


def test_one_of_three_goes_on_alone(make_cluster: MakeCluster) -> None:
    """All that the survivor has is there; nothing is done before it was told and asked for."""
    old = make_cluster(3).start()
    written = fill(old[0], 150)
    old.wait_settled()
    before = cluster_id(old[0])
    last = old[0].status()["last_log_index"]
    old.kill_all()
    old[1].wipe()

    survivor = old[0]
    bytes_before = files(survivor.data)
    shown = recover(survivor).out
    assert f"Cluster {before} of 3 members." in shown
    assert "Not here, and a majority is only with them: node_1, node_2." in shown
    assert f"entries 1 to {last} are kept" in shown
    assert re.search(rf"MAY BE LOST: .* acknowledged after entry {last}, which was written at 20", shown)
    assert "Nothing was changed." in shown
    told = account(survivor)
    assert (told["cluster_id"], told["missing"], told["founded"]) == (before, ["node_1", "node_2"], None)
    assert told["survivors"][0]["last_log_index"] == last
    assert files(survivor.data) == bytes_before

    new = Cluster(old.directory, 1)
    recover(survivor, options=peers(new))
    assert files(survivor.data) == bytes_before, "not without --yes"
    done = recover(survivor, options=(*peers(new), "--yes"))
    found = re.search(r"Made the new cluster ([0-9a-f]{32})", done.out)
    assert found, done.out
    kept = survivor.data / f"replaced-{found[1]}"
    assert {path.name for path in kept.iterdir()} >= {"identity", "log-00000000000000000001"}
    with new:
        node = new.start()[0]
        assert cluster_id(node) == found[1] != before
        assert node.store() == written
        fill(node, 10, start=150)
        node.kill()
        node.start().wait_healthy()
        eventually(lambda: len(node.store()) == 160, "all is there after a restart")


def test_the_better_log_of_two_out_of_five(make_cluster: MakeCluster) -> None:
    """One of the survivors has missed the last writes: both start with the log of the other. What comes back
    of the old cluster is not let in."""
    old = make_cluster(5).start()
    written = fill(old[0], 40)
    old.wait_settled()
    old[4].kill()
    leader = eventually(old.leader, "four follow one leader")
    written |= fill(leader, 60, start=40)
    old.wait_settled()
    old.kill_all()
    for node in old.nodes[:3]:
        node.wipe()

    told = account(old[4], old[3])
    assert (told["chosen"], told["majority"]) == ("node_3", False)
    better, worse = told["survivors"]
    assert better["last_log_index"] >= worse["last_log_index"] + 60
    assert worse["discarded_entries"] == 0
    new = Cluster(old.directory, 5)
    new.nodes = new.nodes[3:]
    done = account(old[4], old[3], options=(*peers(new), "--yes"))
    assert done["founded"]["last_index"] == better["last_log_index"]
    with new:
        new.start()
        assert new.assert_stores_equal() == written
        assert {cluster_id(node) for node in new} == {done["founded"]["cluster_id"]}
        new[0].set_eventually("more", "of it")
        new[1].kill()
        new[1].start().wait_healthy()
        assert len(new.assert_stores_equal()) == 101
        # The same member as it was in the old cluster.
        new[1].kill()
        kept = new[1].data / f"replaced-{done['founded']['cluster_id']}"
        before = kept.rename(old.directory / "before")
        new[1].wipe()
        before.rename(new[1].data)
        new[1].start().wait_answering()
        eventually(lambda: "cluster" in str(new[1].why()), "it is told that it is of another cluster")
        print(new[1].why())
        assert not new[1].is_healthy()
        assert cluster_id(new[1]) == told["cluster_id"]


def test_what_is_refused(make_cluster: MakeCluster, tmp_path: Path) -> None:
    one, other = make_cluster(3).start(), make_cluster(1).start()
    fill(one[0], 5)
    one.wait_settled()
    fill(other[0], 5)
    assert "in use by process" in recover(one[0], code=2).one_line_error()
    one.kill_all()
    other.kill_all()
    assert "belong to different clusters" in recover(one[0], other[0], code=2).one_line_error()
    one_list = ("--peers", f"node_0={one[0].address}", "--yes")

    majority = recover(one[0], one[1], options=one_list, code=2)
    assert "2 of the cluster's 3 members are here, which is a majority: start them" in majority.err
    stranger = ("--peers", f"node_0={one[0].address},node_7={one[1].address}", "--yes")
    assert "node_7 is to be a member, and no --data-dir" in recover(one[0], options=stranger, code=2).err
    assert "--peers" in recover(one[0], options=("--yes",), code=2).one_line_error()
    assert "not a data directory" in raft_server("recover", "--data-dir", tmp_path).one_line_error()
    copy = Node(one, "copy", 1)
    shutil.copytree(one[0].data, copy.data)
    assert "both directories of node_0" in recover(one[0], copy, code=2).one_line_error()

    segment = one[0].data / f"log-{1:020}"
    log = bytearray(segment.read_bytes())
    log[log.index(b"value 2")] ^= 1
    segment.write_bytes(log)
    before = files(one[0].data)
    refused = recover(one[0], options=one_list, code=2).one_line_error()
    assert segment.name in refused
    assert "leave its directory out" in refused
    assert files(one[0].data) == before
