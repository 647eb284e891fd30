"""Rows: keys that stay, chains that are not looked at twice, and what is kept of the unseen."""

import msgspec

from collectors.firewall.rows import build, carry, key, summarise
from collectors.firewall.ruleset import Chain, Part, Table
from contracts.subjects.firewall import Row, Summary


def _table(*rules: str, family: str = "inet") -> Table:
    chain = Chain("input", list(rules), type="filter", hook="input", priority=0, policy="drop")
    return Table(
        family, "filter", chains=[chain], parts=[Part("set", "s", ("type ipv4_addr",), digest="d", elements=3)]
    )


def test_equal_rules_have_keys_of_their_own() -> None:
    rules = [name for name, row in build([_table("accept", "accept")], {}).items() if row.what == "rule"]
    assert len(rules) == 2
    assert rules[1] == rules[0] + ".2"


def test_unchanged_chains_keep_the_very_same_rows() -> None:
    before = build([_table("accept", "drop")], {})
    after = build([_table("accept", "drop")], before)
    assert after == before
    assert all(after[name] is before[name] for name, row in before.items() if row.what == "rule")


def test_unusual_names_cannot_be_taken_for_other_keys() -> None:
    assert key("a b", "c") != key("a", "b c")
    assert key("inet", "filter") == "inet filter"


def test_a_rule_row_is_small() -> None:
    before = build([_table("tcp dport 22 accept")], {})
    (row,) = [row for row in before.values() if row.what == "rule"]
    assert len(msgspec.msgpack.encode(row)) < 110


def test_unseen_families_keep_their_former_rows() -> None:
    before = build([_table("drop", family="legacy-ip")], {})
    rows: dict[str, Row] = {}
    carry(rows, before, frozenset({"legacy-ip"}), only_iptables=False)
    assert rows == before


def test_elements_that_could_not_be_counted_keep_their_digest() -> None:
    before = build([_table()], {})
    table = _table()
    table.parts[0].digest, table.parts[0].elements = "", None
    assert build([table], before)["set inet filter s"].digest == "d"


def test_the_summary_counts_by_family() -> None:
    tables = [_table("accept", "drop"), _table("drop", family="ip6")]
    row = summarise(tables, build(tables, {}), (), True)
    assert row.summary is not None
    assert (row.summary.rules, row.summary.rules4, row.summary.rules6) == (3, 2, 3)


def test_what_is_unseen_never_reads_as_open() -> None:
    row = summarise([], {}, (), True, (True, False), Summary(filtering4="closed"))
    assert row.summary is not None
    assert (row.summary.filtering4, row.summary.filtering6) == ("closed", "open")
    assert (row.summary.unseen4, row.summary.unseen6) == (True, False)
