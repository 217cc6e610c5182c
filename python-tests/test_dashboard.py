"""The dashboard in a browser, on a cluster that is well: what it shows, does, and never executes."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error
from raft_harness import Cluster, eventually
from raft_harness.browser import NARROW, WIDE, Alone, Dashboard
from raft_harness.browser_fixtures import MakeAlone, OpenDashboard
from raft_harness.cluster import Node
from raft_harness.process import REPOSITORY

CLUSTER_ARGUMENTS = ("--election-timeout-min", "1000", "--election-timeout-max", "2000")
SERVERS = ["node", "alone"]

HOSTILE = [
    "<script>raftTest.run(1)</script>",
    "<img src=x onerror=raftTest.run(2)>",
    "\"'><svg onload=raftTest.run(3)>",
    "javascript:raftTest.run(4)",
    "</textarea></li></ul><iframe srcdoc='<script>parent.raftTest.run(5)</script>'>",
    "{{constructor.constructor('raftTest.run(6)')()}} ${raftTest.run(7)}",
    "&lt;b&gt; &amp; ' \" ` \\ \\u0041",
    "__proto__",
]


@pytest.fixture
def well(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster of this file, empty before and after the test."""
    yield shared_cluster
    node = shared_cluster.wait_for_leader()
    for key in node.store():
        node.http.delete_key(key).ok()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, well: Cluster, make_alone: MakeAlone) -> Node | Alone:
    """What serves the page: a follower, and `raft-server dashboard`."""
    return well.followers()[0] if request.param == "node" else make_alone(well)


def shape_of(dashboard: Dashboard, node_id: str) -> str | None:
    return dashboard.card(node_id).locator("use").get_attribute("href")


def colour_of(dashboard: Dashboard, node_id: str) -> str:
    found: str = dashboard.card(node_id).locator(".shape").evaluate("e => getComputedStyle(e).color")
    return found


def keys(dashboard: Dashboard) -> list[str]:
    found: list[str] = dashboard.find("#rows > li").evaluate_all("rows => rows.map(row => row.dataset.key)")
    return found


def test_it_shows_each_member_as_it_is(
    well: Cluster, server: Node | Alone, open_dashboard: OpenDashboard
) -> None:
    for n in range(12):
        well[n % 3].http.set_key(f"key/{n}", n).ok()
    well.wait_settled()
    dashboard = open_dashboard(server).wait_level("ok")
    leader = well.wait_for_leader()
    for node in well:
        status = node.status()
        shown = {
            "Term": status["term"],
            "Log length": status["log_length"],
            "Commit index": status["commit_index"],
            "Applied": status["last_applied"],
            "Keys": 12,
        }
        facts = dashboard.facts(node.node_id)
        assert {name: facts[name] for name in shown} == {name: str(value) for name, value in shown.items()}
        assert dashboard.card(node.node_id).locator(".address").inner_text() == node.address
        role = "leader" if node is leader else "follower"
        assert dashboard.card(node.node_id).locator(".state").inner_text() == role.capitalize()
        assert shape_of(dashboard, node.node_id) == f"#shape-{role}"
        lag = "Leads 2 others" if node is leader else "In step with the leader"
        assert dashboard.card(node.node_id).locator(".lag").inner_text() == lag
    follower, other = (node.node_id for node in well.others(leader))
    assert (
        colour_of(dashboard, follower) == colour_of(dashboard, other) != colour_of(dashboard, leader.node_id)
    )
    status = leader.status()
    assert dashboard.text("#sentence") == f"All 3 members are up, {leader.node_id} leads"
    assert dashboard.text("#fact-leader") == leader.node_id
    assert dashboard.text("#fact-term") == str(status["term"])
    assert dashboard.text("#fact-commit") == str(status["commit_index"])
    assert dashboard.text("#fact-up") == "3 of 3"
    assert dashboard.text("#fact-keys") == "12"
    assert dashboard.text("#cluster-id") == f"cluster {status['cluster_id'][:8]}"
    live = f"Live, from {server.node_id}" if isinstance(server, Node) else "Live"
    assert dashboard.text("#link") == live
    assert not dashboard.find("#reasons").is_visible()


