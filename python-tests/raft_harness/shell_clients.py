"""Writers that are clients of the shipped command: they repeat what is safe to repeat."""

import subprocess
import threading
import time
from types import TracebackType
from typing import Self

from raft_harness.cluster import Cluster
from raft_harness.process import clean_environment, server_binary


class ShellWriter(threading.Thread):
    """`raft-server client`, fed one `set` after another through a pipe, until told to stop."""

    def __init__(self, endpoints: str, label: str) -> None:
        super().__init__(daemon=True)
        self.label = label
        self.written = 0
        self.slowest = 0.0
        self.failed: list[str] = []
        self._over = threading.Event()
        self._process = subprocess.Popen(
            [server_binary(), "client", "--endpoints", endpoints],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env=clean_environment(),
        )

    def run(self) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        while not self._over.is_set():
            begun = time.monotonic()
            process.stdin.write(f"set {self.label}/{self.written} number-{self.written}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if answer.startswith("set, revision"):
                self.written += 1
            else:
                self.failed.append(answer)
                if not answer:
                    return

    def stop(self) -> None:
        self._over.set()
        self.join(30)
        self._process.kill()
        self._process.wait()


class ShellWriters:
    """Some of them; a context manager that stops them."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        self.writers = [ShellWriter(cluster.endpoints, f"w{n}") for n in range(count)]

    def __enter__(self) -> Self:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self.writers:
            writer.stop()

    @property
    def written(self) -> int:
        return sum(writer.written for writer in self.writers)

    @property
    def failed(self) -> list[str]:
        return [answer for writer in self.writers for answer in writer.failed]

    @property
    def slowest(self) -> float:
        return max(writer.slowest for writer in self.writers)

    def expected(self) -> dict[str, str]:
        """All that was acknowledged."""
        return {f"{w.label}/{n}": f"number-{n}" for w in self.writers for n in range(w.written)}
