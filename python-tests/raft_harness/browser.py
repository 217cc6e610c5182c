"""The dashboard as a person sees it: Debian's Chromium, driven by Playwright.

A `Dashboard` is a page in a context of its own. It keeps what the page asked for, what it complained of, and,
through `browser_observer.js`, what it showed and when; `assert_clean` says whether all of that was in order.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, sync_playwright

from raft_harness.cluster import Cluster
from raft_harness.ports import free_ports
from raft_harness.process import REPOSITORY, Process, server_binary
from raft_harness.waiting import eventually

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever the page or the browser itself would look for elsewhere is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
OBSERVER = Path(__file__).with_name("browser_observer.js")
SCREENSHOTS = REPOSITORY / "target/screenshots"
WIDE, NARROW = (1280, 800), (390, 844)
PATIENCE_MS = 15_000
ANSWERED = """before => {
  const outcome = document.querySelector("#outcome");
  return !outcome.hidden && outcome.dataset.level !== "busy" && outcome.innerText !== before;
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that Debian has; none is ever downloaded."""
    path = shutil.which("chromium")
    assert path, "chromium is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Moment:
    """What the page showed from `at` on, which is in seconds of `time.monotonic`."""

    at: float
    link: str
    link_text: str
    level: str
    sentence: str
    leader: str
    members: dict[str, str]
    """The state on each member's card."""


class Alone:
    """`raft-server dashboard` for a cluster, on a free port."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self.cluster, self.log = cluster, log
        (self.port,) = free_ports(1)
        self.url = f"http://localhost:{self.port}/"
        self.process: Process | None = None

    def start(self) -> Self:
        """Starts it, and waits until it says that it serves."""
        options = ["--port", str(self.port), "--endpoints", self.cluster.endpoints]
        said = self.log.stat().st_size if self.log.exists() else 0
        process = self.process = Process([server_binary(), "dashboard", *options], self.log)
        eventually(lambda: f"localhost:{self.port}" in process.output(said), "the dashboard is served")
        return self

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()


class Dashboard:
    """A page of the dashboard at `url`, in a context of its own."""

    def __init__(
        self, browser: Browser, url: str, size: tuple[int, int] = WIDE, theme: str = "light"
    ) -> None:
        self.url = url
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(path=OBSERVER)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._take_console)
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.context.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page: Page = self.context.new_page()
        self.page.goto(url)

    def _take_console(self, message: ConsoleMessage) -> None:
        # Chromium logs each request that found nobody or was answered with an error: tests kill nodes.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def close(self) -> None:
        self.context.close()

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def card(self, node_id: str) -> Locator:
        return self.page.locator(f'.card[data-node="{node_id}"]')

    def row(self, key: str) -> Locator:
        """The row of a key that the page of contents shows."""
        return self.page.locator("#rows > li").filter(
            has=self.page.locator(".key").get_by_text(key, exact=True)
        )

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def facts(self, node_id: str) -> dict[str, str]:
        """What a member's card says, by name; narrow spaces in numbers are left out."""
        card = self.card(node_id)
        names, values = card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts()
        return {name: value.replace("\u202f", "") for name, value in zip(names, values, strict=True)}

    def operate(self, what: str, key: str, value: str | None = None, kind: str = "Text") -> str:
        """Fills the form and presses a button; the title of what came of it."""
        self.find("#key").fill(key)
        if value is not None:
            self.page.get_by_role("radio", name=kind, exact=True).check()
            self.find("#value").fill(value)
        before = self.find("#outcome").inner_text() if self.find("#outcome").is_visible() else ""
        self.find(f"#do-{what.lower()}").click()
        self.page.wait_for_function(ANSWERED, arg=before)
        return self.text("#outcome .title")

    def timeline(self) -> list[Moment]:
        """What it has shown since it was opened."""
        zero = self._zero()
        found: list[dict[str, Any]] = self.page.evaluate("() => raftTest.timeline")
        return [Moment(**{**moment, "at": zero + moment["at"] / 1000}) for moment in found]

    def _zero(self) -> float:
        """The page's time origin as `time.monotonic` has it, at most half of the shortest round trip off."""
        best = (float("inf"), 0.0)
        for _ in range(8):
            before = time.monotonic()
            now: float = self.page.evaluate("() => performance.now()")
            after = time.monotonic()
            best = min(best, (after - before, (before + after) / 2 - now / 1000))
        return best[1]

    def wait_shown(self, shows: Callable[[Moment], bool], what: str, timeout: float = 15) -> Moment:
        """Waits until it shows something; the first moment since it was opened at which it did."""

        def first() -> Moment | None:
            return next((moment for moment in self.timeline() if shows(moment)), None)

        return eventually(first, f"the page shows {what}: {self.find('main').inner_text()}", timeout, 0.05)

    def wait_level(self, level: str) -> "Dashboard":
        """Waits until it says that the cluster is so: ok, degraded, electing, down."""
        self.page.wait_for_selector(f'#health[data-level="{level}"]')
        return self

    def wait_text(self, selector: str, expected: str, whole: bool = True) -> None:
        """Waits until an element says something, or begins with it."""

        def says() -> bool:
            found = self.find(selector).first.text_content(timeout=PATIENCE_MS)
            return found == expected if whole else (found or "").startswith(expected)

        eventually(says, f"{selector} says {expected!r}", 15)

    def screenshot(self, name: str, whole: bool = False, directory: Path = SCREENSHOTS) -> Path:
        """Keeps what it shows as a PNG."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")
        return path

    def assert_clean(self, *origins: str) -> None:
        """Nothing was executed, refused or uncaught, and no request went anywhere but to these origins."""
        assert self.complaints == []
        try:
            found = self.page.evaluate("() => [raftTest.executed, raftTest.violations]")
        except Error as error:
            raise AssertionError(f"the page is gone: {error}") from error
        assert found == [[], []]
        strangers = [url for url in self.requests if _origin(url) not in {_origin(self.url), *origins}]
        assert strangers == []


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
