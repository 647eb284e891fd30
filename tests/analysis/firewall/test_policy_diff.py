"""What policy and reality disagree about, and whom a policy would cut, on small datapaths made by hand."""

import pytest

from analysis.firewall.model import Base, Chain, Datapath, Field, Match, Maybe, Rule, Span, Statement, Table, Verdict
from analysis.firewall.policy_diff import Cut, Target, _named, compare, cuts, reachable_ports
from analysis.firewall.policy_model import replaced
from analysis.firewall.probe import Probe
from contracts.policy import Policy, Service, Zone
from contracts.subjects.datapath import Vantage
from contracts.subjects.ports import Listener
from tests.analysis.firewall.test_policy_model import NETWORK

OFFICE = Zone(networks=("198.51.100.0/24",))
POLICY = Policy(
    zones={"office": OFFICE},
    services={"ssh": Service(ports=("22",), sources=("office",)), "web": Service(ports=("80", "443"))},
)
PLACES = (Vantage(name="internet", sources=("0.0.0.0/0", "::/0")),)


def filtering(*statements: Statement, text: str = "its rule", policy: str = "accept") -> Datapath:
    rules = (Rule(statements=statements, text=text, handle=7),) if statements else ()
    chain = Chain(name="c", base=Base(kind="filter", hook="input", priority=0, policy=policy), rules=rules)
    return Datapath(network=NETWORK, tables=(Table(family="inet", name="theirs", chains={"c": chain}),))


def port(number: int) -> Match:
    return Match(Field("tcp dport"), "==", Span(number, number))


def session(source: str = "198.51.100.9", number: int = 22) -> Target:
    probe = Probe(family=4, protocol="tcp", source=source, destination="192.0.2.1", port=number, interface="eth0")
    return Target(name=f"ssh from {source}", probe=probe)


def lines(policy: Policy, datapath: Datapath, listening: tuple[tuple[str, int], ...] = ()) -> set[tuple[object, ...]]:
    found = compare(policy, datapath, PLACES, listening)
    return {(each.change, each.vantage, each.protocol, each.ports, each.others) for each in found.differences}


def test_reality_as_declared_has_no_differences() -> None:
    assert lines(POLICY, replaced(Datapath(network=NETWORK), POLICY)) == set()


def test_an_open_host_is_told_by_vantage_and_port() -> None:
    assert lines(POLICY, Datapath(network=NETWORK), (("tcp", 8080), ("udp", 123))) == {
        ("open", "internet", "tcp", (22, 8080), True),
        ("open", "internet", "udp", (123,), True),
        ("open", "office", "tcp", (8080,), True),
        ("open", "office", "udp", (123,), True),
    }


def test_what_another_rule_refuses_is_declared_and_not_reachable() -> None:
    datapath = filtering(port(443), Verdict("drop"), text="tcp dport 443 drop")
    found = compare(POLICY, replaced(datapath, POLICY), PLACES)
    assert {(each.change, each.vantage, each.ports) for each in found.differences} == {
        ("closed", "internet", (443,)),
        ("closed", "office", (443,)),
    }
    assert {(each.why, each.chain, each.services) for each in found.differences} == {
        ("tcp dport 443 drop", "inet theirs c", ("web",))
    }


def test_a_port_that_only_a_rule_names_is_tried_too() -> None:
    datapath = filtering(port(9999), Verdict("accept"), text="tcp dport 9999 accept", policy="drop")
    assert ("open", "internet", "tcp", (9999,), False) in lines(POLICY, datapath)


def test_what_cannot_be_decided_is_neither_open_nor_closed() -> None:
    datapath = replaced(filtering(port(80), Maybe("limit rate 5/second"), Verdict("drop")), POLICY)
    found = compare(POLICY, datapath, PLACES)
    assert {each.change for each in found.differences} == {"undecided"}
    assert all("limit" in " ".join(each.unknown) for each in found.differences)


def test_a_declared_rate_is_no_difference() -> None:
    policy = Policy(services={"ssh": Service(ports=("22",), rate="5/minute")})
    assert lines(policy, replaced(Datapath(network=NETWORK), policy)) == set()


def test_a_zone_that_no_route_leads_to_is_named_as_not_judged() -> None:
    policy = Policy(
        zones={"far": Zone(networks=("2001:db8::/32",))}, services={"s": Service(ports=("1",), sources=("far",))}
    )
    assert compare(policy, Datapath(network=NETWORK), PLACES).not_judged == ("far over IPv6",)


def test_a_session_that_the_policy_lets_in_is_not_cut() -> None:
    assert cuts(POLICY, Datapath(network=NETWORK), [session()]) == ()


def test_a_session_that_the_policy_does_not_name_is_cut_by_its_last_rule() -> None:
    (cut,) = cuts(POLICY, Datapath(network=NETWORK), [session(source="203.0.113.5")])
    assert cut == Cut(
        name="ssh from 203.0.113.5",
        why='counter drop comment "everything else is refused"',
        chain="inet holdfast policy_input",
    )


def test_a_policy_that_is_already_in_force_does_not_hide_what_the_next_one_cuts() -> None:
    narrow = Policy(services={"web": Service(ports=("80",))})
    assert len(cuts(narrow, replaced(Datapath(network=NETWORK), POLICY), [session()])) == 1
    assert cuts(POLICY, replaced(Datapath(network=NETWORK), narrow), [session()]) == ()


def test_a_connection_of_this_host_is_not_cut_because_its_answers_are_let_in() -> None:
    probe = Probe(family=4, protocol="tcp", source="192.0.2.1", destination="203.0.113.80", port=8444)
    assert cuts(POLICY, Datapath(network=NETWORK), [Target(name="the console", probe=probe)]) == ()


@pytest.mark.parametrize("policy", [POLICY, Policy(services={"ssh": Service(ports=("22",), rate="5/minute")})])
def test_what_was_undecided_before_and_a_declared_rate_are_no_cut(policy: Policy) -> None:
    datapath = filtering(port(22), Maybe("limit rate 5/second"), Verdict("drop"))
    assert cuts(policy, datapath, [session()]) == ()


def test_only_listeners_that_others_may_reach_count() -> None:
    rows = {
        "a": Listener(protocol="tcp", family=4, address="0.0.0.0", port=22, scope="any"),
        "b": Listener(protocol="tcp", family=4, address="127.0.0.1", port=25, scope="loopback"),
        "tcp/0.0.0.0:80#7": Listener(protocol="tcp", family=4, address="0.0.0.0", port=80, scope="any", netns=7),
        "c": Listener(protocol="udp", family=4, address="0.0.0.0", port=40001, scope="any", ephemeral=True),
    }
    assert reachable_ports(rows) == {("tcp", 22)}


def test_ports_are_tried_by_the_protocols_that_rules_name_them_for() -> None:
    texts = {
        "tcp dport 81 accept",
        "udp dport { 82, 83-84 } drop",
        "-p tcp -m tcp --dport 85 -j ACCEPT",
        "th dport 86 drop",
    }
    rules = tuple(Rule(statements=(), text=text) for text in sorted(texts))
    table = Table(family="inet", name="t", chains={"c": Chain(name="c", rules=rules)})
    assert _named(Datapath(tables=(table,))) == {"tcp": {81, 85, 86}, "udp": {82, 83, 84, 85, 86}}
