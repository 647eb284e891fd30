"""Address translation: where packets go, what later rules see, and what answers come back as."""

import json
from typing import Any

import pytest

from analysis.firewall.probe import Answer, Probe, Verdict
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

FORWARDING = switches(ipv4__ip_forward="1")


def translated(
    *rules: list[Any], port: int = 80, chains: dict[str, Any] | None = None, source: str = "203.0.113.7"
) -> Answer:
    nat = {"n": (base("prerouting", -100, kind="nat"), rules), **(chains or {})}
    return ask(datapath(FORWARDING, table("nat", nat)), probe(port, source=source))


def dnat(address: Any = None, port: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "dnat": {"family": "ip", **({"addr": address} if address else {}), **({"port": port} if port else {}), **more}
    }


@pytest.mark.parametrize(
    ("statement", "destination", "port", "forwarded"),
    [
        (dnat("172.18.0.2"), "172.18.0.2", 80, True),
        (dnat("172.18.0.2", 8080), "172.18.0.2", 8080, True),
        (dnat("172.18.0.2", {"range": [79, 90]}), "172.18.0.2", 80, True),
        (dnat("172.18.0.2", {"range": [90, 99]}), "172.18.0.2", 90, True),
        (dnat({"map": {"key": field("tcp dport"), "data": {"set": [[80, {"concat": ["172.18.0.3", 81]}]]}}}), "172.18.0.3", 81, True),
        (dnat({"map": {"key": field("tcp dport"), "data": {"set": [[99, "172.18.0.3"]]}}}), "192.0.2.10", 80, False),
        (dnat({"prefix": {"addr": "172.18.0.0", "len": 24}}, flags="netmap", type_flags="prefix"), "172.18.0.10", 80, True),
        ({"redirect": {"port": 8080}}, "192.0.2.10", 8080, False),
        ({"redirect": {"port": {"map": {"key": field("tcp dport"), "data": {"set": [[80, 22]]}}}}}, "192.0.2.10", 22, False),
    ],
)  # fmt: skip
def test_where_it_goes(statement: dict[str, Any], destination: str, port: int, forwarded: bool) -> None:
    answer = translated([statement])
    assert answer.verdict is Verdict.REACHABLE
    assert (answer.destination, answer.port, answer.forwarded) == (destination, port, forwarded)
    assert answer.interface == ("br0" if forwarded else "")


def test_one_of_many_addresses_is_undecided() -> None:
    answer = translated([dnat({"range": ["172.18.0.2", "172.18.0.200"]})])
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.destination == ""


def test_the_first_translation_binds_across_chains() -> None:
    more = {"later": (base("prerouting", -50, kind="nat"), [[dnat("172.18.0.9")]])}
    assert translated([dnat("172.18.0.2")], chains=more).destination == "172.18.0.2"
    assert translated([ACCEPT], chains=more).destination == "172.18.0.9"


def test_a_rule_for_the_other_family_is_left() -> None:
    answer = translated([dnat("172.18.0.2")], source="2001:db8:9::7")
    assert (answer.verdict, answer.destination) == (Verdict.REACHABLE, "2001:db8::10")


def test_later_hooks_see_the_new_address_and_the_status() -> None:
    status = {
        "f": (base("forward", 0, "drop"), [[match("ip daddr", "172.18.0.2"), match("ct status", "dnat", "in"), ACCEPT]])
    }
    first = translated([dnat("172.18.0.2")], chains=status)
    assert first.verdict is Verdict.BLOCKED  # the answer is not to 172.18.0.2
    status["f"][1].append([match("ct state", "established", "in"), ACCEPT])
    assert translated([dnat("172.18.0.2")], chains=status).verdict is Verdict.REACHABLE


def test_the_answer_leaves_with_the_address_that_was_called() -> None:
    def after(priority: int, source: str) -> Verdict:
        last = {
            "p": (base("postrouting", priority), [[match("ip saddr", source), match("ct direction", "reply"), DROP]])
        }
        return translated([dnat("172.18.0.2")], chains=last).verdict

    assert after(0, "172.18.0.2") is Verdict.BLOCKED
    assert after(150, "172.18.0.2") is Verdict.REACHABLE
    assert after(150, "192.0.2.10") is Verdict.BLOCKED


def test_a_drop_in_a_nat_chain_drops() -> None:
    assert translated([DROP]).verdict is Verdict.BLOCKED


