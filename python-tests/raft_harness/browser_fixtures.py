"""Fixtures of the tests that look at the dashboard. conftest.py names this file as a plugin."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from raft_harness.browser import Alone, Dashboard, chromium
from raft_harness.c_door import need
from raft_harness.cluster import Cluster, Node

OpenDashboard = Callable[..., Dashboard]
MakeAlone = Callable[[Cluster], Alone]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file.

    Not for all: while Playwright's synchronous interface is open, asyncio.run does not work in this thread,
    and other tests use it.
    """
    need("chromium")
    with chromium() as found:
        yield found


@pytest.fixture
def open_dashboard(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenDashboard]:
    """Opens dashboards: that of a node, or one that is served alone.

    After the test each is photographed, and has to be clean: nothing executed, refused or uncaught, and no
    request to anywhere but its own origin and, from a node's page, the members.
    """
    opened: list[tuple[Dashboard, list[str]]] = []

    def open_(server: Node | Alone, **options: Any) -> Dashboard:
        members = [f"http://{node.address}" for node in server.cluster] if isinstance(server, Node) else []
        url = f"http://{server.address}/" if isinstance(server, Node) else server.url
        dashboard = Dashboard(browser, url, **options)
        opened.append((dashboard, members))
        return dashboard

    yield open_
    name = re.sub(r"[^\w]+", "-", request.node.name.removeprefix("test_")).strip("-")
    try:
        for number, (dashboard, members) in enumerate(opened):
            dashboard.screenshot(f"{name}-{number}" if number else name)
            dashboard.assert_clean(*members)
    finally:
        for dashboard, _ in opened:
            dashboard.close()


@pytest.fixture
def make_alone(tmp_path: Path) -> Iterator[MakeAlone]:
    """Starts `raft-server dashboard` for a cluster."""
    made: list[Alone] = []

    def make(cluster: Cluster) -> Alone:
        made.append(Alone(cluster, tmp_path / f"dashboard{len(made)}.log").start())
        return made[-1]

    yield make
    for alone in made:
        alone.kill()
