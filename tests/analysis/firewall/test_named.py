"""Which sources rules name, and for which ports."""

from ipaddress import ip_network

from msgspec.structs import replace

from analysis.firewall.model import (
    AnyOf,
    Chain,
    Concat,
    Datapath,
    Element,
    Field,
    Joined,
    Match,
    Members,
    NamedSet,
    Not,
    Rule,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
    VerdictMap,
)
from analysis.firewall.named import Names, named

SOURCE, PORT = Field("ip saddr"), Field("tcp dport")


def net(text: str) -> Span:
    network = ip_network(text)
    return Span(int(network.network_address), int(network.broadcast_address))


def ways(*rules: tuple[Statement, ...], sets: dict[str, NamedSet] | None = None, table: str = "filter") -> Datapath:
    chain = Chain(name="input", rules=tuple(Rule(statements, text="") for statements in rules))
    return Datapath(tables=(Table(family="inet", name=table, chains={"input": chain}, sets=sets or {}),))


def told(datapath: Datapath) -> list[tuple[int, str, tuple[tuple[int, int], ...]]]:
    return [(each.low, each.label, each.ports) for each in named(datapath)[0]]


def test_a_network_is_tried_for_the_ports_of_its_rule() -> None:
    office = net("203.0.113.0/24")
    rule = (Match(SOURCE, "==", office), Match(PORT, "==", Span(5432, 5432)), Verdict("accept"))
    (found,) = named(ways(rule))[0]
    assert (found.family, found.low, found.high) == (4, office.low, office.high)
    assert found.concerns(5432)
    assert not found.concerns(22)


def test_a_rule_without_ports_concerns_every_port() -> None:
    (found,) = named(ways((Match(SOURCE, "!=", net("10.0.0.0/8")), Verdict("drop"))))[0]
    assert found.concerns(1)
    assert found.concerns(65535)


def test_sources_inside_of_conditions_and_verdict_maps_are_found() -> None:
    one, two, three = (net(f"10.0.{number}.0/24") for number in (1, 2, 3))
    verdicts = Members((Element(three, Verdict("drop")),))
    rule = (Not((Match(SOURCE, "==", one),)), AnyOf(((Match(SOURCE, "==", two),),)), VerdictMap(SOURCE, verdicts))
    assert [low for low, _, _ in told(ways(rule))] == [one.low, two.low, three.low]


def test_the_source_is_found_where_several_values_are_compared_side_by_side() -> None:
    address = net("198.51.100.7/32")
    key = Joined((Span(22, 22), address))
    rule = (Match(Concat((PORT, SOURCE)), "==", Members((Element(key),))),)
    assert told(ways(rule)) == [(address.low, "", ())]


def test_a_small_set_is_told_network_by_network_and_a_large_one_by_its_name() -> None:
    elements = tuple(Element(net(f"198.51.100.{number}/32")) for number in range(9))
    rule = (Match(SOURCE, "==", SetRef("office")), Verdict("accept"))
    small, spans = named(ways(rule, sets={"office": NamedSet(name="office", elements=elements[:4])}))
    assert [each.label for each in small] == [""] * 4
    assert len(spans) == 4
    large, spans = named(ways(rule, sets={"office": NamedSet(name="office", elements=elements)}))
    assert [(each.low - elements[0].key.low, each.label) for each in large] == [
        (0, "@office"),
        (4, "@office"),
        (8, "@office"),
    ]
    assert len(spans) == 9, "a stranger must be in none of them"


def test_who_is_banned_by_our_own_table_is_no_exception_but_no_stranger_either() -> None:
    sets = {"banned4": NamedSet(name="banned4", elements=(Element(net("198.51.100.9/32")),))}
    found, spans = named(ways((Match(SOURCE, "==", SetRef("banned4")),), sets=sets, table="holdfast_block"))
    assert found == ()
    assert len(spans) == 1


def test_a_set_that_is_not_there_names_nobody() -> None:
    assert named(ways((Match(SOURCE, "==", SetRef("gone")),))) == ((), ())


def test_what_was_read_before_is_said_again_and_what_changed_is_read_anew() -> None:
    names = Names()
    one, other = net("203.0.113.0/24"), net("198.51.100.0/24")
    first = ways(
        (Match(SOURCE, "==", one),), (Match(SOURCE, "==", SetRef("office")),), sets={"office": NamedSet(name="office")}
    )
    assert [each.low for each in names.of(first)[0]] == [one.low]
    (table,) = first.tables
    grown = Datapath(tables=(replace(table, sets={"office": NamedSet(name="office", elements=(Element(other),))}),))
    assert [each.low for each in names.of(grown)[0]] == [one.low, other.low]
    assert names.of(ways((Match(SOURCE, "==", other),))) == named(ways((Match(SOURCE, "==", other),)))
