"""Rows become a datapath; what a row does not say is named; a second reading says the same as a first one."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Unknown
from analysis.firewall.probe import Verdict
from analysis.firewall.reading import Reader, read
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
    table,
    verdicts,
)

TABLE = table("t", {"c": (base("input", 0, "drop"), [[match("tcp dport", 80), ACCEPT]])})


def test_rules_stand_in_the_order_of_the_chain() -> None:
    made = datapath(table("t", {"c": (base("input"), [[ACCEPT], [DROP]])}))
    assert [rule.handle for rule in made.tables[0].chains["c"].rules] == [2, 3]
    assert ask(made, probe()).verdict is Verdict.REACHABLE


def test_a_rule_that_was_not_read_is_unknown_and_named() -> None:
    rows = {key: row for key, row in TABLE.items() if not key.startswith("rule")}
    answer = ask(datapath(rows), probe())
    assert answer.verdict is Verdict.UNCERTAIN
    assert "rule inet t c 2 was not read" in answer.unknown[0]


def test_what_could_not_be_read_makes_uncertain_and_says_so() -> None:
    for row, words in (
        ({"table inet x": Row(what="table", unread="nft broke off")}, "nft broke off"),
        (
            {"chain inet t c": Row(what="chain", document=TABLE["chain inet t c"].document, unread="too large")},
            "too large",
        ),
        ({"route 4": Row(what="route", text="4", unread="no ip")}, "no ip"),
        ({"chain inet t c": Row(what="chain", document="{")}, "no JSON"),
    ):
        answer = ask(datapath(TABLE, row), probe())
        assert answer.verdict is Verdict.UNCERTAIN, words
        assert words in " ".join(answer.unknown)


def test_elements_that_were_not_read_may_be_there_and_those_that_were_are() -> None:
    rules = [[match("ip saddr", "@s"), DROP]]
    half = table("t", {"c": (base("input"), rules)}, sets=[{"name": "s", "type": "ipv4_addr"}])
    key = "set inet t s"
    unread = {**half, key: Row(what="set", document=half[key].document, unread="100000 elements")}
    assert ask(datapath(half), probe()).verdict is Verdict.REACHABLE
    assert ask(datapath(unread), probe()).verdict is Verdict.UNCERTAIN


def test_flags_of_a_table_come_from_nfts_words_where_its_json_is_odd() -> None:
    odd = {
        "table inet t": Row(
            what="table", document=json.dumps({"family": "inet", "name": "t", "flags": "t"}), text="flags dormant"
        )
    }
    silent = {"table inet t": Row(what="table", document=json.dumps({"family": "inet", "name": "t", "flags": "t"}))}
    assert ask(datapath(TABLE, odd), probe(81)).verdict is Verdict.REACHABLE
    assert ask(datapath(TABLE, silent), probe(81)).verdict is Verdict.UNCERTAIN


def test_devices_come_from_the_text_where_the_document_has_none() -> None:
    rows = table("t", {"c": (base("ingress", 0, "drop"), [])}, family="netdev")
    key = "chain netdev t c"
    for text, verdict in (
        ("device eth0", Verdict.BLOCKED),
        ("device eth7, eth8", Verdict.REACHABLE),
        ("", Verdict.UNCERTAIN),
    ):
        named = {**rows, key: Row(what="chain", document=rows[key].document, text=text)}
        assert ask(datapath(named), probe()).verdict is verdict


def test_names_with_odd_characters() -> None:
    rows = table('a "b" c', {"c": (base("input", 0, "drop"), [[ACCEPT]])})
    quoted = {key.replace('a "b" c', json.dumps('a "b" c')): row for key, row in rows.items()}
    assert ask(datapath(quoted), probe()).verdict is Verdict.REACHABLE


def test_lines_of_iptables_take_the_place_of_nfts_words_for_the_same_chain() -> None:
    rows = table(
        "filter",
        {"INPUT": (base("input", 0, "drop"), [[{"xt": {"type": "match", "name": "multiport"}}, ACCEPT]])},
        family="ip",
    )
    assert ask(datapath(rows), probe()).verdict is Verdict.UNCERTAIN
    lines = {
        "xtables ip filter INPUT": Row(
            what="xtables", document='{"policy":"DROP"}', text="-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT"
        )
    }
    assert verdicts(datapath(rows, lines), [probe(80), probe(81)]) == (Verdict.REACHABLE, Verdict.BLOCKED)


def test_a_reader_says_the_same_as_a_first_reading_and_parses_only_what_changed() -> None:
    reader = Reader()
    rows = {**HOST, **TABLE}
    first = reader.read(rows)
    changed = {**rows, **table("t", {"c": (base("input", 0, "drop"), [[match("tcp dport", 81), ACCEPT]])})}
    second = reader.read(changed)
    assert second.network is first.network
    for made in (second, read(changed)):
        assert evaluate(made, [probe(80), probe(81)]).verdicts() == (Verdict.BLOCKED, Verdict.REACHABLE)
    again = reader.read(changed).tables[0].chains["c"].rules[0]
    assert again is second.tables[0].chains["c"].rules[0]


def test_a_reader_remembers_the_last_reading_and_nothing_older() -> None:
    reader = Reader()
    for port in range(200):
        made = {
            **table("t", {"c": (base("input", 0, "drop"), [[match("tcp dport", port), ACCEPT]])}),
            "set ip t s": Row(what="set", document=f'{{"name":"s","type":"inet_service","elem":[{port}]}}'),
        }
        reader.read({**HOST, **made})
    assert len(reader._rules) == 1 and len(reader._sets) == 1 and not reader._former_rules


JUNK = st.text(alphabet='{}[]",:a0 ', max_size=20) | st.sampled_from(
    ['{"expr":7}', '{"hook":"input","prio":"x"}', '{"elem":[{}]}', "[" * 5000]
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "rule inet t c 2",
                "chain inet t c",
                "table inet t",
                "set inet t s",
                "link eth0",
                "route 4 x",
                "routing-rule 4 y",
                "x",
                "map",
                "program",
                'program "',
                "ipset a",
                "xtables ip filter INPUT",
                "switch net.ipv4.ip_forward",
            ]
        ),
        st.tuples(JUNK, JUNK, st.lists(st.integers(-1, 3), max_size=3)),
        max_size=6,
    )
)
def test_garbage_never_raises(garbage: dict[str, tuple[str, str, list[int]]]) -> None:
    rows: dict[str, Any] = {**HOST, **TABLE}
    for key, (document, text, order) in garbage.items():
        rows[key] = Row(what=key.split(" ")[0], document=document, text=text, order=tuple(order))
    found = evaluate(
        read(rows),
        [probe(), probe(interface="", source="127.0.0.1", destination="127.0.0.1"), probe(source="2001:db8:9::1")],
    )
    assert len([found.answer(number) for number in range(3)]) == 3


def test_a_broken_rule_is_unknown() -> None:
    rows = {**HOST, **TABLE, "rule inet t c 2": Row(what="rule", document="no json", text="tcp dport 80 accept")}
    (rule,) = read(rows).tables[0].chains["c"].rules
    assert isinstance(rule.statements[0], Unknown)
    assert field("tcp dport")["payload"]["protocol"] == "tcp"
