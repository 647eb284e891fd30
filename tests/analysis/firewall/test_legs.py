"""Out of this host, in to it, and through it."""

import json
from typing import Any

from analysis.firewall.probe import Verdict
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import (
    ACCEPT,
    DROP,
    HOST,
    ask,
    base,
    datapath,
    field,
    match,
    probe,
    route,
    switches,
    table,
    verdicts,
)

OWN: dict[str, Any] = {"source": "127.0.0.1", "destination": "127.0.0.1", "interface": ""}
OUT: dict[str, Any] = {"source": "192.0.2.10", "destination": "198.51.100.1", "interface": ""}
FORWARDING = switches(ipv4__ip_forward="1")
REACHABLE, BLOCKED, UNCERTAIN = Verdict.REACHABLE, Verdict.BLOCKED, Verdict.UNCERTAIN


def with_chain(hook: str, *rules: list[dict[str, Any]], policy: str = "accept", **one: Any) -> Verdict:
    return ask(datapath(FORWARDING, table("t", {"c": (base(hook, 0, policy), rules)})), probe(**one)).verdict


def test_own_packets_pass_output_postrouting_and_by_the_loopback_interface_input() -> None:
    for hook in ("output", "postrouting", "prerouting", "input"):
        assert with_chain(hook, [match("tcp dport", 80), DROP], **OWN) is BLOCKED
    assert with_chain("forward", [DROP], **OWN) is REACHABLE
    assert with_chain("input", [match("meta iif", "lo"), ACCEPT], policy="drop", **OWN) is REACHABLE
    assert with_chain("output", [match("meta oif", "lo"), DROP], **OWN) is BLOCKED


def test_own_packets_to_elsewhere_leave_and_their_answers_come_in() -> None:
    assert with_chain("output", [match("meta oifname", "eth0"), DROP], **OUT) is BLOCKED
    assert with_chain("input", [match("ct state", "established", "in"), ACCEPT], policy="drop", **OUT) is REACHABLE
    assert with_chain("input", policy="drop", **OUT) is BLOCKED


def test_who_sends_an_own_packet_is_not_known_but_that_somebody_does() -> None:
    assert with_chain("output", [match("meta skuid", 0), DROP], **OWN) is UNCERTAIN
    assert with_chain("input", [match("meta skuid", 0), DROP], **OWN) is REACHABLE


def test_what_is_forwarded_passes_forward_and_postrouting_not_input() -> None:
    there: dict[str, Any] = {"destination": "172.18.0.2"}
    for hook in ("prerouting", "forward", "postrouting"):
        assert with_chain(hook, [match("tcp dport", 80), DROP], **there) is BLOCKED
    for hook in ("input", "output"):
        assert with_chain(hook, [DROP], **there) is REACHABLE
    assert (
        with_chain(
            "forward",
            [match("meta iifname", "eth0"), match("meta oifname", "br0"), ACCEPT],
            [match("meta iifname", "br0"), match("meta oifname", "eth0"), ACCEPT],
            policy="drop",
            **there,
        )
        is REACHABLE
    )


def test_the_answer_of_what_is_forwarded_has_to_pass_too() -> None:
    there: dict[str, Any] = {"destination": "172.18.0.2"}
    assert with_chain("forward", [match("meta iifname", "eth0"), ACCEPT], policy="drop", **there) is BLOCKED
    assert (
        with_chain("forward", [match("meta iifname", "eth0"), ACCEPT], policy="drop", protocol="udp", **there)
        is REACHABLE
    )


def test_an_answer_by_another_interface_is_named() -> None:
    answer = ask(datapath(HOST, route("203.0.113.0/24", "br0")), probe())
    assert answer.verdict is UNCERTAIN
    assert answer.unknown == ("the answer leaves by br0, the connection came by eth0",)


def test_an_answer_without_a_way_back_does_not_leave() -> None:
    lost = {"route 4 default eth0 1": Row(what="route", document='{"dst":"198.51.100.0/24","dev":"eth0"}', text="4")}
    answer = ask(datapath(lost), probe())
    assert answer.verdict is BLOCKED
    assert (answer.causes[0].what, answer.causes[0].answer) == ("routing", True)
    assert ask(datapath(lost), probe(protocol="udp")).verdict is REACHABLE


def test_neighbours_of_one_link_answer_each_other_directly() -> None:
    nat = table(
        "n", {"c": (base("prerouting", -100, kind="nat"), [[{"dnat": {"family": "ip", "addr": "172.18.0.2"}}]])}
    )
    turned = probe(source="172.18.0.3", destination="172.18.0.1", interface="br0")
    assert ask(datapath(FORWARDING, nat), turned).verdict is BLOCKED
    masked = table("m", {"c": (base("postrouting", 100, kind="nat"), [[{"masquerade": None}]])})
    assert ask(datapath(FORWARDING, nat, masked), turned).verdict is REACHABLE


