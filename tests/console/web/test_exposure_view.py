"""The exposure section of a server's page: who reaches what, and by which rule."""

import msgspec
import pytest

from contracts.coverage import Blind, Sight
from contracts.errors import Why
from contracts.subjects import exposure
from contracts.subjects.exposure import Exposure

SSH = Exposure(
    vantage="internet", family=4, protocol="tcp", address="198.51.100.5", port=22, verdict="reachable", interface="eth0",
    process="sshd", listener="tcp/0.0.0.0:22", why="tcp dport 22 accept", chain="inet filter input", handle=7,
)  # fmt: skip


def row(**changes) -> Exposure:
    return msgspec.structs.replace(SSH, **changes)


def keyed(*rows: Exposure) -> dict[str, Exposure]:
    return {f"{each.vantage} {each.protocol} {each.address} {each.port}": each for each in rows}


@pytest.fixture
def page(site, viewer):
    """Returns the section of a server whose agent reported the rows given, as text."""
    agent = site.agent()
    agent.heartbeat()

    def shown(*rows: Exposure, **heartbeat) -> str:
        agent.rows(exposure.SUBJECT, keyed(*rows))
        if heartbeat:
            agent.heartbeat(**heartbeat)
        text = viewer.text(f"/agents/{agent.id}")
        return text[text.index(" Exposure ") : text.index(" Firewall policy ")]

    shown.agent = agent
    return shown


def test_a_reachable_listener_is_shown_with_the_rule_that_lets_in(page) -> None:
    text = page(SSH)
    assert "of 1 listener reachable: 1 from internet" in text
    for part in ("22/tcp sshd", "Reachable", "inet filter input handle 7", "tcp dport 22 accept", "198.51.100.5"):
        assert part in text


def test_the_families_are_told_apart_only_where_they_differ(page) -> None:
    other = row(family=6, address="2001:db8::5")
    assert "IPv6" not in page(SSH, other)
    text = page(SSH, msgspec.structs.replace(other, verdict="blocked", why="policy drop"))
    assert "Reachable IPv4" in text
    assert "Blocked IPv6" in text


def test_a_published_port_past_the_firewall_stands_out(page, viewer) -> None:
    text = page(row(port=8080, process="docker-proxy", listener="", delivered="172.17.0.2:80", bypasses="ufw"))
    assert "1 past ufw" in text
    assert "Past ufw" in text
    assert "sent to 172.17.0.2:80" in text
    assert 'class="sheet bad" id="exposure"' in viewer.last


def test_exceptions_and_what_is_not_known_are_named(page) -> None:
    text = page(
        row(verdict="blocked", except_for=("203.0.113.0/24 reachable",)),
        row(port=53, verdict="uncertain", unknown=("limit rate 3/minute",)),
        row(port=25, verdict="reachable", unknown=("time",)),
    )
    assert "but 203.0.113.0/24 reachable" in text
    assert "not known: limit rate 3/minute" in text
    assert "Reachable so far" in text


def test_what_is_met_from_nowhere_else_is_not_called_reachable_by_others(page) -> None:
    text = page(row(vantage="loopback", interface="", address="127.0.0.1"))
    assert "Nothing on this server can be reached from elsewhere." in text


def test_those_that_can_be_reached_come_first_and_the_internet_too(page) -> None:
    text = page(
        row(port=9, verdict="blocked", listener="a"),
        row(port=100, listener="b"),
        row(port=101, vantage="eth1", listener="c"),
    )
    assert text.index("100/tcp") < text.rindex("9/tcp")
    assert text.index("from internet") < text.index("from eth1")


def test_never_judged_reads_differently_from_nothing_there(page) -> None:
    text = page()
    assert "there were none" in text
    assert "Not looked yet" not in text


def test_before_anything_arrived_it_says_so(site, viewer) -> None:
    agent = site.agent()
    agent.heartbeat()
    assert "No look at the listeners or published ports has arrived" in viewer.text(f"/agents/{agent.id}")


def test_it_is_as_blind_as_what_it_is_concluded_from(page, site) -> None:
    blind = Blind(what="the ruleset", why=Why.TOOL_MISSING, fix="Install nftables.")
    text = page(SSH, coverage=(Sight(subject="datapath", state="unseen", since_ms=site.now_ms, blind=(blind,)),))
    assert "what is shown may no longer be true" in text


def test_blocked_is_green_only_while_the_agent_reports(page, site, viewer) -> None:
    page(row(verdict="blocked", why="policy drop"))
    assert 'tag good plain" title="The connection is refused' in viewer.last
    site.now_ms += 3_600_000
    viewer.text(f"/agents/{page.agent.id}")
    assert 'tag good plain" title="The connection is refused' not in viewer.last


def test_rows_of_another_version_are_counted_and_never_an_error(page) -> None:
    page.agent.rows(exposure.SUBJECT, {"odd": b'{"vantage": 5}'})
    assert "Not understood" in page()


def test_a_verdict_nobody_knows_is_uncertain(page) -> None:
    assert "Uncertain" in page(row(verdict="perhaps"))


def test_very_many_listeners_are_cut_and_said(page) -> None:
    rows = [row(port=port, listener=f"l{port}") for port in range(1, 320)]
    text = page(*rows)
    assert "Only 300 of 319 listeners are shown" in text
    assert "and 295 more" in text
