"""Fixtures of every test: clusters that are cleaned up, logs where a test fails, a deadline for each.

And what several processes need (`--numprocesses`): an order, and that some tests have no other beside them.
"""

import faulthandler
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from raft_harness import Cluster
from raft_harness.process import REPOSITORY

pytest_plugins = ["raft_harness.browser_fixtures"]

MakeCluster = Callable[..., Cluster]

# For tests that say "there was no election": a busy machine must not hold one.
CALM = ("--election-timeout-min", "1000", "--election-timeout-max", "2000")
_clusters = pytest.StashKey[list[Cluster]]()


def pytest_configure(config: pytest.Config) -> None:
    """Lets signals do to commands what they do anywhere, even where nohup or `&` started pytest."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if _one_of_several(config):
        # Inherited from the process that started this one, where readline set them behind Python's back.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def _one_of_several(config: pytest.Config) -> bool:
    """Whether other processes run other tests at the same time."""
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest comes first, so that the processes end together; files with lonely tests last."""
    longest: dict[Path, int] = {}
    lonely: set[Path] = set()
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0), _seconds(item))
        if item.get_closest_marker("alone"):
            lonely.add(item.path)
    items.sort(key=lambda item: (item.path in lonely, -longest[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that is to run alone waits for those of the other processes, and they wait for it."""
    if not _one_of_several(item.config):
        return (yield)
    with (REPOSITORY / "target/pytest-alone").open("a") as place:
        fcntl.flock(place, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        return (yield)


def _seconds(item: pytest.Item) -> int:
    """How long the test may take."""
    marker = item.get_closest_marker("deadline")
    return int(marker.args[0]) if marker else 120


@pytest.fixture(autouse=True)
def _deadline(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stops a test that hangs, and shows where."""
    seconds = _seconds(request.node)

    def expired(_signal: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
        pytest.fail(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Adds what the nodes logged to the report of a failed test."""
    report = yield
    if report.failed:
        for cluster in item.stash.get(_clusters, []):
            report.sections.append(("logs of the nodes", cluster.logs()))
    return report


@pytest.fixture
def make_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeCluster]:
    """Makes clusters: `make_cluster(5, arguments=[…])`. They are not started."""
    made = request.node.stash.setdefault(_clusters, [])

    def make(size: int = 3, kind: type[Cluster] = Cluster, **options: Any) -> Cluster:
        cluster = kind(tmp_path / f"cluster{len(made)}", size, **options)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    """Three nodes of its own for one test, with a leader."""
    return make_cluster().start()


@pytest.fixture
def calm_cluster(make_cluster: MakeCluster) -> Cluster:
    """Like `cluster`, with long election timeouts."""
    return make_cluster(arguments=CALM).start()


@pytest.fixture(scope="module")
def _module_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    arguments = getattr(request.module, "CLUSTER_ARGUMENTS", ())
    with Cluster(tmp_path_factory.mktemp("shared"), arguments=arguments) as cluster:
        yield cluster


@pytest.fixture
def shared_cluster(request: pytest.FixtureRequest, _module_cluster: Cluster) -> Cluster:
    """Three nodes for all tests of a file, which leave them as they were; its CLUSTER_ARGUMENTS apply."""
    request.node.stash.setdefault(_clusters, []).append(_module_cluster)
    _module_cluster.start()
    _module_cluster.wait_for_leader()
    return _module_cluster