def test_who_is_perhaps_a_neighbour_of_where_it_is_sent_is_undecided_and_named() -> None:
    nat = table(
        "n", {"c": (base("prerouting", -100, kind="nat"), [[{"dnat": {"family": "ip", "addr": "172.18.0.2"}}]])}
    )
    ways = json.dumps({"dst": "172.18.0.2", "nexthops": [{"dev": "br0"}, {"via": "192.0.2.1", "dev": "eth0"}]})
    either = {"route 4 172.18.0.2": Row(what="route", document=ways, text="4")}
    turned = probe(source="172.18.0.3", destination="172.18.0.1", interface="br0")
    answer = ask(datapath(FORWARDING, nat, either), turned)
    assert answer.verdict is UNCERTAIN
    assert "whether the answer, which comes by br0 as the call did, passes here" in answer.unknown


def test_a_packet_for_nobody_in_an_empty_chain_changes_nothing_for_others() -> None:
    made = datapath(table("t", {"c": (base("input", 0, "drop"), [[match(field("ip saddr"), "203.0.113.7"), ACCEPT]])}))
    assert verdicts(made, [probe(), probe(source="203.0.113.8"), probe(**OWN)]) == (REACHABLE, BLOCKED, BLOCKED)


def test_what_happens_to_a_packet_here_is_nothing_to_the_same_packet_if_it_is_forwarded() -> None:
    here, ahead = (
        table(name, {"c": (base("prerouting", -100, kind="nat"), [[{"dnat": {"family": "ip", "addr": target}}]])})
        for name, target in (("n", "192.0.2.10"), ("m", "172.18.0.2"))
    )
    mark = {"mangle": {"key": field("meta mark"), "value": 1}}
    seen = table(
        "t",
        {
            "i": (base("input"), [[mark]]),
            "f": (base("forward", 0, "drop"), [[match("meta mark", 0), match("tcp dport", 80), ACCEPT]]),
            "p": (base("postrouting", 100, kind="nat"), [[{"masquerade": None}]]),
            "s": (base("input", 100, kind="nat"), [[{"snat": {"family": "ip", "addr": "192.0.2.99"}}]]),
        },
    )
    answer = ask(datapath(FORWARDING, here, ahead, seen), probe())
    assert answer.verdict is UNCERTAIN
    assert [step.text for step in answer.steps if step.hook == "forward"] == ["rule 3 (accept)"]
    assert [step.chain for step in answer.steps if step.hook == "postrouting"] == ["inet t p"]


LIMIT = {"limit": {"rate": 5, "per": "second"}}
MARK = {"mangle": {"key": field("meta mark"), "value": 7}}


def by_mark(action: str) -> dict[str, Row]:
    """Rows of policy routing: what is marked 7 is routed otherwise."""
    documents = (
        {"priority": 0, "src": "all", "table": "local"},
        {"priority": 10, "src": "all", "fwmark": "0x7", "action": action},
        {"priority": 32766, "src": "all", "table": "main"},
    )
    return {
        f"routing-rule 4 {one['priority']}": Row(what="routing-rule", document=json.dumps(one), text="4")
        for one in documents
    }


def test_a_mark_that_is_perhaps_set_and_by_which_is_routed_is_named() -> None:
    marking = table("t", {"c": (base("prerouting", -150), [[LIMIT, MARK]])})
    made = datapath(FORWARDING, by_mark("blackhole"), marking)
    answer = ask(made, probe(destination="172.18.0.2"))
    assert answer.verdict is UNCERTAIN
    assert answer.unknown == ("limit rate 5/second in inet t: rule 2", "meta mark, by which the packet is routed")


def test_whether_an_own_packet_is_routed_anew_is_named() -> None:
    marking = table("a", {"c": (base("output", -150, kind="route"), [[MARK]])})
    other = table(
        "b", {"c": (base("output", -150, kind="route"), [[{"mangle": {"key": field("meta mark"), "value": 8}}]])}
    )
    made = datapath(by_mark("blackhole"), marking, other)
    answer = ask(made, probe(**OUT))
    assert answer.verdict is UNCERTAIN
    assert any("routed anew" in text or "order of chains" in text for text in answer.unknown), answer.unknown


def test_no_answer_comes_back_to_a_loopback_address() -> None:
    nat = table("n", {"c": (base("output", -100, kind="nat"), [[{"dnat": {"family": "ip", "addr": "198.51.100.1"}}]])})
    localnet = switches(ipv4__conf__eth0__route_localnet="1")
    own: dict[str, Any] = {"source": "127.0.0.1", "destination": "192.0.2.10", "interface": ""}
    blocked = ask(datapath(nat, localnet), probe(**own))
    assert (blocked.verdict, blocked.causes[0].what) == (BLOCKED, "martian")
    named = ask(datapath(nat, localnet), probe(protocol="udp", **own))
    assert (named.verdict, named.unknown) == (UNCERTAIN, ("whether a packet from 127.0.0.0/8 is taken from the wire",))
    masked = table("m", {"c": (base("postrouting", 100, kind="nat"), [[{"masquerade": None}]])})
    assert ask(datapath(nat, localnet, masked), probe(**own)).verdict is REACHABLE
