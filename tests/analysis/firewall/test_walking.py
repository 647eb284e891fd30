"""Rules one after another: jumps, returns, maps, policies, and what is taken both ways."""

from typing import Any

import pytest

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import (
    AnyOf,
    Base,
    Chain,
    Datapath,
    Field,
    Match,
    Maybe,
    Not,
    Rule,
    Span,
    Table,
    Unknown,
    Verdict,
)
from analysis.firewall.probe import Verdict as Becomes
from tests.analysis.firewall.datapaths import ACCEPT, DROP, ask, base, datapath, field, match, probe, table, verdict

LIMIT = {"limit": {"rate": 5, "per": "second"}}
WEB = match("tcp dport", 80)
UNCERTAIN, BLOCKED, REACHABLE = Becomes.UNCERTAIN, Becomes.BLOCKED, Becomes.REACHABLE


def jump(chain: str, kind: str = "jump") -> dict[str, Any]:
    return {kind: {"target": chain}}


def called(inner: list[list[Any]], outer: list[list[Any]], policy: str = "drop") -> Becomes:
    return ask(datapath(table("t", {"c": (base("input", 0, policy), outer), "sub": ({}, inner)})), probe()).verdict


@pytest.mark.parametrize(
    ("rules", "policy", "becomes"),
    [
        ([[WEB, ACCEPT]], "drop", REACHABLE),
        ([[match("tcp dport", 81), ACCEPT]], "drop", BLOCKED),
        ([[WEB, {"counter": None}, {"log": None}, ACCEPT]], "drop", REACHABLE),
        ([[WEB, {"continue": None}], [ACCEPT]], "drop", REACHABLE),
        ([[{"return": None}], [ACCEPT]], "drop", BLOCKED),
        ([[WEB, LIMIT, ACCEPT]], "drop", UNCERTAIN),
        ([[WEB, LIMIT, ACCEPT], [ACCEPT]], "drop", REACHABLE),
        ([[WEB, LIMIT, DROP], [DROP]], "accept", BLOCKED),
        ([[match("tcp dport", 81), LIMIT, ACCEPT]], "drop", BLOCKED),
        ([[{"queue": {"num": 1}}]], "accept", UNCERTAIN),
        ([[{"queue": {"num": 1}}]], "drop", UNCERTAIN),
        ([[{"tproxy": {"port": 5}}]], "accept", UNCERTAIN),
        ([[{"vmap": {"key": field("tcp dport"), "data": {"set": [[80, ACCEPT], [81, DROP]]}}}]], "drop", REACHABLE),
        ([[{"vmap": {"key": field("tcp dport"), "data": {"set": [[81, DROP]]}}}], [ACCEPT]], "drop", REACHABLE),
        ([[{"vmap": {"key": {"numgen": {"mode": "inc"}}, "data": {"set": [[0, ACCEPT], [1, DROP]]}}}]], "drop", UNCERTAIN),
        ([[{"mangle": {"key": field("meta mark"), "value": 5}}], [match("meta mark", 5), ACCEPT]], "drop", REACHABLE),
        ([[LIMIT, {"mangle": {"key": field("meta mark"), "value": 5}}], [match("meta mark", 5), ACCEPT]], "drop", UNCERTAIN),
        ([[LIMIT, {"mangle": {"key": field("meta mark"), "value": 5}}], [{"mangle": {"key": field("meta mark"), "value": 6}}],
          [match("meta mark", 6), ACCEPT]], "drop", REACHABLE),
    ],
)  # fmt: skip
def test_rules_and_policies(rules: list[list[Any]], policy: str, becomes: Becomes) -> None:
    assert verdict(rules, policy=policy) is becomes


@pytest.mark.parametrize(
    ("inner", "outer", "becomes"),
    [
        ([[DROP]], [[jump("sub")], [ACCEPT]], BLOCKED),
        ([], [[jump("sub")], [ACCEPT]], REACHABLE),
        ([[{"return": None}], [DROP]], [[jump("sub")], [ACCEPT]], REACHABLE),
        ([], [[jump("sub", "goto")], [ACCEPT]], BLOCKED),
        ([[LIMIT, {"return": None}], [DROP]], [[jump("sub")], [ACCEPT]], UNCERTAIN),
        ([[DROP]], [[LIMIT, jump("sub")], [ACCEPT]], UNCERTAIN),
        ([[ACCEPT]], [[LIMIT, jump("sub")], [ACCEPT]], REACHABLE),
    ],
)
def test_jump_goto_and_return(inner: list[list[Any]], outer: list[list[Any]], becomes: Becomes) -> None:
    assert called(inner, outer) is becomes


