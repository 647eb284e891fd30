"""The ports that translation publishes, found in the nat chains."""

from ipaddress import ip_address

from analysis.firewall import published as module
from analysis.firewall.model import (
    Base,
    Chain,
    Concat,
    Constant,
    Datapath,
    Element,
    Field,
    Joined,
    Lookup,
    Match,
    Members,
    NamedSet,
    Nat,
    Rule,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
    VerdictMap,
)
from analysis.firewall.published import Candidate, published

TO = Nat(kind="dnat", family=4, address=Constant(int(ip_address("172.17.0.2"))), port=Constant(80))
TCP = Field("tcp dport")


def port(low: int, high: int = 0) -> Match:
    return Match(TCP, "==", Span(low, high or low))


def ways(
    *rules: tuple[Statement, ...],
    hook: str = "prerouting",
    others: dict[str, Chain] | None = None,
    sets: dict[str, NamedSet] | None = None,
    family: str = "ip",
) -> Datapath:
    base = Base(kind="nat", hook=hook, priority=-100)
    first = Chain(name="pre", base=base, rules=tuple(Rule(statements, text="") for statements in rules))
    return Datapath(
        tables=(Table(family=family, name="nat", chains={"pre": first, **(others or {})}, sets=sets or {}),)
    )


def chain(name: str, *rules: tuple[Statement, ...]) -> Chain:
    return Chain(name=name, rules=tuple(Rule(statements, text="") for statements in rules))


def found(datapath: Datapath) -> set[tuple[str, int]]:
    return {(each.protocol, each.port) for each in published(datapath).candidates}


def test_a_translated_port_is_published_at_any_own_address() -> None:
    assert published(ways((port(8080), TO))).candidates == (Candidate(4, "tcp", 8080),)


def test_the_address_a_rule_names_is_kept() -> None:
    address = int(ip_address("198.51.100.7"))
    (only,) = published(ways((Match(Field("ip daddr"), "==", Span(address, address)), port(80), TO))).candidates
    assert (only.low, only.high) == (address, address)


def test_what_calls_a_chain_narrows_what_it_publishes() -> None:
    docker = chain("DOCKER", (Match(Field("meta l4proto"), "==", Span(6, 6)), TO))
    asked = (port(8000, 8002), Verdict("jump", "DOCKER"))
    assert found(ways(asked, others={"DOCKER": docker})) == {("tcp", 8000), ("tcp", 8001), ("tcp", 8002)}


def test_chains_that_call_each_other_do_not_hang_it() -> None:
    loop = chain("loop", (Verdict("jump", "loop"),), (port(1), TO))
    assert found(ways((Verdict("jump", "loop"),), others={"loop": loop})) == {("tcp", 1)}


def test_a_map_publishes_each_of_its_keys() -> None:
    elements = tuple(Element(Span(key, key), Constant(1)) for key in (81, 82))
    inside = Nat(kind="dnat", family=4, address=Lookup(TCP, Members(elements)))
    by_name = Nat(kind="dnat", family=4, address=Lookup(TCP, SetRef("m")))
    sets = {"m": NamedSet(name="m", elements=(Element(Span(99, 99), Constant(1)),))}
    assert found(ways((inside,), (by_name,), sets=sets)) == {("tcp", 81), ("tcp", 82), ("tcp", 99)}


def test_a_verdict_map_publishes_what_the_chains_it_calls_translate() -> None:
    key = Joined((Span(17, 17), Span(53, 53)))
    calls = VerdictMap(
        Concat((Field("meta l4proto"), Field("th dport"))), Members((Element(key, Verdict("goto", "dns")),))
    )
    assert found(ways((calls,), others={"dns": chain("dns", (TO,))})) == {("udp", 53)}


def test_a_wide_range_is_judged_by_its_ends_and_its_middle() -> None:
    assert found(ways((port(1000, 2000), TO))) == {("tcp", 1000), ("tcp", 1500), ("tcp", 2000)}


def test_a_rule_for_every_port_is_judged_by_well_known_ones() -> None:
    everything = (Match(Field("ip protocol"), "==", Span(6, 6)), TO)
    assert found(ways(everything)) == {("tcp", number) for number in module.WELL_KNOWN}


def test_source_translation_and_filter_chains_publish_nothing() -> None:
    assert found(ways((port(80), Nat(kind="masquerade")))) == set()
    assert found(ways((port(80), TO), hook="postrouting")) == set()
    assert found(ways((Match(Field("meta l4proto"), "==", Span(1, 1)), TO))) == set(), "icmp has no ports"


def test_a_redirect_of_family_inet_publishes_for_both_families() -> None:
    both = published(ways((port(80), Nat(kind="redirect", port=Constant(8080))), family="inet")).candidates
    assert {each.family for each in both} == {4, 6}


def test_more_than_can_be_judged_is_counted(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    assert published(ways(*((port(number), TO) for number in (1, 2, 3, 4)))).left_out == 2