def test_it_is_live_by_one_stream(well: Cluster, server: Node | Alone, open_dashboard: OpenDashboard) -> None:
    dashboard = open_dashboard(server).wait_level("ok")
    dashboard.page.wait_for_selector("#empty-title")
    assert dashboard.text("#empty-title") == "The store is empty"
    leader = well.wait_for_leader()
    for n in range(2):
        revision = leader.http.set_key("live", n).ok()["revision"]
        dashboard.wait_text("#fact-commit", str(revision))
        dashboard.page.wait_for_selector(f'#rows > li[data-key="live"] >> text="{n}"')
    assert dashboard.text("#fact-keys") == "1"
    paths = [url.removeprefix(dashboard.url) for url in dashboard.requests]
    assert paths.count("api/dashboard/events") == 1
    asked = {path.partition("?")[0] for path in paths if path.startswith("api/")}
    assert asked == {"api/dashboard/events", "api/state_machine"}, "it asks for nothing again and again"


def test_it_sets_gets_and_deletes(well: Cluster, server: Node | Alone, open_dashboard: OpenDashboard) -> None:
    dashboard = open_dashboard(server).wait_level("ok")
    http = well[0].http
    assert dashboard.operate("get", "greeting") == "“greeting” is not set"
    assert dashboard.operate("set", "greeting", "héllo “you”") == "Set “greeting”"
    assert "a majority has it on disk" in dashboard.text("#outcome")
    assert http.get_key("greeting").ok()["value"] == "héllo “you”"
    assert dashboard.operate("get", "greeting") == "“greeting” is a string"
    assert dashboard.text("#outcome pre") == '"héllo “you”"'
    exact = '{"b": 1.0, "a": 12345678901234567890}'
    assert dashboard.operate("set", "exact", exact, "JSON") == "Set “exact”"
    assert http.get("/api/raw/exact").body.decode() == exact
    assert dashboard.operate("get", "exact") == "“exact” is an object"
    assert dashboard.text("#outcome pre") == exact
    assert dashboard.operate("set", "bytes", "3q2+7w==", "Base64") == "Set “bytes”"
    assert http.get("/api/raw/bytes").body == b"\xde\xad\xbe\xef"
    assert dashboard.operate("get", "bytes") == "“bytes” is bytes"
    assert dashboard.operate("set", "broken", "{", "JSON").startswith("Not JSON")
    assert http.get_key("broken").ok()["found"] is False
    assert dashboard.operate("delete", "greeting") == "Deleted “greeting”"
    assert dashboard.operate("delete", "greeting") == "“greeting” was not there"
    assert dashboard.operate("get", "").startswith("A key is needed")
    eventually(lambda: keys(dashboard) == ["bytes", "exact"], "the contents are what is left")
    assert dashboard.row("exact").locator(".value").inner_text() == exact
    assert dashboard.row("bytes").locator(".kind").inner_text() == "4 bytes"


def test_the_contents_are_paged(well: Cluster, open_dashboard: OpenDashboard) -> None:
    expected = sorted([f"page/{n:02}" for n in range(42)] + ["other/é"], key=str.encode)
    for key in expected:
        well[0].http.set_key(key, f"value of {key}").ok()
    dashboard = open_dashboard(well[0])
    dashboard.page.wait_for_selector("#rows > li")
    seen: list[str] = []
    for first, last in ((1, 20), (21, 40), (41, 43)):
        dashboard.wait_text("#as-of", f"{first}–{last} · ", whole=False)
        seen += keys(dashboard)
        if last < 43:
            dashboard.find("#next").click()
    assert seen == expected
    assert dashboard.find("#next").is_disabled()
    dashboard.find("#previous").click()
    eventually(lambda: keys(dashboard) == expected[20:40], "the page before")
    dashboard.find("#prefix").fill("other/")
    eventually(lambda: keys(dashboard) == ["other/é"], "keys that start with what was typed")
    assert not dashboard.find("#pager").is_visible(), "one page needs no pager"
    dashboard.find("#prefix").fill("<b>none")
    eventually(lambda: dashboard.text("#empty-title") == "No key starts with “<b>none”", "nothing found")
    dashboard.find("#prefix").fill("")
    eventually(lambda: keys(dashboard) == expected[:20], "the first page again")


