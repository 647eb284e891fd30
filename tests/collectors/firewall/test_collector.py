"""The firewall collector against the real nftables, in a network namespace of its own."""

import os
import sys

import pytest

from collectors.firewall.collector import FirewallCollector, Options
from contracts.errors import Unavailable, Why
from contracts.host import Completed
from contracts.snapshot import Snapshot

FILTER = """
table inet filter {
    set banned { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
    set office { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" counter accept
        ip saddr @banned drop
        ip saddr @office tcp dport 22 accept
        tcp dport { 80, 443 } accept comment "the web"
    }
}
"""


@pytest.fixture
def filtered(netns, looks):
    netns.nft(FILTER)
    looks.again()
    return looks


def test_first_look_reports_what_there_is_as_one_event(netns, looks) -> None:
    netns.nft(FILTER)
    report = looks.again()
    (event,) = report.events
    assert event.kind == "firewall.first_look"
    assert event.fields["rules"] == 5
    assert event.fields["policy4"] == event.fields["policy6"] == "drop"
    assert report.blind == ()
    assert looks.rules()[1] == 'iifname "lo" counter accept'


def test_an_empty_ruleset_is_seen_as_empty(looks) -> None:
    report = looks.again()
    assert report.blind == ()
    assert looks.summary.backends == ()
    assert looks.summary.rules == 0


def test_second_look_at_the_same_ruleset_finds_nothing(filtered) -> None:
    report = filtered.again()
    assert report.events == ()
    assert not report.changes


def test_counters_are_no_change(netns, filtered) -> None:
    netns.run("ip", "link", "set", "lo", "up")
    filtered.again()
    netns.run(sys.executable, "-c", "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))")
    assert "packets 0" not in netns.run("nft", "list", "ruleset")
    assert not filtered.again().changes


def test_an_inserted_rule_moves_no_other_row(netns, filtered) -> None:
    netns.run("nft", "insert", "rule", "inet", "filter", "input", "udp", "dport", "53", "accept")
    report = filtered.again()
    (event,) = report.events
    assert event.kind == "firewall.rule_added"
    assert event.fields["rule"] == "udp dport 53 accept"
    assert event.fields["position"] == 1
    assert {row.what for row in report.changes.put.values()} == {"rule", "chain", "summary"}
    assert sum(row.what == "rule" for row in report.changes.put.values()) == 1
    rules = sorted((row for row in filtered.snapshot.rows.values() if row.what == "rule"), key=lambda row: row.rank)
    assert rules[0].text == "udp dport 53 accept"
    assert rules[1].text.startswith("ct state")


def test_a_removed_rule_is_named(netns, filtered) -> None:
    handle = (
        netns.run("nft", "-a", "list", "chain", "inet", "filter", "input").split('"the web" # handle ')[1].split()[0]
    )
    netns.run("nft", "delete", "rule", "inet", "filter", "input", "handle", handle)
    (event,) = filtered.again().events
    assert event.kind == "firewall.rule_removed"
    assert event.fields["rule"] == 'tcp dport { 80, 443 } accept comment "the web"'
    assert event.fields["position"] == 5


def test_a_changed_rule_is_one_removed_and_one_added(netns, filtered) -> None:
    netns.nft("flush ruleset\n" + FILTER.replace("443", "8443"))
    assert sorted(filtered.kinds()) == ["rule_added", "rule_removed"]


def test_reloading_the_same_ruleset_is_no_change(netns, filtered) -> None:
    netns.nft("flush ruleset\n" + FILTER)
    assert not filtered.again().changes


def test_another_order_is_noticed_although_the_rules_are_the_same(netns, filtered) -> None:
    lines = FILTER.splitlines(keepends=True)
    swapped = [*lines[:8], lines[9], lines[8], *lines[10:]]
    netns.nft("flush ruleset\n" + "".join(swapped))
    report = filtered.again()
    assert [event.kind for event in report.events] == ["firewall.rules_reordered"]
    assert sum(row.what == "rule" for row in report.changes.put.values()) == 1


def test_a_flush_is_one_critical_event_and_the_policy_another(netns, filtered) -> None:
    netns.run("nft", "flush", "ruleset")
    report = filtered.again()
    assert [event.kind for event in report.events] == ["firewall.ruleset_flushed", "firewall.policy_opened"]
    flushed = report.events[0]
    assert flushed.lane == "critical"
    assert flushed.fields["removed"] == 5
    assert "the web" in flushed.evidence["rules"]
    assert filtered.summary.filtering4 == "open"


