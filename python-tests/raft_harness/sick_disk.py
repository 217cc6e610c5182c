"""Nodes whose disks can be made sick while they run: hung, failing, full."""

import errno
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from raft_harness.cluster import Cluster, Node


@cache
def _library() -> Path:
    """`sick_disk.c`, compiled once a run."""
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed"
    source = Path(__file__).with_name("sick_disk.c")
    library = Path(mkdtemp(prefix="sick-disk-")) / "sick_disk.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", library, source, "-ldl"], check=True)
    return library


class SickNode(Node):
    """A node with a disk that does as it is told."""

    @property
    def _control(self) -> Path:
        return self.cluster.directory / f"{self.node_id}.sick"

    def command(self) -> list[str | Path]:
        preload = [f"LD_PRELOAD={_library()}", f"SICK_DISK={self._control}"]
        return ["env", *preload, *super().command()]

    def disk(self, sickness: str) -> None:
        """`hang` or `eio`, from now on."""
        unfinished = self._control.with_suffix(".new")
        unfinished.write_text(sickness)
        unfinished.rename(self._control)

    def disk_recovers(self) -> None:
        self._control.unlink(missing_ok=True)

    def codes(self) -> list[str]:
        """What `/api/why` names, the most important first."""
        return [reason["code"] for reason in self.why()["reasons"]]


class SickCluster(Cluster):
    """A cluster of such nodes."""

    def _make_nodes(self, size: int) -> list[Node]:
        return [SickNode(self, node.node_id, node.port) for node in super()._make_nodes(size)]

    def sick(self, node: Node) -> SickNode:
        assert isinstance(node, SickNode)
        return node

    def close(self) -> None:
        for node in self.nodes:
            self.sick(node).disk_recovers()
        super().close()


class SmallDisk:
    """A small file system, in a mount namespace that goes away with the process that holds it."""

    def __init__(self, directory: Path, mebibytes: int) -> None:
        directory.mkdir(parents=True)
        script = f'mount -t tmpfs -o size={mebibytes}m tmpfs "$1" && echo ready && exec sleep infinity'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(directory)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            pytest.skip("mounting needs root")
        self.seen = Path(f"/proc/{self._holder.pid}/root{directory}")
        self._filler = self.seen / "filler"

    def entered(self, working_directory: Path) -> list[str]:
        """What starts a command within."""
        enter = ["nsenter", f"--target={self._holder.pid}", "--mount"]
        # A directory that was open before the file system was entered would be the one below it.
        return [*enter, "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(working_directory)]

    def fill(self) -> None:
        """Leaves no room at all."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


class SmallDiskNode(Node):
    """A node with such a disk for its data directory."""

    def __init__(self, cluster: Cluster, node_id: str, port: int) -> None:
        super().__init__(cluster, node_id, port)
        self.disk = SmallDisk(self.data, mebibytes=80)

    def command(self) -> list[str | Path]:
        return [*self.disk.entered(self.cluster.directory), *super().command()]

    def codes(self) -> list[str]:
        """What `/api/why` names, the most important first."""
        return [reason["code"] for reason in self.why()["reasons"]]

    def has_reserve(self) -> bool:
        return (self.disk.seen / "reserve").exists()


class SmallDiskCluster(Cluster):
    """A cluster of such nodes."""

    def _make_nodes(self, size: int) -> list[Node]:
        return [SmallDiskNode(self, node.node_id, node.port) for node in super()._make_nodes(size)]

    def small(self, node: Node) -> SmallDiskNode:
        assert isinstance(node, SmallDiskNode)
        return node

    def close(self) -> None:
        super().close()
        for node in self.nodes:
            self.small(node).disk.close()
