"""nftables.conf: statements by table and chain."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.nftables import explain, parse
from contracts.event import Severity

RULES = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
  set good { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
  chain input {
    type filter hook input priority 0; policy drop;
    tcp dport { 22, 80 } accept
  }
}
"""


def test_a_policy_that_opens_is_grave() -> None:
    said = {one.text: one.severity for one in explain(RULES, RULES.replace("policy drop", "policy accept"))}
    assert said["nftables.conf gained policy accept in table inet filter > chain input"] is Severity.HIGH


def test_a_rule_is_told_with_its_place_and_its_set_in_one() -> None:
    (one, other) = explain(RULES, RULES.replace("{ 22, 80 }", "{ 22, 80, 4444 }"))
    assert one.text == "nftables.conf gained tcp dport { 22, 80, 4444 } accept in table inet filter > chain input"
    assert one.attack == ("T1562.004",) and other.text.startswith("nftables.conf lost")


def test_order_is_a_change_and_layout_is_none() -> None:
    assert explain("table t {\n chain c {\n a\n b\n }\n}", "table t { chain c { b; a } }")[0].text.startswith(
        "the order"
    )
    assert explain("table t {\n chain c {\n a\n b\n }\n}", "table t { chain c { a; b } } # x") == []
    assert ("table inet filter", "chain input", "policy drop") in list(parse(RULES))


def test_a_rule_that_stands_twice_now_is_told() -> None:
    rules = "table t {\n chain c {\n tcp dport 22 accept\n drop\n }\n}"
    (one,) = explain(rules, rules.replace(" drop", " drop\n tcp dport 22 accept"))
    assert one.text == "nftables.conf gained tcp dport 22 accept in table t > chain c"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
