"""The dashboard in a browser while nodes are killed and paused: it tells soon, and goes on."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Route
from raft_harness import Cluster, Joining, eventually
from raft_harness.browser import Alone, Dashboard, Moment
from raft_harness.browser_fixtures import MakeAlone, OpenDashboard
from raft_harness.cluster import Node
from raft_harness.ports import free_ports

SOON = 0.5
SERVERS = ["node", "alone"]


@pytest.fixture(params=SERVERS)
def served_by(request: pytest.FixtureRequest) -> str:
    """What serves the page: a node, or `raft-server dashboard`."""
    return str(request.param)


def serve(served_by: str, node: Node, make_alone: MakeAlone) -> Node | Alone:
    return node if served_by == "node" else make_alone(node.cluster)


def kill(node: Node) -> float:
    """kill -9; when, on the monotonic clock, just before."""
    now = time.monotonic()
    node.kill()
    return now


def shown_after(dashboard: Dashboard, since: float, what: str, shows: Callable[[Moment], bool]) -> float:
    """How long after a moment the page first showed something, in seconds; printed."""
    moment = dashboard.wait_shown(lambda moment: moment.at > since and shows(moment), what)
    took = moment.at - since
    print(f"{what}: after {took * 1000:.0f} ms")
    return took


@pytest.mark.alone
def test_it_tells_within_500_ms_that_the_leader_was_killed(
    cluster: Cluster, served_by: str, make_alone: MakeAlone, open_dashboard: OpenDashboard
) -> None:
    leader = cluster.wait_for_leader()
    other = cluster.others(leader)[0]
    other.http.set_key("kept", 1).ok()
    dashboard = open_dashboard(serve(served_by, other, make_alone)).wait_level("ok")
    killed = kill(leader)
    down = shown_after(
        dashboard, killed, f"{leader.node_id} is down", lambda now: now.members[leader.node_id] == "down"
    )
    led = shown_after(
        dashboard, killed, "another one leads", lambda now: now.leader not in ("none", leader.node_id)
    )
    assert down < SOON
    assert led < 2 * SOON
    new = cluster.wait_for_leader()
    eventually(
        lambda: dashboard.text("#sentence") == f"{new.node_id} leads, 2 of 3 members are up", "who leads"
    )
    assert f"{leader.node_id} is down. One more loss would stop all writes." in dashboard.text("#health-note")
    assert "Connection refused" in dashboard.card(leader.node_id).inner_text()
    assert dashboard.card(leader.node_id).locator(".state").inner_text() == "Down"
    assert dashboard.card(leader.node_id).locator("use").get_attribute("href") == "#shape-down"
    lag = dashboard.card(leader.node_id).locator(".lag")
    eventually(
        lambda: lag.inner_text() == "The leader has not heard of it", "nobody knows how far its log is"
    )
    eventually(
        lambda: f"{new.node_id} leads, in term {new.status()['term']}" in dashboard.text("#history"),
        "history",
    )
    assert f"{leader.node_id} went down" in dashboard.text("#history")
    eventually(
        lambda: "What is shown is" in dashboard.card(leader.node_id).inner_text(), "its figures are old"
    )
    assert dashboard.operate("set", "after", "the kill") == "Set “after”"
    assert dashboard.operate("get", "kept") == "“kept” is a number"
    assert dashboard.row("after").locator(".value").inner_text() == '"the kill"'
    dashboard.screenshot(f"leader-killed-{served_by}")
    leader.start()
    dashboard.wait_level("ok")
    assert f"{leader.node_id} is back" in dashboard.text("#history")


@pytest.mark.alone
@pytest.mark.parametrize("role", ["follower", "leader"])
def test_it_goes_on_with_another_node_within_500_ms(
    cluster: Cluster, open_dashboard: OpenDashboard, role: str
) -> None:
    leader = cluster.wait_for_leader()
    node = leader if role == "leader" else cluster.others(leader)[0]
    node.http.set_key("kept", 1).ok()
    dashboard = open_dashboard(node).wait_level("ok")
    killed = kill(node)
    down = shown_after(
        dashboard,
        killed,
        f"its own node, the {role}, is down",
        lambda now: now.members[node.node_id] == "down",
    )
    live = shown_after(
        dashboard,
        killed,
        "live from another",
        lambda now: now.link == "live" and node.node_id not in now.link_text,
    )
    assert down < SOON
    assert live < SOON
    assert not any(moment.link == "old" for moment in dashboard.timeline())
    dashboard.wait_level("degraded")
    assert dashboard.operate("set", "after", "the kill") == "Set “after”"
    assert dashboard.operate("get", "kept") == "“kept” is a number"
    assert dashboard.row("after").locator(".value").inner_text() == '"the kill"'
    history = dashboard.text("#history")
    assert f"{node.node_id} went down" in history
    assert "This page follows node_" in history
    node.start()
    dashboard.wait_level("ok")


def test_without_a_majority_it_says_why_and_shows_what_may_be_old(
    cluster: Cluster, served_by: str, make_alone: MakeAlone, open_dashboard: OpenDashboard
) -> None:
    survivor = cluster.wait_for_leader()
    survivor.http.set_key("kept", "still here").ok()
    dashboard = open_dashboard(serve(served_by, survivor, make_alone), theme="dark").wait_level("ok")
    dead = cluster.others(survivor)
    for node in dead:
        node.kill()
    dashboard.wait_level("down")
    assert dashboard.text("#sentence") == "There is no majority"
    assert "1 of 3 is up, and 2 are needed: nothing can be written" in dashboard.text("#health-note")
    dashboard.find("#reasons").wait_for(state="visible")
    eventually(lambda: dashboard.text("#reasons-title") == "Why there is no leader", "it says why")
    answer = dashboard.find(f'.answer[data-node="{survivor.node_id}"]')

    def says_why() -> bool:
        reasons = survivor.why()["reasons"]
        shown = answer.inner_text()
        return bool(reasons) and all(r["detail"] in shown and r["advice"] in shown for r in reasons)

    eventually(says_why, "the node's own answer")
    dashboard.page.wait_for_selector('#contents[data-old="true"]')
    assert "May be old: no majority confirms it" in dashboard.text("#as-of")
    assert dashboard.row("kept").locator(".value").inner_text() == '"still here"'
    assert dashboard.text("#fact-leader") == "none"
    assert dashboard.card(survivor.node_id).locator(".lag").inner_text() == "No leader to follow"
    assert not dashboard.card(dead[0].node_id).locator(".lag").is_visible(), "it follows nobody anyway"
    dashboard.screenshot(f"no-majority-{served_by}")
    dashboard.find("#key").fill("late")
    dashboard.find("#do-set").click()
    dashboard.wait_text("#outcome .title", "Setting “late” …")
    dead[0].start()
    dashboard.wait_level("degraded")
    dashboard.page.wait_for_selector('#contents[data-old="false"]')
    assert not dashboard.find("#reasons").is_visible() or "in the way" in dashboard.text("#reasons-title")
    dashboard.wait_text("#outcome .title", "Set “late”")


def test_a_write_of_unknown_outcome_is_sent_again_as_the_same(
    cluster: Cluster, open_dashboard: OpenDashboard
) -> None:
    dashboard = open_dashboard(cluster[0]).wait_level("ok")
    names: list[str | None] = []

    def lose_the_answer(route: Route) -> None:
        names.append(route.request.headers.get("idempotency-key"))
        problem = {
            "code": "timeout",
            "title": "No answer in time",
            "detail": "no majority answered",
            "status": 504,
        }
        if len(names) == 1:
            # The write happens, and its answer is lost.
            route.fetch()
            route.fulfill(status=504, content_type="application/problem+json", json=problem)
        else:
            route.continue_()

    dashboard.page.route("**/api/set*", lose_the_answer)
    assert dashboard.operate("set", "once", "1") == "No answer in time"
    assert dashboard.find("#outcome").get_attribute("data-level") == "unsure"
    assert "The write may or may not have happened." in dashboard.text("#outcome")
    written = cluster[0].http.get_key("once").ok()["revision"]
    dashboard.find("#outcome").get_by_role("button", name="Try again").click()
    dashboard.wait_text("#outcome .title", "Set “once”")
    assert names[0] is not None
    assert names == [names[0]] * 2
    assert f"Revision {written}:" in dashboard.text("#outcome"), "it happened once"


def test_when_all_are_gone_it_says_that_what_it_shows_is_old(
    cluster: Cluster, served_by: str, make_alone: MakeAlone, open_dashboard: OpenDashboard
) -> None:
    node = cluster.others(cluster.wait_for_leader())[0]
    node.http.set_key("kept", 1).ok()
    server = serve(served_by, node, make_alone)
    dashboard = open_dashboard(server).wait_level("ok")
    dashboard.page.wait_for_selector("#rows > li")
    cluster.kill_all()
    eventually(lambda: dashboard.find("#health").get_attribute("data-level") in ("lost", "down"), "no claim")
    if served_by == "node":
        eventually(lambda: "No node answers: what is shown is" in dashboard.text("#link"), "old")
        assert f"{node.node_id} went down" in dashboard.text("#history")
        assert dashboard.text("#as-of") == "No node answers: what is shown is old"
    else:
        eventually(lambda: dashboard.text("#sentence") == "No member answers", "nobody is there")
    assert dashboard.row("kept").is_visible(), "what was there is still shown"
    dashboard.screenshot(f"all-gone-{served_by}")
    if served_by == "node":
        assert dashboard.operate("set", "k", "v") == "No node could be reached"
    cluster.start()
    dashboard.wait_level("ok")
    if served_by == "node":
        dashboard.find("#outcome").get_by_role("button", name="Try again").click()
        dashboard.wait_text("#outcome .title", "Set “k”")
    assert dashboard.find("#link").get_attribute("data-state") == "live"
    dashboard.page.wait_for_selector('#contents[data-old="false"]')


def test_when_its_server_is_gone_the_lone_page_claims_nothing(
    cluster: Cluster, make_alone: MakeAlone, open_dashboard: OpenDashboard
) -> None:
    alone = make_alone(cluster)
    dashboard = open_dashboard(alone).wait_level("ok")
    alone.kill()
    dashboard.wait_level("lost")
    assert dashboard.text("#sentence") == "The cluster is out of sight"
    assert dashboard.text("#link").startswith("The dashboard's server does not answer: what is shown is")
    dashboard.screenshot("server-gone")
    alone.start()
    dashboard.wait_level("ok")
    assert dashboard.text("#link") == "Live"


def test_a_paused_node_is_said_to_be_silent_and_left(
    calm_cluster: Cluster, open_dashboard: OpenDashboard
) -> None:
    leader = calm_cluster.wait_for_leader()
    paused, other = calm_cluster.others(leader)
    dashboard, watcher = open_dashboard(paused).wait_level("ok"), open_dashboard(other).wait_level("ok")
    paused.pause()
    card = watcher.card(paused.node_id)
    eventually(lambda: card.locator(".state").inner_text() == "Not answering", "it is silent")
    assert card.locator("use").get_attribute("href") == "#shape-silent"
    eventually(
        lambda: paused.node_id not in dashboard.text("#link"), "its own page goes on with another node"
    )
    dashboard.wait_level("degraded")
    for n in range(7):
        leader.http.set_key(f"missed/{n}", n).ok()
    eventually(lambda: "7 entries behind the leader" in card.locator(".lag").inner_text(), "how far it lags")
    assert card.locator(".lag").get_attribute("data-behind") == "true"
    paused.resume()
    watcher.wait_level("ok")
    eventually(lambda: card.locator(".lag").inner_text() == "In step with the leader", "it has caught up")


def test_it_shows_who_joins_and_who_leaves(
    calm_cluster: Cluster, served_by: str, make_alone: MakeAlone, open_dashboard: OpenDashboard
) -> None:
    leader = calm_cluster.wait_for_leader()
    stays, leaves = calm_cluster.others(leader)
    dashboard = open_dashboard(serve(served_by, stays, make_alone)).wait_level("ok")
    dashboard.wait_text("#health-note", "A majority is 2, so one may be lost.")

    # Nobody is there yet: it is a member that is down, and none that is missed.
    node = Joining(calm_cluster, "node_3", free_ports(1)[0])
    learner = {"node_id": "node_3", "address": node.address, "learner": True}
    leader.http.post("/api/members", learner).ok()
    dashboard.wait_text("#sentence", f"{leader.node_id} leads, 3 of 4 members are up")
    dashboard.wait_text("#health-note", "node_3 is down. 1 more may be lost.")
    node.start()
    calm_cluster.nodes.append(node)
    dashboard.wait_text("#sentence", f"All 4 members are up, {leader.node_id} leads")
    dashboard.wait_text("#health-note", "3 of them vote. A majority is 2, so one may be lost.")
    assert dashboard.card("node_3").locator(".state").inner_text() == "Learner"
    assert dashboard.card("node_3").locator("use").get_attribute("href") == "#shape-learner"
    dashboard.screenshot(f"learner-{served_by}")

    leader.http.post("/api/members", {"node_id": "node_3", "promote": True}).ok()
    dashboard.wait_text("#health-note", "A majority is 3, so one may be lost.")
    eventually(
        lambda: dashboard.card("node_3").locator(".state").inner_text() == "Follower", "it is a follower"
    )
    leader.http.request("DELETE", f"/api/members/{leaves.node_id}").ok()
    dashboard.wait_text("#sentence", f"All 3 members are up, {leader.node_id} leads")
    if served_by == "alone":
        # It was told to look there, and somebody is there.
        note = dashboard.card(leaves.node_id).locator(".card-note")
        eventually(lambda: note.inner_text().startswith("It is no member of the cluster."), "its card")
    assert leaves.stop() == 0
    eventually(lambda: dashboard.card(leaves.node_id).count() == 0, "nothing is shown of it")
    assert dashboard.text("#health-note") == "A majority is 2, so one may be lost."
    told = dashboard.text("#history")
    for event in [
        "node_3 was added, as a learner",
        "node_3 votes now",
        f"{leaves.node_id} is no member any more",
    ]:
        assert told.count(event) == 1, told