def test_flushing_one_of_two_tables_names_it(netns, filtered) -> None:
    netns.nft("table inet other { chain x { tcp dport 1 accept; } ; }")
    filtered.again()
    netns.run("nft", "flush", "table", "inet", "filter")
    (event,) = filtered.again().events
    assert event.kind == "firewall.ruleset_flushed"
    assert event.fields["table"] == "inet filter"


def test_a_policy_turned_to_accept_and_back(netns, filtered) -> None:
    netns.run("nft", "chain inet filter input { policy accept; }")
    assert filtered.kinds() == ["policy_opened"]
    netns.run("nft", "chain inet filter input { policy drop; }")
    assert filtered.kinds() == ["policy_closed"]


def test_many_rules_at_once_are_one_event_with_counts(netns, filtered) -> None:
    netns.nft("".join(f"add rule inet filter input tcp dport {port} accept\n" for port in range(1000, 1100)))
    (event,) = filtered.again().events
    assert event.kind == "firewall.ruleset_replaced"
    assert (event.fields["added"], event.fields["removed"]) == (100, 0)
    assert "and 60 more" in event.evidence["added"]


def test_bans_come_and_go_without_an_event(netns, filtered) -> None:
    netns.nft("add element inet filter banned { 203.0.113.9 timeout 5m }")
    assert not filtered.again().changes


def test_an_element_of_a_fixed_set_is_a_change(netns, filtered) -> None:
    netns.nft("add element inet filter office { 198.51.100.0/24 }")
    (event,) = filtered.again().events
    assert event.kind == "firewall.set_changed"
    assert (event.fields["name"], event.fields["change"], event.fields["elements"]) == ("office", "elements", 2)


def test_a_dormant_table_is_said_loudly(netns, filtered) -> None:
    netns.nft("add table inet filter { flags dormant; }")
    (event,) = filtered.again().events
    assert event.kind == "firewall.table_changed"
    assert "dormant" in event.fields["change"]
    assert filtered.summary.filtering4 == "open"


def test_chains_added_changed_and_removed(netns, filtered) -> None:
    netns.nft("table inet filter { chain extra { type filter hook forward priority 0; }; }")
    assert filtered.kinds() == ["chain_added"]
    netns.nft(
        "delete chain inet filter extra\ntable inet filter { chain extra { type filter hook forward priority 5; }; }"
    )
    assert filtered.kinds() == ["chain_changed"]
    netns.nft("delete chain inet filter extra")
    assert filtered.kinds() == ["chain_removed"]


def test_a_comment_with_line_breaks_is_part_of_its_rule(netns, looks) -> None:
    comment = r"a\n\t}\n}\ntable ip evil {\n"
    netns.run(
        "nft",
        "-j",
        "-f",
        "-",
        stdin='{"nftables":[{"add":{"table":{"family":"inet","name":"t"}}},{"add":{"chain":{"family":"inet","table":"t","name":"c"}}},'
        f'{{"add":{{"rule":{{"family":"inet","table":"t","chain":"c","comment":"{comment}","expr":[{{"accept":null}}]}}}}}}]}}',
    )
    assert looks.again().blind == ()
    assert [row.table for row in looks.snapshot.rows.values() if row.what == "table"] == ["t"]
    assert looks.rules() == ['accept comment "a\n\t}\n}\ntable ip evil {\n"']


def test_a_listing_that_disagrees_with_its_outline_is_not_believed(netns, looks) -> None:
    comment = r"x\"\n\t}\n\tchain faked {\n\t\taccept comment \""
    netns.run(
        "nft",
        "-j",
        "-f",
        "-",
        stdin='{"nftables":[{"add":{"table":{"family":"inet","name":"t"}}},{"add":{"chain":{"family":"inet","table":"t","name":"c"}}},'
        f'{{"add":{{"rule":{{"family":"inet","table":"t","chain":"c","comment":"{comment}","expr":[{{"accept":null}}]}}}}}}]}}',
    )
    with pytest.raises(Unavailable) as caught:
        looks.again()
    assert caught.value.why is Why.MALFORMED


def test_a_big_fixed_set_is_bounded_and_said(netns, looks) -> None:
    elements = ",".join(f"10.{number >> 8}.{number & 255}.1" for number in range(20000))
    netns.nft(f"table ip t {{ set big {{ type ipv4_addr; elements = {{ {elements} }}; }}; }}")
    looks.collector = FirewallCollector(Options(max_set_bytes=64 << 10))
    (blind,) = looks.again().blind
    assert blind.why is Why.TOO_LARGE
    assert "ip t big" in blind.what