def test_a_row_is_edited_and_deleted(well: Cluster, open_dashboard: OpenDashboard) -> None:
    well[0].http.set_key("row", {"n": 1}).ok()
    dashboard = open_dashboard(well[0])
    row = dashboard.row("row")
    row.get_by_role("button", name="Edit row").click()
    assert dashboard.find("#key").input_value() == "row"
    assert json.loads(dashboard.find("#value").input_value()) == {"n": 1}
    dashboard.find("#value").fill('{"n": 2}')
    dashboard.find("#do-set").click()
    eventually(lambda: row.locator(".value").inner_text() == '{"n": 2}', "the row has the new value")
    delete = row.locator("button.danger")
    delete.click()
    assert delete.inner_text() == "Really?"
    dashboard.find("#key").focus()
    eventually(lambda: delete.inner_text() == "Delete", "whoever goes elsewhere does not mean it")
    assert well[0].http.get_key("row").ok()["found"] is True
    delete.click()
    delete.click()
    eventually(lambda: keys(dashboard) == [], "the row is gone")
    assert well[0].http.get_key("row").ok()["found"] is False


def test_what_a_field_cannot_hold_is_edited_as_it_is(well: Cluster, open_dashboard: OpenDashboard) -> None:
    """Fields drop line breaks from keys, and turn those of values into others."""
    key, value = "two\nlines", "carriage\r\nreturn"
    well[0].http.set_key(key, value).ok()
    dashboard = open_dashboard(well[0])
    dashboard.find("#rows").get_by_role("button", name="Edit").click()
    dashboard.find("#do-set").click()
    dashboard.wait_text("#outcome .title", "Set “two\\u000alines”")
    assert well[0].http.get_key(key).ok()["value"] == value
    assert well[0].http.get_key("twolines").ok()["found"] is False
    dashboard.operate("set", "twolines", "another key")
    assert well[0].http.get_key("twolines").ok()["value"] == "another key"


def test_hostile_text_stays_text(well: Cluster, open_dashboard: OpenDashboard) -> None:
    http = well[0].http
    others = ["\u202egnirts\u202c", "nul\0and\ttab", "ends in \U0001f680", "k" * 4096]
    for text in HOSTILE + others:
        http.set_key(text, text).ok()
        http.set_key(f"z{text}"[:4000], {text[:500]: [text]}).ok()
    dashboard = open_dashboard(well[0])
    seen: dict[str, str] = {}
    for first in ("1–20", "21–24"):
        dashboard.wait_text("#as-of", first, whole=False)
        for more in dashboard.find("#rows .more").all():
            more.click()
        # Where a button shows all, the text is in an element of its own.
        text_of = "es => es.map(e => (e.querySelector('span') ?? e).innerText)"
        shown, values = (dashboard.find(f"#rows {part}").evaluate_all(text_of) for part in (".key", ".value"))
        seen |= dict(zip(shown, values, strict=True))
        dashboard.find("#next").click(force=True)
    for text in HOSTILE:
        assert seen[text] == json.dumps(text)
        assert json.loads(seen[f"z{text}"]) == {text: [text]}
    assert "\\u202egnirts\\u202c" in seen
    for text in HOSTILE[::3] + others:
        title = dashboard.operate("get", text)
        assert title.endswith("is a string"), title
    for text in HOSTILE[:2]:
        assert dashboard.operate("set", text, text).startswith("Set “")
        dashboard.find("#prefix").fill(text)
        dashboard.wait_text("#rows .key", text)
        dashboard.find("#prefix").fill(f"no {text}")
        dashboard.wait_text("#empty-title", f"No key starts with “no {text}”")
    made = ":is(#rows, #outcome, #empty, #stored-as) :is(script, img, svg, iframe, b)"
    assert dashboard.find(made).count() == 0


