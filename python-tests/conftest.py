"""Fixtures of every test: clusters that are cleaned up, logs where a test fails, a deadline for each."""

import faulthandler
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from raft_harness import Cluster

pytest_plugins = ["raft_harness.browser_fixtures"]

MakeCluster = Callable[..., Cluster]

# For tests that say "there was no election": a busy machine must not hold one.
CALM = ("--election-timeout-min", "1000", "--election-timeout-max", "2000")
_clusters = pytest.StashKey[list[Cluster]]()


def pytest_configure() -> None:
    """Lets signals do to commands what they do anywhere, even where nohup or `&` started pytest."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _deadline(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stops a test that hangs, and shows where."""
    marker = request.node.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else 120

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
