"""The firewall's summary and its rules as a tree."""

import msgspec

from console.store.records import Agent, AgentDetail, State, Subject
from console.web.firewall_view import backend_words, firewall_view, ruleset
from contracts.subjects.firewall import Row, Summary

DETAIL = AgentDetail(agent=Agent(id="a", name="a", state=State.UP))


def subject(**rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return Subject(agent="a", subject="firewall", revision=2, at_ms=1_795_280_000_000, rows=encoded)


def rule(rank, text, name="input", table="filter", **more):
    return Row(what="rule", family="inet", table=table, name=name, text=text, rank=rank, **more)


def test_rules_stand_in_the_kernels_order():
    tables, shown, total, _ = ruleset(subject(b=rule(20, "second"), a=rule(30, "third"), c=rule(10, "first")))
    assert [one.text for one in tables[0].chains[0].rules] == ["first", "second", "third"]
    assert (shown, total) == (3, 3)


def test_base_chains_come_before_the_chains_they_call():
    chains = {
        "x": Row(what="chain", family="inet", table="filter", name="aaa"),
        "y": Row(what="chain", family="inet", table="filter", name="input", hook="input", policy="drop"),
    }
    tables, *_ = ruleset(subject(**chains))
    assert [chain.name for chain in tables[0].chains] == ["input", "aaa"]
    assert tables[0].chains[0].sign.tone == "good"


def test_iptables_rules_stand_alone():
    tables, *_ = ruleset(subject(a=rule(1, "-p tcp -j DROP", name="INPUT", source="iptables-legacy")))
    assert tables[0].chains[0].rules[0].text == "-A INPUT -p tcp -j DROP"


def test_a_rule_whose_chain_has_not_arrived_is_still_shown():
    tables, *_ = ruleset(subject(a=rule(1, "accept", name="orphan", table="lost")))
    assert (tables[0].name, tables[0].chains[0].name) == ("lost", "orphan")


def test_too_many_rules_are_cut_and_counted():
    tables, shown, total, _ = ruleset(subject(**{f"r{n}": rule(n, "accept") for n in range(20)}), max_rules=7)
    assert (shown, total) == (7, 20)
    assert len(tables[0].chains[0].rules) == 7


def test_the_summary_tells_open_from_closed_and_no_ipv6():
    summary = Summary(backends=("nftables", "iptables-legacy"), rules=3, filtering4="closed", ipv6=False)
    view = firewall_view(DETAIL, subject(summary=Row(what="summary", summary=summary)))
    assert (view.backend, view.sign4.word, view.sign6.word) == ("nftables, iptables-legacy", "Closed", "No IPv6")
    assert backend_words(Summary()) == "none holds a rule"
    assert backend_words(None) == "not known"


def test_a_summary_that_is_not_understood_is_not_green():
    view = firewall_view(DETAIL, subject(summary=b'{"what":"summary","summary":{"later":1}}'))
    assert (view.word, view.sign4.tone) == ("Not understood", "")
    _, _, _, said = ruleset(subject(a=b"{}"))
    assert "could not be understood" in said
