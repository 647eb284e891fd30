"""Events by API."""

from contracts.event import Severity

E = "/api/v1/events"


def test_events_are_filtered_and_paged_without_repeats_or_gaps(site, full, viewer, ask):
    for number in range(25):
        site.now_ms += 10
        full.event("firewall.rule_added", f"rule {number}", Severity.HIGH if number % 2 else Severity.LOW)
    seen, cursor = [], ""
    while True:
        page = ask(viewer, E, limit=7, kind="firewall.", cursor=cursor)
        seen += [event["key"] for event in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == [f"rule {number}" for number in reversed(range(25))]
    assert len(ask(viewer, E, severity_min=4)["items"]) == 12
    assert ask(viewer, E, agent="nothing")["items"] == []
    assert ask(viewer, E, since="2100-01-01T00:00:00Z")["items"] == []
    assert len(ask(viewer, E, until="2100-01-01T00:00:00Z", limit=1000)["items"]) == 26


def test_one_event_is_found_by_its_href_and_comes_as_ocsf(full, viewer, ask):
    event = ask(viewer, E)["items"][0]
    body = ask(viewer, event["href"], E + "/{event}")
    assert body["event"] == event
    assert body["ocsf"]["class_uid"] == 2004
    assert event["fields"] == {"port": 8080, "process": "python3", "expected": False}


def test_mistakes_are_problems(viewer):
    for path in (f"{E}?cursor=x", f"{E}?limit=0", f"{E}?limit=99999", f"{E}?severity_min=9", f"{E}?since=yesterday"):
        answer = viewer.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), path
    assert viewer.get(f"{E}/1-1").status_code == 404
