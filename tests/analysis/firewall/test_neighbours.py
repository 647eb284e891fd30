"""Whether neighbours find this host: by the rules that let their question in or not, and by the switches of ARP."""

from typing import Any

import pytest

from analysis.firewall.neighbours import hidden
from analysis.firewall.probe import SOLICITATION, Verdict
from contracts.errors import UsageError
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import (
    ACCEPT,
    DROP,
    ask,
    base,
    datapath,
    field,
    link,
    match,
    probe,
    route,
    switches,
    table,
)

PLACE = ("eth0", "2001:db8::10")
WEB = [match("tcp dport", 80), ACCEPT]
HIDDEN = {PLACE: "policy drop of chain c"}


def behind(*rules: list[dict[str, Any]], more: Any = None) -> dict[tuple[str, str], str]:
    made = datapath(table("t", {"c": (base("input", 0, "drop"), [WEB, *rules])}), more or {})
    return hidden(
        made, [PLACE, PLACE, ("eth0", "192.0.2.10"), ("br0", "2001:db8::10"), ("", "::1"), ("wg9", "fd00::1")]
    )


def test_a_port_that_is_let_in_is_hidden_where_the_question_for_its_address_is_not() -> None:
    assert behind() == HIDDEN
    assert behind([match("icmpv6 type", "nd-neighbor-advert"), ACCEPT]) == HIDDEN
    assert behind([match("ct state", "invalid", "in"), ACCEPT]) == HIDDEN
    assert behind([match("icmpv6 type", "nd-neighbor-solicit"), DROP]) == {PLACE: "rule 3"}


@pytest.mark.parametrize(
    "rule",
    [
        match("meta l4proto", "ipv6-icmp"),
        match("ip6 nexthdr", "ipv6-icmp"),
        match("icmpv6 type", {"set": ["nd-neighbor-solicit", "nd-neighbor-advert"]}),
        match("icmpv6 type", 135),
        match("ip6 hoplimit", 255),
        match("ct state", "untracked", "in"),
        match("ip6 saddr", {"prefix": {"addr": "fe80::", "len": 10}}),
    ],
)
def test_whatever_lets_the_question_in_makes_it_found(rule: dict[str, Any]) -> None:
    assert behind([rule, ACCEPT]) == {}


def test_what_is_not_known_hides_nothing() -> None:
    assert behind([{"limit": {"rate": 5, "per": "second"}}, ACCEPT]) == {}


def test_rules_of_routing_that_ask_for_ports_do_not_lose_the_question() -> None:
    document = '{"priority": 5, "src": "all", "ipproto": "tcp", "dport": 81, "table": "main"}'
    rule = {"routing-rule 6 5": Row(what="routing-rule", document=document, text="6")}
    local = route("2001:db8::10", "eth0", type="local", table="local")
    main = {
        "routing-rule 6 0": Row(
            what="routing-rule", document='{"priority": 0, "src": "all", "table": "local"}', text="6"
        )
    }
    asked = probe(source="fe80::1", destination="2001:db8::10", protocol=SOLICITATION)
    assert ask(datapath(rule, main, local), asked).verdict is Verdict.REACHABLE


def test_only_ethernet_links_are_asked() -> None:
    tunnel = {**link("wg0", 8, ("fd00::1", 64), link_type="none")}
    made = datapath(table("t", {"c": (base("input", 0, "drop"), [])}), tunnel)
    assert hidden(made, [("wg0", "fd00::1")]) == {}


FOUR = ("eth0", "192.0.2.10")


def unanswered(address: str = "192.0.2.10", more: Any = None, **values: str) -> dict[tuple[str, str], str]:
    named = {f"ipv4__conf__{name}": value for name, value in values.items()}
    return hidden(datapath(switches(**named), more or {}), [("eth0", address)])


def test_arp_that_is_never_answered_hides_every_address_of_the_link() -> None:
    assert unanswered() == unanswered(eth0__arp_ignore="0", all__arp_ignore="0") == {}
    assert unanswered(eth0__arp_ignore="8") == {FOUR: "arp_ignore 8 of eth0"}
    assert unanswered(all__arp_ignore="8", eth0__arp_ignore="1") == {FOUR: "arp_ignore 8 of eth0"}
    assert unanswered(br0__arp_ignore="8") == {}


def test_arp_that_is_answered_for_the_addresses_of_the_link_hides_none_of_them() -> None:
    for mode in ("1", "2", "3", "4", "7", "nonsense"):
        assert unanswered(eth0__arp_ignore=mode) == {}


def test_arp_for_the_own_subnet_hides_an_address_without_one() -> None:
    alone = link("eth0", 2, ("198.51.100.9", 32))
    both = link("eth0", 2, ("198.51.100.9", 32), ("198.51.100.1", 24))
    assert unanswered("198.51.100.9", alone, eth0__arp_ignore="2") == {("eth0", "198.51.100.9"): "arp_ignore 2 of eth0"}
    assert unanswered("198.51.100.9", both, eth0__arp_ignore="2") == {}


def test_arp_that_leaves_out_addresses_of_the_host_hides_those() -> None:
    address = {"family": "inet", "local": "192.0.2.10", "prefixlen": 24, "scope": "host"}
    assert unanswered(more=link("eth0", 2, addr_info=[address]), eth0__arp_ignore="3") == {FOUR: "arp_ignore 3 of eth0"}


def test_arp_filter_hides_an_address_whose_neighbours_are_answered_by_another_interface() -> None:
    twins = link("eth1", 9, ("192.0.2.11", 24))
    made = datapath(twins, switches(ipv4__conf__all__arp_filter="1"))
    words = "arp_filter of eth1: the way to its neighbours is by eth0"
    assert hidden(made, [FOUR, ("eth1", "192.0.2.11")]) == {("eth1", "192.0.2.11"): words}
    assert hidden(datapath(twins), [FOUR, ("eth1", "192.0.2.11")]) == {}


def test_there_is_no_such_question_over_ipv4() -> None:
    with pytest.raises(UsageError, match="protocol"):
        ask(datapath(), probe(protocol=SOLICITATION))


def test_the_field_of_types_is_absent_from_connections() -> None:
    rule = [{"match": {"op": "!=", "left": field("icmpv6 type"), "right": "echo-request"}}, DROP]
    made = datapath(table("t", {"c": (base("input"), [rule])}))
    assert ask(made, probe(source="2001:db8:77::1")).verdict is Verdict.REACHABLE