def test_text_is_legible_however_it_was_written(well: Cluster, open_dashboard: OpenDashboard) -> None:
    """Many clients, Python's json among them, write é as an escape."""
    body = b'{"key":"escaped","value":"\\u00e9\\u4e16 \\ud83d\\ude80 \\u0022 \\\\u0041 \\u202e"}'
    well[0].http.request("POST", "/api/set", body, {"content-type": "application/json"}).ok()
    dashboard = open_dashboard(well[0])
    value = dashboard.row("escaped").locator(".value")
    shown = '"é世 🚀 \\u0022 \\\\u0041 \\u202e"'
    assert value.inner_text() == shown
    dashboard.operate("get", "escaped")
    assert dashboard.text("#outcome pre") == shown


def test_nothing_but_the_pages_own_files_may_run(
    well: Cluster, server: Node | Alone, open_dashboard: OpenDashboard
) -> None:
    dashboard = open_dashboard(server).wait_level("ok")
    answer = dashboard.page.request.get(dashboard.url)
    policy = dict(part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; "))
    members = " ".join(f"http://{node.address}" for node in well)
    sources = f"'self' {members}" if isinstance(server, Node) else "'self'"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": sources,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    # That the policy bites: what a hostile value would need is refused, and noticed here.
    with pytest.raises(Error, match="TrustedHTML"):
        dashboard.page.evaluate("() => { document.body.innerHTML = '<img src=x onerror=raftTest.run(1)>'; }")
    with pytest.raises(Error, match="TrustedScript"):
        dashboard.page.evaluate("() => document.body.setAttribute('onclick', 'raftTest.run(2)')")
    dashboard.page.evaluate("() => document.body.append(document.createElement('style'))")
    with pytest.raises(AssertionError):
        dashboard.assert_clean(*(f"http://{node.address}" for node in well))
    executed: list[str] = dashboard.page.evaluate("() => raftTest.executed")
    assert executed == []
    dashboard.page.reload()
    dashboard.complaints.clear()


def test_it_is_used_by_keyboard_alone(well: Cluster, open_dashboard: OpenDashboard) -> None:
    well[0].http.set_key("first", 1).ok()
    dashboard = open_dashboard(well[0])
    dashboard.page.wait_for_selector("#rows > li")
    keyboard = dashboard.page.keyboard
    visited = []
    for _ in range(10):
        keyboard.press("Tab")
        visited.append(dashboard.find(":focus").evaluate("e => e.id || e.ariaLabel || e.value"))
    assert visited[:6] == ["theme", "key", "text", "value", "do-get", "do-set"]
    assert visited[6:10] == ["do-delete", "prefix", "Edit first", "Delete first"]
    dashboard.find("#key").focus()
    keyboard.type("typed")
    keyboard.press("Enter")
    eventually(lambda: dashboard.text("#outcome .title") == "“typed” is not set", "Enter gets")
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    keyboard.press("Tab")
    keyboard.type("[1, 2]")
    keyboard.press("Control+Enter")
    eventually(lambda: dashboard.text("#outcome .title") == "Set “typed”", "Ctrl+Enter sets")
    assert well[0].http.get_key("typed").ok()["value"] == [1, 2]
    dashboard.find("#key").focus()
    dashboard.requests.clear()
    keyboard.press("Control+Enter")
    eventually(lambda: any("/api/set" in url for url in dashboard.requests), "from the key too")
    keyboard.press("Enter")
    eventually(lambda: dashboard.text("#outcome .title") == "“typed” is an array", "and is got again")
    asked = [url.partition("?")[0].rpartition("/")[2] for url in dashboard.requests if "/state" not in url]
    assert asked == ["set", "typed"], "each once"


def test_everything_has_its_name_and_changes_are_announced(
    well: Cluster, open_dashboard: OpenDashboard
) -> None:
    well[0].http.set_key("named", 1).ok()
    dashboard = open_dashboard(well[0]).wait_level("ok")
    dashboard.page.wait_for_selector("#rows > li")
    page = dashboard.page
    for role, names in {
        "button": ["Get", "Set", "Delete", "Edit named", "Delete named", "Switch between light and dark"],
        "textbox": ["Key", "Value"],
        "searchbox": ["Keys that start with"],
        "radio": ["Text", "JSON", "Base64"],
        "heading": [dashboard.text("#sentence"), "Contents", "Use the store", "Recent events", "node_0"],
        "article": [f"{node.node_id}: " for node in well],
        "region": ["Members", "Contents", "Use the store", "Recent events"],
    }.items():
        for name in names:
            exact = role != "article"
            found = page.get_by_role(role, name=name, exact=exact)  # type: ignore[arg-type]
            assert found.count() == 1, (role, name)
    for selector in ("#sentence", "#link-text", "#outcome"):
        # A region that is itself hidden until there is something to say would not be spoken.
        announced = "e => e.closest('[role=status]')?.checkVisibility()"
        assert dashboard.find(selector).evaluate(announced), f"{selector} is announced"
    unnamed = "es => es.filter(e => !e.labels?.length && !e.innerText && !e.ariaLabel).map(e => e.outerHTML)"
    assert dashboard.find(":is(button, input, textarea)").evaluate_all(unnamed) == []


def brightness(dashboard: Dashboard) -> int:
    """Of the page behind everything: 0 to 765."""
    colour: str = dashboard.find("body").evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))