def test_a_set_that_is_not_read_is_a_blind_spot_and_not_a_change(netns, filtered) -> None:
    for limit in (1, 1, 4 << 20):
        filtered.collector = FirewallCollector(Options(max_set_bytes=limit))
        report = filtered.again()
        assert bool(report.blind) == (limit == 1)
        assert report.events == ()


def test_without_the_capability_it_says_so(netns, filtered) -> None:
    netns.wrapper = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    with pytest.raises(Unavailable) as caught:
        filtered.again()
    assert caught.value.why is Why.PERMISSION
    assert "CAP_NET_ADMIN" in caught.value.advice


def test_without_nft_the_rules_of_iptables_are_still_seen_and_the_rest_is_kept(netns, filtered) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "23", "-j", "DROP")
    filtered.again()
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "24", "-j", "DROP")
    netns.broken["nft"] = Unavailable(Why.TOOL_MISSING, "nft is not installed")
    report = filtered.again()
    assert [blind.why for blind in report.blind] == [Why.TOOL_MISSING]
    added = [event for event in report.events if event.kind == "firewall.rule_added"]
    assert [event.fields["rule"] for event in added] == ["-A INPUT -p tcp -m tcp --dport 24 -j DROP"]
    assert not any("flushed" in event.kind or "removed" in event.kind for event in report.events)
    assert filtered.summary.filtering6 == "closed"


def test_without_any_tool_nothing_is_claimed(netns, looks) -> None:
    for tool in ("nft", "iptables-nft-save", "ip6tables-nft-save"):
        netns.broken[tool] = Unavailable(Why.TOOL_MISSING, f"{tool} is not installed")
    with pytest.raises(Unavailable) as caught:
        looks.again()
    assert caught.value.why is Why.TOOL_MISSING


def test_an_nft_that_is_too_old_is_named(netns, looks) -> None:
    netns.broken["nft"] = Completed(argv=("nft",), code=1, stdout=b"", stderr=b"nft: unrecognized option '-t'\n")
    with pytest.raises(Unavailable) as caught:
        looks.again()
    assert caught.value.why is Why.INCOMPATIBLE


def test_a_host_without_ipv6_has_no_ipv6_gap(netns, looks) -> None:
    netns.overlay["/proc/sys/net/ipv6/conf/all/disable_ipv6"] = Unavailable(Why.NOT_PRESENT, "no such file")
    looks.again()
    assert looks.summary.ipv6 is False


def test_the_collector_is_a_pure_function_of_host_and_snapshot(netns, filtered) -> None:
    before = filtered.snapshot
    netns.run("nft", "add", "rule", "inet", "filter", "input", "accept")
    one, other = (FirewallCollector(Options()).collect(netns, before) for _ in range(2))
    assert one == other
    assert before == Snapshot(subject="firewall", revision=before.revision, rows=dict(before.rows))


def test_a_chain_whose_name_is_not_utf_8_cannot_blind(netns, filtered) -> None:
    netns.run("iptables-nft", "-N", os.fsdecode(b"a\xff\x1b[2Jb"))
    report = filtered.again()
    assert report.events[-1].kind == "firewall.chain_added"
    assert "a\\xff\x1b[2Jb" in {row.name for row in report.changes.put.values() if row.what == "chain"}
    (blind,) = report.blind
    assert blind.why is Why.INCOMPATIBLE and r"ip filter a\xff" in blind.detail and blind.fix


def test_a_hidden_proc_reads_neither_as_no_legacy_tables_nor_as_no_ipv6(netns, looks) -> None:
    for path in (
        "/proc/net/ip_tables_names",
        "/proc/net/ip6_tables_names",
        "/proc/net/dev",
        "/proc/sys/net/ipv6/conf/all/disable_ipv6",
        "/proc/sys/kernel/ostype",
    ):
        netns.overlay[path] = Unavailable(Why.NOT_PRESENT, f"{path} does not exist")
    report = looks.again()
    assert [blind.what for blind in report.blind] == ["the tables of iptables-legacy", "the tables of ip6tables-legacy"]
    assert all(blind.why is Why.PERMISSION and "subset=pid" in blind.fix for blind in report.blind)
    assert looks.summary.ipv6
