#!/usr/bin/env python3
"""Photographs the dashboard of the release binary for the documentation: docs/images/dashboard-*.png.

target/venv/bin/python python-tests/regenerate_images.py

It needs Chromium and root: the documented ports are used, in a network of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from raft_harness import Cluster
from raft_harness.browser import Dashboard, chromium
from raft_harness.cluster import Node
from raft_harness.process import REPOSITORY

IMAGES = REPOSITORY / "docs/images"
INSIDE = "--inside"
STORE: dict[str, Any] = {
    "app/icon": {"$base64": "iVBORw0KGgo="},
    "app/limits": {"cpu": 2, "rate": 0.5},
    "app/name": "Raft Cluster",
    "app/regions": ["eu-north", "us-east"],
    "features/dark-mode": True,
    "jobs/last-run": None,
    "jobs/total": 1824,
    "users/1": {"name": "Ada", "admin": True},
    "users/2": {"name": "Grace", "admin": False},
}


class Documented(Cluster):
    """On the documented ports."""

    def _make_nodes(self, size: int) -> list[Node]:
        return [Node(self, f"node_{n}", 12000 + n) for n in range(size)]


def photograph() -> None:
    """Both themes of a cluster that is well, after a first write through the page."""
    with tempfile.TemporaryDirectory() as directory, Documented(Path(directory)) as cluster:
        cluster.start()
        for key, value in STORE.items():
            cluster[0].http.set_key(key, value).ok()
        with chromium() as browser:
            for theme in ("light", "dark"):
                dashboard = Dashboard(browser, f"http://{cluster[0].address}/", theme=theme).wait_level("ok")
                dashboard.operate("set", "app/name", "Raft you can embed")
                revision = cluster[0].http.get_key("app/name").ok()["revision"]
                dashboard.wait_text("#fact-commit", str(revision))
                dashboard.row("app/name").get_by_text("embed").wait_for()
                path = dashboard.screenshot(f"dashboard-{theme}", whole=True, directory=IMAGES)
                print(f"wrote {path}, {path.stat().st_size // 1024} KiB")
                dashboard.close()


if __name__ == "__main__":
    if INSIDE in sys.argv:
        photograph()
    else:
        script = f'ip link set lo up && exec "$0" "$1" {INSIDE}'
        command = ["unshare", "--net", "sh", "-c", script, sys.executable, __file__]
        sys.exit(subprocess.run(command, check=False).returncode)
