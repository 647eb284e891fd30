"""Events between two sets of rows, whatever they are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.firewall.events import KINDS, happened
from collectors.firewall.rows import build, summarise
from collectors.firewall.ruleset import Chain, Part, Table
from contracts.snapshot import compare
from contracts.subjects.firewall import Row

RULES = st.lists(st.sampled_from(["accept", "drop", "tcp dport 22 accept", "counter"]), max_size=5)
CHAINS = st.builds(
    Chain,
    st.sampled_from(["input", "forward", "mine"]),
    RULES,
    type=st.just("filter"),
    hook=st.sampled_from(["input", ""]),
    priority=st.sampled_from([0, 5]),
    policy=st.sampled_from(["accept", "drop"]),
)
PARTS = st.builds(
    Part,
    st.sampled_from(["set", "map", "ct helper"]),
    st.sampled_from("ab"),
    st.just(("type ipv4_addr",)),
    digest=st.sampled_from("xy"),
)
TABLES = st.builds(
    Table,
    st.sampled_from(["ip", "inet"]),
    st.sampled_from(["filter", "other"]),
    flags=st.sampled_from(["", "flags dormant"]),
    chains=st.lists(CHAINS, max_size=3, unique_by=lambda chain: chain.name),
    parts=st.lists(PARTS, max_size=2, unique_by=lambda part: part.name),
)
RULESETS = st.lists(TABLES, max_size=3, unique_by=lambda table: (table.family, table.name))


def _rows(tables: list[Table], before: dict[str, Row]) -> dict[str, Row]:
    rows = build(tables, before)
    return {**rows, "summary": summarise(tables, rows, (), True)}


@given(RULESETS, RULESETS)
@settings(max_examples=200, deadline=None)
def test_a_difference_yields_events_and_none_yields_none(old: list[Table], new: list[Table]) -> None:
    before = _rows(old, {})
    after = _rows(new, before)
    changes = compare(before, after)
    events = happened(before, after, changes, 20)
    assert bool(events) == bool(changes)
    assert len({(event.kind, event.key) for event in events}) == len(events)
    kinds = {kind.name: kind for kind in KINDS}
    for event in events:
        assert kinds[event.kind].title.format(key=event.key, **event.fields)
        assert event.fields.keys() == kinds[event.kind].fields.keys()


def _input(*rules: str, policy: str = "drop") -> Table:
    return Table("inet", "filter", chains=[Chain("input", list(rules), "filter", "input", 0, policy)])


def test_at_the_limit_rules_are_still_told_one_by_one() -> None:
    before = _rows([_input("accept")], {})
    after = _rows([_input("accept", *(f"tcp dport {port} drop" for port in range(3)))], before)
    changes = compare(before, after)
    assert [event.kind for event in happened(before, after, changes, 3)] == ["firewall.rule_added"] * 3
    (event,) = happened(before, after, changes, 2)
    assert event.kind == "firewall.ruleset_replaced"


def test_a_flush_outweighs_the_limit() -> None:
    before = _rows([_input(*(f"tcp dport {port} accept" for port in range(100)))], {})
    after = _rows([_input()], before)
    assert [event.kind for event in happened(before, after, compare(before, after), 20)] == ["firewall.ruleset_flushed"]


def _said(old: Table, new: Table) -> list[str]:
    before = _rows([old], {})
    after = _rows([new], before)
    return [event.kind.removeprefix("firewall.") for event in happened(before, after, compare(before, after), 20)]


def test_a_base_chain_that_lost_all_its_rules_is_said_once() -> None:
    side = Chain("mine", ["accept"], type="", hook="")
    full, empty = _input("tcp dport 22 accept", "drop", policy="accept"), _input(policy="accept")
    full.chains.append(side)
    empty.chains.append(side)
    assert "chain_emptied" in _said(full, empty)
    assert "chain_emptied" not in _said(empty, empty) + _said(empty, full)
    assert "chain_emptied" not in _said(full, _input("drop", policy="accept"))
