"""The first page."""

from contracts.event import Severity


def test_an_empty_fleet_says_what_to_do(admin):
    text = admin.text("/")
    assert "No server reports here yet" in text
    assert "Enrolment" in text


def test_a_reporting_server_shows_heartbeat_firewall_ports_and_sight(full, viewer):
    text = viewer.text("/")
    assert "web-1" in text
    assert "Up" in text
    assert "0 s ago" in text
    assert "nftables, 4 rules" in text
    assert "IPv4 closed, IPv6 open" in text
    assert "3 ports" in text
    assert "all 2 seen" in text


def test_a_server_that_never_reported_is_not_shown_as_well(site, viewer):
    site.agent("silent-1")
    text = viewer.text("/")
    assert "Never reported" in text
    assert "not known yet" in text
    assert "not looked yet" in text


def test_a_silent_server_turns_late_and_then_down(site, full, viewer):
    site.now_ms += 50_000
    assert "Late" in viewer.text("/")
    site.now_ms += 120_000
    text = viewer.text("/")
    assert "Down" in text
    assert "nothing seen for 2 min" in text
    assert "all 2 seen" not in text


def test_once_a_server_is_silent_nothing_about_it_is_green(site, full, viewer):
    for later_ms, green in ((0, True), (200_000, False)):
        site.now_ms += later_ms
        page = viewer.get(f"/agents/{full.id}").text
        for region in ("state", "coverage", "firewall"):
            part = page.split(f'id="{region}"')[1].split("</section>")[0].split('id="findings"')[0]
            assert ("good" in part) == green, region
    assert "Was seen" in page


def test_severe_events_ask_for_attention(full, viewer):
    full.event("firewall.ruleset_flushed", "", Severity.HIGH)
    assert "1 severe event in 24 hours" in viewer.text("/")


def test_search_state_and_order_narrow_the_table(site, full, viewer):
    site.agent("db-9")
    assert "db-9" not in viewer.text("/?q=web")
    assert "web-1" not in viewer.text("/?state=never")
    assert "No server matches" in viewer.text("/?q=nothing+like+it")
    page = viewer.get("/?sort=name").text
    assert page.index("db-9") < page.index("web-1")


def test_more_servers_than_a_page_holds_are_paged(site, viewer):
    for number in range(51):
        site.agent(f"host-{number:02}")
    assert "host-50" not in viewer.text("/?sort=name")
    assert "host-50" in viewer.text("/?sort=name&page=2")
