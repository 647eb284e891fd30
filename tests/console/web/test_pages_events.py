"""Events of the fleet and the page of one event."""

import re

from contracts.event import Severity


def fill(agent, count=3):
    for number in range(count):
        agent.site.now_ms += 1000
        agent.event(
            "ports.listener_opened", f"tcp 0.0.0.0:{9000 + number}", Severity.MEDIUM, fields={"port": 9000 + number}
        )


def test_no_event_says_so(admin):
    assert "No event has arrived yet" in admin.text("/events")


def test_events_of_all_servers_are_listed_newest_first(site, full, viewer):
    fill(site.agent("db-9"))
    text = viewer.text("/events")
    assert text.index("tcp 0.0.0.0:9002") < text.index("tcp 0.0.0.0:9000") < text.index("tcp 0.0.0.0:8080")
    assert "db-9" in text
    assert "4 events, 0 of them high or worse" in text


def test_filters_narrow_the_list(site, full, viewer):
    full.event("firewall.ruleset_flushed", "", Severity.CRITICAL)
    assert "Ruleset flushed" not in viewer.text("/events?kind=ports.")
    assert "Listener opened" not in viewer.text("/events?severity=4")
    assert "Ruleset flushed" not in viewer.text("/events?q=8080")
    assert "No event matches" in viewer.text("/events?agent=nothing")
    site.now_ms += 2 * 3_600_000
    assert "No event matches" in viewer.text("/events?since=1h")
    assert "Listener opened" in viewer.text("/events?since=1d")


def test_many_events_are_paged(site, full, viewer):
    fill(full, 60)
    first = viewer.get("/events?kind=ports.")
    older = re.search(r'href="([^"]*cursor[^"]*)">Older', first.text)[1].replace("&amp;", "&")
    second = viewer.text(older)
    assert "Listener opened: tcp 0.0.0.0:9000" in second
    assert "Listener opened: tcp 0.0.0.0:9059" not in second
    assert "Newest" in second


def test_a_cursor_that_is_none_is_explained(full, viewer):
    assert "is not a cursor" in viewer.text("/events?cursor=nonsense")


def test_the_page_of_an_event_shows_everything(full, viewer):
    full.event(
        "firewall.rule_added",
        "inet filter input",
        Severity.HIGH,
        evidence={"rule": "tcp dport 1 accept"},
        fields={"names": ["a", "b"]},
    )
    path = re.search(r'href="(/events/[0-9]+-[0-9]+)"', viewer.get("/events").text)[1]
    text = viewer.text(path)
    for part in (
        "Rule added: inet filter input",
        "High",
        "firewall.rule_added",
        "tcp dport 1 accept",
        "a, b",
        "normal, 2",
        '"class_uid": 2004',
    ):
        assert part in text


def test_an_event_that_is_not_there_says_so(viewer):
    for place in ("1-1", "nonsense", "9" * 30):
        assert viewer.get(f"/events/{place}").status_code == 404