def test_a_mark_set_in_a_chain_that_was_perhaps_left_before_is_perhaps_set() -> None:
    setting = {"mangle": {"key": field("meta mark"), "value": 7}}
    assert called([[LIMIT, {"return": None}], [setting]], [[jump("sub")], [match("meta mark", 7), ACCEPT]]) is UNCERTAIN
    assert called([[setting]], [[jump("sub")], [match("meta mark", 7), ACCEPT]]) is REACHABLE


def test_chains_that_call_each_other_in_a_circle_end_and_are_named() -> None:
    made = datapath(
        table(
            "t",
            {
                "c": (base("input"), [[jump("a")]]),
                "a": ({}, [[jump("b")], [jump("b")]]),
                "b": ({}, [[jump("a")], [jump("a")]]),
            },
        )
    )
    answer = ask(made, probe())
    assert answer.verdict is UNCERTAIN
    assert any("circle" in text or "steps" in text for text in answer.unknown)


def test_a_jump_to_a_chain_that_is_not_there_is_undecided() -> None:
    assert called([], [[jump("gone")], [ACCEPT]]) is UNCERTAIN


def made_of(*statements: Any) -> Datapath:
    chain = Chain(
        name="c",
        rules=(Rule((*statements, Verdict("accept")), "r"),),
        base=Base(kind="filter", hook="input", priority=0, policy="drop"),
    )
    return Datapath(tables=(Table(family="inet", name="t", chains={"c": chain}),), network=datapath().network)


PORT80, PORT81 = Match(Field("tcp dport"), "==", Span(80, 80)), Match(Field("tcp dport"), "==", Span(81, 81))


@pytest.mark.parametrize(
    ("statement", "becomes"),
    [
        (AnyOf(((PORT80,), (PORT81,))), REACHABLE),
        (AnyOf(((PORT81,), (PORT80, PORT81))), BLOCKED),
        (AnyOf(((PORT81,), (Maybe("m"),))), UNCERTAIN),
        (AnyOf(((PORT80,), (Maybe("m"),))), REACHABLE),
        (Not((PORT81,)), REACHABLE),
        (Not((PORT80, Maybe("m"))), UNCERTAIN),
        (Not((PORT81, Maybe("m"))), REACHABLE),
        (Not((AnyOf(((PORT80,),)),)), BLOCKED),
        (Unknown("magic"), UNCERTAIN),
    ],
)
def test_conditions_of_iptables(statement: Any, becomes: Becomes) -> None:
    assert evaluate(made_of(statement), [probe()]).verdicts() == (becomes,)


def test_what_a_packet_added_to_a_set_it_finds_there() -> None:
    sets = [{"name": "s", "type": "ipv4_addr"}]
    add = {"set": {"op": "add", "elem": field("ip saddr"), "set": "@s"}}
    assert verdict([[add], [match("ip saddr", "@s"), ACCEPT]], sets=sets) is REACHABLE
    assert verdict([[LIMIT, add], [match("ip saddr", "@s"), ACCEPT]], sets=sets) is UNCERTAIN
    assert verdict([[match("ip saddr", "@s"), ACCEPT]], sets=sets) is BLOCKED


def test_a_verdict_map_whose_key_may_be_several_values_is_named() -> None:
    mark = {"mangle": {"key": field("meta mark"), "value": 7}}
    ways = {"vmap": {"key": field("meta mark"), "data": {"set": [[7, ACCEPT], [0, DROP]]}}}
    made = datapath(table("t", {"c": (base("input"), [[LIMIT, mark], [ways]])}))
    answer = ask(made, probe())
    assert answer.verdict is UNCERTAIN
    assert "meta mark in inet t: rule 3" in answer.unknown


def test_a_value_from_a_map_that_perhaps_holds_none_is_named() -> None:
    mark = {"mangle": {"key": field("meta mark"), "value": 7}}
    label = {
        "mangle": {
            "key": {"ct": {"key": "mark"}},
            "value": {"map": {"key": field("meta mark"), "data": {"set": [[7, 5]]}}},
        }
    }
    made = datapath(table("t", {"c": (base("input"), [[LIMIT, mark], [label], [match("ct mark", 5), DROP]])}))
    answer = ask(made, probe())
    assert answer.verdict is UNCERTAIN
    assert "meta mark in inet t: rule 3" in answer.unknown