def test_both_themes(well: Cluster, open_dashboard: OpenDashboard) -> None:
    well[0].http.set_key("name", "Raft").ok()
    dashboard = open_dashboard(well[0], theme="dark").wait_level("ok")
    dashboard.page.wait_for_selector("#rows > li")
    assert brightness(dashboard) < 150, "as the system has it"
    dashboard.screenshot("theme-dark")
    dashboard.page.emulate_media(color_scheme="light")
    assert brightness(dashboard) > 600
    dashboard.screenshot("theme-light")
    dashboard.find("#theme").click()
    assert brightness(dashboard) < 150, "as it was chosen"
    dashboard.page.reload()
    dashboard.wait_level("ok")
    assert brightness(dashboard) < 150, "it is remembered"
    dashboard.find("#theme").click()
    assert brightness(dashboard) > 600


def test_long_keys_and_values_fit(well: Cluster, open_dashboard: OpenDashboard) -> None:
    for n in range(6):
        well[0].http.set_key(f"{n}{'long-' * n * 20}", "x" * n * 400).ok()
        well[0].http.set_key(f"{n}b{'k' * n * 100}", {"a" * n * 90: [n] * n * 30}).ok()
    dashboard = open_dashboard(well[0])
    dashboard.page.wait_for_selector("#rows > li")
    for more in dashboard.find("#rows .more").all():
        more.click()
    dashboard.operate("get", keys(dashboard)[-1])
    wide = "es => es.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
    cut = "es => es.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML)"
    texts = dashboard.find("button, dt, dd, h1, h2, .state, .lag, .hint, .as-of, .key, .value")
    for width, height in (WIDE, (768, 1024), NARROW):
        dashboard.page.set_viewport_size({"width": width, "height": height})
        assert dashboard.find("main *").evaluate_all(wide) == []
        assert dashboard.page.evaluate("() => document.documentElement.scrollWidth") == width
        assert texts.evaluate_all(cut) == []


def test_the_documented_pictures_are_there_and_light() -> None:
    """python-tests/regenerate_images.py makes them."""
    for theme in ("light", "dark"):
        picture = REPOSITORY / f"docs/images/dashboard-{theme}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 300 * 1024
    assert "docs/images/dashboard-light.png" in (REPOSITORY / "README.md").read_text()
