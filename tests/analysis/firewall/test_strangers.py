"""Somebody in no set of sources: what could not be read of such sets does not concern him."""

from analysis.firewall.model import (
    Assign,
    Chain,
    Concat,
    Datapath,
    Field,
    Lookup,
    Match,
    NamedSet,
    Rule,
    SetRef,
    Span,
    Statement,
    Table,
    Update,
    Verdict,
)
from analysis.firewall.strangers import strange

SOURCE, PORT = Field("ip saddr"), Field("tcp dport")
LARGE = NamedSet(name="list", unread="30000 elements, more than 20000")
ASKS = (Match(SOURCE, "==", SetRef("list")), Verdict("drop"))


def ways(*rules: tuple[Statement, ...], name: str = "filter", held: NamedSet = LARGE) -> Datapath:
    chain = Chain(name="input", rules=tuple(Rule(statements, text="") for statements in rules))
    return Datapath(tables=(Table(family="inet", name=name, chains={"input": chain}, sets={"list": held}),))


def is_unread(datapath: Datapath) -> bool:
    return bool(datapath.tables[0].sets["list"].unread)


def test_a_set_that_sources_are_looked_up_in_holds_nobody_of_them_and_is_named() -> None:
    changed, unread = strange(ways(ASKS))
    assert not is_unread(changed)
    assert [each.label for each in unread] == ["@list"]
    assert unread[0].concerns(4, 80)
    assert not unread[0].concerns(6, 80)


def test_it_is_named_for_the_ports_of_its_rule() -> None:
    _, unread = strange(ways((Match(PORT, "==", Span(22, 22)), *ASKS)))
    assert unread[0].concerns(4, 22)
    assert not unread[0].concerns(4, 80)


def test_our_own_bans_are_not_named_on_every_row() -> None:
    changed, unread = strange(ways(ASKS, name="holdfast_block"))
    assert not is_unread(changed)
    assert unread == ()


def test_a_set_that_is_asked_for_anything_else_stays_unread() -> None:
    for other in (
        Match(PORT, "==", SetRef("list")),
        Match(Concat((SOURCE, PORT)), "==", SetRef("list")),
        Match(Field("ip daddr"), "!=", SetRef("list")),
        Assign(Field("meta mark"), Lookup(SOURCE, SetRef("list"))),
        Update(name="list", key=SOURCE),
    ):
        assert is_unread(strange(ways(ASKS, (other,)))[0]), other


def test_what_was_read_is_left_as_it_is() -> None:
    read = ways(ASKS, held=NamedSet(name="list"))
    assert strange(read) == (read, ())
    assert strange(read)[0] is read
