"""Comparisons: who matches, who does not, and who may do either."""

from typing import Any

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.datapaths import (
    ACCEPT,
    HOST,
    base,
    datapath,
    field,
    match,
    probe,
    route,
    table,
    verdict,
    verdicts,
)

REACHABLE, BLOCKED, UNCERTAIN = Verdict.REACHABLE, Verdict.BLOCKED, Verdict.UNCERTAIN
SOURCE, PORT = field("ip saddr"), field("tcp dport")


def raw(start: int, length: int, where: str = "nh") -> dict[str, Any]:
    return {"payload": {"base": where, "offset": start, "len": length}}


@pytest.mark.parametrize(
    ("condition", "becomes"),
    [
        (match("ip saddr", "203.0.113.7"), REACHABLE),
        (match("ip saddr", "203.0.113.7", "!="), BLOCKED),
        (match("ip6 saddr", "::1", "!="), BLOCKED),
        (match("udp dport", 80, "!="), BLOCKED),
        (match("tcp dport", 79, ">"), REACHABLE),
        (match("tcp dport", 80, "<"), BLOCKED),
        (match("tcp dport", {"set": [22, {"range": [79, 81]}]}), REACHABLE),
        (match("tcp dport", {"set": [22, {"range": [79, 81]}]}, "!="), BLOCKED),
        (match("ct state", ["new", "related"], "in"), REACHABLE),
        (match("ct state", "new", "!="), BLOCKED),
        (match("tcp flags", "syn"), REACHABLE),
        (match({"&": [field("tcp flags"), ["syn", "ack"]]}, "syn"), REACHABLE),
        (match({"&": [{">>": [PORT, 4]}, 7]}, 5), REACHABLE),
        (match({"^": [PORT, 81]}, 1), REACHABLE),
        (match("meta iifname", "eth*"), REACHABLE),
        (match("meta oifname", "eth0", "!="), REACHABLE),
        (match("meta skuid", 0, "!="), BLOCKED),
        (match("ip ttl", 64), UNCERTAIN),
        (match("ip ttl", 64, "!="), UNCERTAIN),
        (match("ip dscp", "cs1"), UNCERTAIN),
        (match("meta flavour", 1), UNCERTAIN),
        (match({"&": [field("ip ttl"), 0]}, 0), REACHABLE),
        (match({"&": [field("ip frag-off"), 8191]}, 0, "!="), BLOCKED),
        (match("ip frag-off", 0), UNCERTAIN),
        (match({"exthdr": {"name": "frag"}}, True), BLOCKED),
        (match("icmp type", "echo-request"), BLOCKED),
        (match({"numgen": {"mode": "random", "mod": 2}}, 0), UNCERTAIN),
        (match("meta day", "Monday"), UNCERTAIN),
        (match("tcp dport", "no-such-name"), UNCERTAIN),
        (match("tcp dport", "@gone"), UNCERTAIN),
        (match(raw(96, 32), 0xCB007107), REACHABLE),
        (match(raw(96, 8), 203), REACHABLE),
        (match(raw(72, 8), 6), REACHABLE),
        (match(raw(0, 32, "th"), 40000 << 16 | 80), REACHABLE),
        (match(raw(64, 8), 64), UNCERTAIN),
        (match(raw(0, 8, "ll"), 1), UNCERTAIN),
        (match({"concat": [SOURCE, PORT]}, {"set": [{"concat": [{"prefix": {"addr": "203.0.113.0", "len": 24}}, 80]}]}), REACHABLE),
        (match({"concat": [SOURCE, PORT]}, {"set": [{"concat": ["203.0.113.8", 80]}]}, "!="), REACHABLE),
        (match({"concat": [SOURCE, field("udp dport")]}, {"set": [{"concat": ["203.0.113.8", 80]}]}, "!="), BLOCKED),
        (match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), REACHABLE),
        (match({"fib": {"result": "type", "flags": ["saddr"]}}, "local"), BLOCKED),
        (match({"fib": {"result": "oifname", "flags": ["saddr"]}}, "eth0"), REACHABLE),
        (match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, True), REACHABLE),
        (match("ct original ip daddr", "192.0.2.10"), UNCERTAIN),
    ],
)  # fmt: skip
def test_conditions(condition: dict[str, Any], becomes: Verdict) -> None:
    if condition["match"]["left"] == field("ct original ip daddr"):
        condition = match({"ct": {"key": "ip daddr", "dir": "original"}}, "192.0.2.10")
        becomes = REACHABLE
    assert verdict([[condition, ACCEPT]]) is becomes


def test_a_map_gives_a_value_and_without_an_element_the_rule_is_left() -> None:
    lookup = {"map": {"key": PORT, "data": {"set": [[80, 5]]}}}
    assign = {"mangle": {"key": field("meta mark"), "value": lookup}}
    assert verdict([[assign], [match("meta mark", 5), ACCEPT]]) is REACHABLE
    assert verdict([[assign, ACCEPT]], probe(81)) is BLOCKED


def test_a_large_set_of_concatenations_says_the_same_as_a_small_one() -> None:
    entries = [{"concat": ["203.0.113.7", port]} for port in range(1000, 1200)]
    rules = [[match({"concat": [SOURCE, PORT]}, "@s"), ACCEPT]]
    for count in (5, 200):
        sets = [{"name": "s", "type": ["ipv4_addr", "inet_service"], "elem": entries[:count]}]
        made = datapath(table("t", {"c": (base("input", 0, "drop"), rules)}, sets=sets))
        assert verdicts(made, [probe(1003), probe(80)]) == (REACHABLE, BLOCKED)


def test_the_way_back_of_a_spoofed_source_is_another_one() -> None:
    rules = [[match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False), ACCEPT]]
    made = datapath(HOST, route("203.0.113.0/24", "br0"), table("t", {"c": (base("prerouting", 0, "drop"), rules)}))
    answers = verdicts(made, [probe(protocol="udp"), probe(protocol="udp", source="198.51.100.1")])
    assert answers == (REACHABLE, BLOCKED)
