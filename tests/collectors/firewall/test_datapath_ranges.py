"""Rules that nft lists as what they are not are found, and no others."""

import json
from typing import Any

import msgspec
import pytest

from collectors.firewall.datapath import DatapathCollector, Options
from collectors.firewall.datapath_ranges import UNREAD, misread
from contracts.errors import Unavailable, Why
from contracts.snapshot import Snapshot

WRONG = (
    "tcp dport < 1024 tcp sport > 1023 accept",
    "tcp dport < 22 tcp dport > 8080 accept",
    "tcp dport >= 22 tcp sport <= 8080 accept",
    "ip saddr < 10.0.0.0 ip saddr > 11.0.0.0 accept",
    "meta mark < 22 meta mark > 80 accept",
)
RIGHT = (
    "tcp dport 22-80 tcp sport 1024-65535 accept",
    "tcp dport != 22-80 tcp window 8-90 accept",
    "ip saddr 10.0.0.1-10.0.0.9 accept",
    "ip6 saddr != 2001:db8::1-2001:db8::9 accept",
    "meta mark 1-5 ct mark != 1-5 accept",
    "tcp dport { 22-80, 443 } accept",
    "tcp dport >= 22 tcp dport <= 80 accept",
    "tcp dport > 1023 tcp sport < 1024 accept",
    "tcp dport vmap { 22-80 : accept }",
)


def load(netns: Any, *rules: str) -> list[msgspec.Raw]:
    lines = ["table inet t {", " chain c {", *(f"  {rule}" for rule in rules), " }", "}", ""]
    netns.run("nft", "-f", "-", stdin="\n".join(lines))
    listed = json.loads(netns.ask("nft", "-j", "-s", "-t", "list", "ruleset").stdout)["nftables"]
    return [msgspec.Raw(msgspec.json.encode(entry["rule"])) for entry in listed if "rule" in entry]


@pytest.mark.parametrize("rule", WRONG)
def test_two_comparisons_that_are_listed_as_one_range_are_found(netns, rule: str) -> None:
    assert [(family, table, chain) for family, table, chain, _ in misread(netns, load(netns, rule))] == [
        ("inet", "t", "c")
    ]


def test_real_ranges_are_none(netns) -> None:
    assert misread(netns, load(netns, *RIGHT)) == frozenset()


def test_the_kernel_is_not_asked_about_rules_without_ranges() -> None:
    rule = {"family": "inet", "table": "t", "chain": "c", "handle": 1, "expr": [{"accept": None}]}
    assert misread(None, [msgspec.Raw(msgspec.json.encode(rule))]) == frozenset()  # type: ignore[arg-type]


def test_such_a_rule_is_unread_and_its_neighbours_are_not(netns) -> None:
    load(netns, RIGHT[0], WRONG[0], RIGHT[1])
    report = DatapathCollector(Options()).collect(netns, Snapshot(subject="datapath"))
    unread = [row.unread for key, row in report.changes.put.items() if key.startswith("rule ")]
    assert unread == ["", UNREAD, ""]
    assert report.blind == ()


def test_where_the_kernel_does_not_tell_it_is_a_blind_spot(netns, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable(Why.PERMISSION, "no", advice="let it")

    load(netns, RIGHT[0])
    monkeypatch.setattr(netns.kernel, "ranges", refuse, raising=False)
    report = DatapathCollector(Options()).collect(netns, Snapshot(subject="datapath"))
    assert [(spot.why, spot.fix) for spot in report.blind] == [(Why.PERMISSION, "let it")]