PORTS = {"map": {"key": field("tcp dport"), "data": {"set": [[80, 8080]]}}}


def test_a_map_of_ports_that_holds_nothing_leaves_the_address_too() -> None:
    assert translated([dnat("172.18.0.2", PORTS)]).port == 8080
    left = translated([dnat("172.18.0.2", PORTS)], port=81)
    assert (left.verdict, left.destination, left.port) == (Verdict.REACHABLE, "192.0.2.10", 81)


def test_a_map_of_an_address_that_is_perhaps_not_found_is_named_and_keeps_the_former_one_possible() -> None:
    limit, mark = {"limit": {"rate": 5, "per": "second"}}, {"mangle": {"key": field("meta mark"), "value": 7}}
    to = dnat({"map": {"key": field("meta mark"), "data": {"set": [[7, "172.18.0.2"]]}}})
    chains = {"m": (base("prerouting", -150), [[limit, mark]]), "f": (base("forward", 0, "drop"), [])}
    answer = translated([to], chains=chains)
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.destination == ""
    assert any(text.startswith("meta mark in inet nat") for text in answer.unknown)


def test_a_masquerade_by_one_of_several_interfaces_keeps_the_addresses_of_all() -> None:
    ways = [{"via": "192.0.2.1", "dev": "eth0"}, {"via": "172.18.0.9", "dev": "br0"}]
    spread = {
        "route 4 198.51.100.0/24": Row(
            what="route", document=json.dumps({"dst": "198.51.100.0/24", "nexthops": ways}), text="4"
        )
    }
    for address in ("192.0.2.10", "172.18.0.1"):
        chains = {
            "n": (base("postrouting", 100, kind="nat"), [[{"masquerade": None}]]),
            "f": (base("postrouting", 200), [[match("ip saddr", address), DROP]]),
        }
        answer = ask(datapath(FORWARDING, spread, table("t", chains)), probe(destination="198.51.100.7"))
        assert answer.verdict is Verdict.UNCERTAIN, address
        assert any(text.startswith("ip saddr") for text in answer.unknown)


MASQUERADE = (base("postrouting", 100, kind="nat"), [[{"masquerade": None}]])


def masqueraded(source: str, one: Probe, *more: dict[str, Row], family: str = "ip") -> Answer:
    """What becomes of a probe that is masqueraded and dropped if it has that source then."""
    ending = (base("postrouting", 200), [[match(f"{family} saddr", source), DROP]])
    return ask(datapath(FORWARDING, *more, table("t", {"n": MASQUERADE, "f": ending})), one)


def test_a_masquerade_takes_an_address_of_the_interface_that_is_valid_everywhere() -> None:
    scoped = {"family": "inet", "local": "172.18.0.9", "prefixlen": 16, "scope": "link"}
    both = link("br0", 3, addr_info=[scoped, {**scoped, "local": "172.18.0.1", "scope": "global"}])
    through = probe(destination="172.18.0.2", protocol="udp")
    assert masqueraded("172.18.0.1", through, both).verdict is Verdict.BLOCKED
    assert masqueraded("172.18.0.9", through, both).verdict is Verdict.REACHABLE


def test_a_masquerade_by_loopback_takes_an_address_of_another_interface() -> None:
    own = probe(source="192.0.2.10", destination="192.0.2.10", interface="", protocol="udp")
    assert masqueraded("127.0.0.1", own).verdict is Verdict.REACHABLE
    either = masqueraded("172.18.0.1", own)
    assert (either.verdict, either.unknown) == (Verdict.UNCERTAIN, ("ip saddr in inet t: rule 3",))
    six = probe(source="2001:db8::10", destination="2001:db8::10", interface="", protocol="udp")
    assert masqueraded("::1", six, family="ip6").verdict is Verdict.REACHABLE
    assert masqueraded("2001:db8::10", six, family="ip6").verdict is Verdict.BLOCKED


def test_a_masquerade_without_any_address_to_take_drops() -> None:
    bare = link("eth0", 2) | link("br0", 3) | route("172.18.0.0/16", "br0", scope="link")
    through = probe(destination="172.18.0.2", protocol="udp")
    answer = masqueraded("192.0.2.77", through, bare)
    assert answer.verdict is Verdict.BLOCKED
    assert answer.causes[-1].text == "rule 2"
