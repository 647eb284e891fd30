"""What nft writes as JSON becomes the statements that mean the same; what is strange is named and never raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.model import (
    Assign,
    Binary,
    Concat,
    Constant,
    Element,
    Fib,
    Field,
    Joined,
    Lookup,
    Match,
    Maybe,
    Members,
    Name,
    Nat,
    NoTrack,
    Range,
    SetRef,
    Span,
    Undecidable,
    Unknown,
    Update,
    Verdict,
    VerdictMap,
)
from analysis.firewall.nft_json import elements, statements
from tests.analysis.firewall.datapaths import field, match

PORT, SOURCE, MARK = field("tcp dport"), field("ip saddr"), field("meta mark")
TEN = Span(0x0A000000, 0x0AFFFFFF)


@pytest.mark.parametrize(
    ("expression", "statement"),
    [
        (match("tcp dport", 22), Match(Field("tcp dport"), "==", Span(22, 22))),
        (match("tcp dport", {"range": [1, 9]}, "!="), Match(Field("tcp dport"), "!=", Span(1, 9))),
        (match("ip saddr", {"prefix": {"addr": "10.0.0.0", "len": 8}}), Match(Field("ip saddr"), "==", TEN)),
        (match("ip saddr", "@known"), Match(Field("ip saddr"), "==", SetRef("known"))),
        (match("ct state", ["established", "related"], "in"), Match(Field("ct state"), "any", Constant(6))),
        (match("tcp flags", ["fin", "rst"], "!"), Match(Field("tcp flags"), "none", Constant(5))),
        (match("ct status", {"|": ["snat", "dnat"]}, "!="), Match(Field("ct status"), "!=", Span(48, 48))),
        (match({"&": [MARK, 255]}, 16), Match(Binary("&", Field("meta mark"), Constant(255)), "==", Span(16, 16))),
        (
            match("meta iifname", {"set": ["lo", "eth*"]}),
            Match(Field("meta iifname"), "==", Members((Element(Name("lo")), Element(Name("eth*"))))),
        ),
        (
            match({"concat": [SOURCE, PORT]}, {"set": [{"concat": ["10.0.0.0", 5]}]}),
            Match(
                Concat((Field("ip saddr"), Field("tcp dport"))),
                "==",
                Members((Element(Joined((Span(0x0A000000, 0x0A000000), Span(5, 5)))),)),
            ),
        ),
        (
            match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False),
            Match(Fib(("saddr", "iif"), "present"), "==", Span(0, 0)),
        ),
        (
            {"vmap": {"key": PORT, "data": {"set": [[22, {"accept": None}], ["*", {"jump": {"target": "c"}}]]}}},
            VerdictMap(
                Field("tcp dport"),
                Members((Element(Span(22, 22), Verdict("accept")), Element(Span(0, 2**128 - 1), Verdict("jump", "c")))),
            ),
        ),
        (
            {"mangle": {"key": MARK, "value": {"map": {"key": PORT, "data": {"set": [[22, 1]]}}}}},
            Assign(Field("meta mark"), Lookup(Field("tcp dport"), Members((Element(Span(22, 22), Constant(1)),)))),
        ),
        (
            {"dnat": {"family": "ip", "addr": "10.0.0.1", "port": {"range": [80, 90]}}},
            Nat(kind="dnat", family=4, address=Constant(0x0A000001), port=Range(80, 90)),
        ),
        ({"redirect": None}, Nat(kind="redirect")),
        ({"notrack": None}, NoTrack()),
        (
            {"set": {"op": "update", "elem": SOURCE, "set": "@d", "stmt": [{"limit": {"rate": 5}}]}},
            Update(name="d", key=Field("ip saddr"), conditions=(Maybe('{"limit":{"rate":5}}'),)),
        ),
        ({"limit": {"rate": 5}}, Maybe('{"limit":{"rate":5}}')),
        ({"queue": {"num": 1}}, Verdict("queue")),
        ({"reject": {"type": "icmpx"}}, Verdict("reject")),
    ],
)
def test_statements(expression: Any, statement: object) -> None:
    assert statements([expression]) == (statement,)


def test_counters_and_logs_do_nothing() -> None:
    assert statements([{"counter": {"packets": 1}}, {"log": None}, {"counter": "named"}]) == ()


def test_a_reject_with_tcp_reset_is_for_tcp_although_nft_does_not_say_so() -> None:
    assert statements([{"reject": {"type": "tcp reset"}}])[0] == Match(Field("meta l4proto"), "==", Span(6, 6))


def test_what_is_strange_is_named() -> None:
    assert statements([{"teleport": 7}]) == (Unknown('{"teleport":7}'),)
    assert statements([match("tcp dport", "no such service")]) == (
        Match(Field("tcp dport"), "==", Undecidable('"no such service"')),
    )
    assert statements([match({"numgen": {"mode": "random"}}, 0)])[0].left == Undecidable('{"numgen":{"mode":"random"}}')  # type: ignore[union-attr]
    assert statements("nonsense") == (Unknown('"nonsense"'),)


def test_elements_of_sets_with_all_that_stands_beside_them() -> None:
    items = [{"elem": {"val": "10.0.0.1", "expires": 5, "comment": "x"}}, {"prefix": {"addr": "10.0.0.0", "len": 8}}]
    assert elements(items, ["ipv4_addr"], []) == (Element(Span(0x0A000001, 0x0A000001)), Element(TEN))
    with pytest.raises(ValueError, match="not understood"):
        elements(["no address"], ["ipv4_addr"], [])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**33) | st.sampled_from(["accept", "@s", "10.0.0.1", "*", "ssh", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "match",
                    "op",
                    "left",
                    "right",
                    "set",
                    "elem",
                    "vmap",
                    "key",
                    "data",
                    "prefix",
                    "addr",
                    "len",
                    "range",
                    "concat",
                    "dnat",
                    "meta",
                    "payload",
                    "jump",
                    "target",
                    "&",
                    "|",
                    "<<",
                    "mangle",
                    "value",
                    "map",
                    "ct",
                    "fib",
                    "limit",
                    "val",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_nothing_raises(garbage: Any) -> None:
    assert isinstance(statements(garbage), tuple)
    assert isinstance(statements([garbage, {"match": garbage}, {"vmap": garbage}, {"dnat": garbage}]), tuple)
