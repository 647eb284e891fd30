"""Chains of the bridge family that front ends leave empty, and those that are not."""

import pytest

from analysis.firewall.bridges import may_stop
from analysis.firewall.model import (
    Assign,
    Base,
    Chain,
    Constant,
    Field,
    Match,
    Maybe,
    Rule,
    Span,
    Statement,
    Table,
    Unknown,
    Verdict,
)

MATCH = Match(Field("meta iifname"), "==", Span(1, 1))


def stops(*statements: Statement, policy: str = "accept", others: tuple[Chain, ...] = (), unread: str = "") -> bool:
    rules = (Rule(statements=statements, text=""),) if statements else ()
    base = Base(kind="filter", hook="forward", priority=-200, policy=policy)
    chain = Chain(name="FORWARD", rules=rules, base=base, unread=unread)
    chains = {each.name: each for each in (chain, *others)}
    return may_stop(Table(family="bridge", name="filter", chains=chains), chain)


def test_an_empty_chain_and_one_that_leads_to_empty_ones_stop_nothing() -> None:
    assert not stops()
    assert not stops(Verdict("jump", "FORWARD_direct"), others=(Chain(name="FORWARD_direct"),))
    assert not stops(MATCH, Maybe("limit"), Verdict("accept"))
    assert not stops(Verdict("jump", "FORWARD"))  # a circle


@pytest.mark.parametrize(
    "statement",
    [Verdict("drop"), Verdict("queue"), Unknown("?"), Assign(Field("meta mark"), Constant(1)), Verdict("jump", "gone")],
)
def test_what_could_stop_or_change_a_frame(statement: Statement) -> None:
    assert stops(MATCH, statement)
    inner = Chain(name="inner", rules=(Rule(statements=(statement,), text=""),))
    assert stops(Verdict("jump", "inner"), others=(inner,))


def test_a_policy_of_drop_and_rules_that_were_not_read() -> None:
    assert stops(policy="drop")
    assert stops(unread="too long")
