"""Chains of iptables and the ipsets they ask, from the real tools."""

import json
from typing import Any

from agent.paging import report_pages
from collectors.firewall import datapath_xtables, iptables
from collectors.firewall.datapath_rows import Sheet
from contracts.errors import Unavailable, Why
from contracts.host import Completed


def ipsets(netns: Any, max_elements: int = 100, max_bytes: int = 10_000) -> Sheet:
    sheet = Sheet({})
    datapath_xtables.put_legacy(sheet, netns)
    saved = iptables.parse(netns.run("iptables-nft-save"))
    places = [("ip", table, chain) for table, chains in saved.rules.items() for chain in chains]
    datapath_xtables.put_saved(sheet, {"ip": saved}, places)
    datapath_xtables.put_ipsets(sheet, netns, max_elements, max_bytes)
    return sheet


def ask_sets(netns: Any, *names: str) -> None:
    for name in names:
        netns.run("iptables-nft", "-A", "INPUT", "-m", "set", "--match-set", name, "src", "-j", "DROP")


def test_sets_that_rules_ask_are_stated_with_their_elements(netns) -> None:
    netns.run("ipset", "create", "bad", "hash:net", "timeout", "600", "counters", "comment")
    netns.run("ipset", "add", "bad", "192.0.2.0/24", "comment", "nomatch, not really")
    netns.run("ipset", "add", "bad", "192.0.2.7/32", "nomatch")
    netns.run("ipset", "create", "ports", "bitmap:port", "range", "1-100")
    netns.run("ipset", "add", "ports", "22")
    ask_sets(netns, "bad")
    sheet = ipsets(netns)
    assert json.loads(sheet.rows["ipset bad"].document) == {
        "type": "hash:net",
        "family": "inet",
        "elements": ["192.0.2.0/24", "192.0.2.7 nomatch"],
    }
    assert json.loads(sheet.rows["ipset ports"].document) == {"type": "bitmap:port", "elements": ["22"]}
    assert sheet.spots() == ()


def test_what_widens_an_element_is_stated(netns) -> None:
    netns.run("ipset", "create", "wide", "hash:ip", "netmask", "24")
    netns.run("ipset", "add", "wide", "192.0.2.7")
    netns.run("ipset", "create", "begins", "hash:net,iface")
    netns.run("ipset", "add", "begins", "192.0.2.0/24,eth", "wildcard")
    ask_sets(netns, "wide")
    sheet = ipsets(netns)
    wide = {"type": "hash:ip", "family": "inet", "netmask": "24", "elements": ["192.0.2.0"]}
    assert json.loads(sheet.rows["ipset wide"].document) == wide
    assert json.loads(sheet.rows["ipset begins"].document)["elements"] == ["192.0.2.0/24,eth wildcard"]


def test_without_a_rule_that_asks_them_ipset_is_not_asked(netns) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-j", "ACCEPT")
    netns.broken["ipset"] = Unavailable(Why.TOOL_MISSING, "ipset is not installed")
    assert ipsets(netns).spots() == ()


def test_a_rule_that_asks_a_set_on_a_host_without_ipset_is_a_blind_spot(netns) -> None:
    netns.run("ipset", "create", "bad", "hash:net")
    ask_sets(netns, "bad")
    netns.broken["ipset"] = Unavailable(Why.TOOL_MISSING, "ipset is not installed")
    (spot,) = ipsets(netns).spots()
    assert spot.what == "the elements of ipsets, which rules of iptables ask"
    assert spot.fix == "Install the package ipset."


def test_an_ipset_that_is_refused_says_why(netns) -> None:
    netns.run("ipset", "create", "bad", "hash:net")
    ask_sets(netns, "bad")
    refusal = b"ipset v7.17: Kernel error received: Operation not permitted"
    netns.broken["ipset"] = Completed(argv=("ipset",), code=1, stdout=b"", stderr=refusal)
    (spot,) = ipsets(netns).spots()
    assert spot.why is Why.PERMISSION


def test_a_set_over_a_limit_is_unread(netns) -> None:
    netns.run("ipset", "create", "bad", "hash:net")
    for number in range(5):
        netns.run("ipset", "add", "bad", f"192.0.{number}.0/24")
    ask_sets(netns, "bad")
    for sheet in (ipsets(netns, max_elements=4), ipsets(netns, max_bytes=20)):
        assert sheet.rows["ipset bad"].unread
        assert json.loads(sheet.rows["ipset bad"].document) == {"type": "hash:net", "family": "inet"}
        assert [spot.why for spot in sheet.spots()] == [Why.TOO_LARGE]


def test_a_line_break_in_a_comment_does_not_end_its_line(netns) -> None:
    saved = iptables.parse('*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "a\nb" -j DROP\nCOMMIT\n')
    sheet = Sheet({})
    datapath_xtables.put_saved(sheet, {"ip": saved}, [("ip", "filter", "INPUT")])
    assert sheet.rows["xtables ip filter INPUT"].text == '-A INPUT -m comment --comment "a b" -j DROP'


def test_lines_of_any_length_travel_and_stay_in_their_order() -> None:
    rules = [f'-m comment --comment "{"x" * 250} {number}" -j DROP' for number in range(3000)]
    saved = iptables.Saved(policies={"filter": {"c": "-"}}, rules={"filter": {"c": rules}})
    sheet = Sheet({})
    datapath_xtables.put_saved(sheet, {"ip": saved}, [("ip", "filter", "c")])
    assert len(sheet.rows) > 1
    assert sheet.spots() == ()
    told = "\n".join(row.text for row in sheet.rows.values()).split("\n")
    assert told == [f"-A c {rule}" for rule in rules]
    list(report_pages(1, (), sheet.rows, ()))


def test_a_table_that_save_refuses_is_not_stated_in_its_words(netns) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-j", "ACCEPT")
    netns.nft("add chain ip filter odd { type filter hook input priority 17; }")
    sheet = ipsets(netns)
    said = iptables.parse(netns.run("iptables-nft-save"))
    assert bool(said.incompatible) == ("xtables ip filter INPUT" not in sheet.rows)
