"""Rows of the firewall travel compactly and strictly."""

import msgspec
import pytest

from contracts.subjects.firewall import Row, Summary, statement

RULE = Row(what="rule", family="inet", table="filter", name="input", text="tcp dport 22 accept", rank=1 << 20)


def test_defaults_do_not_travel() -> None:
    encoded = msgspec.msgpack.encode(RULE)
    assert msgspec.msgpack.decode(encoded, type=Row) == RULE
    assert set(msgspec.msgpack.decode(encoded)) == {"what", "family", "table", "name", "text", "rank"}


def test_a_field_nobody_declared_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"what": "rule", "colour": "red"}, Row)


def test_a_summary_survives_json() -> None:
    row = Row(what="summary", summary=Summary(backends=("nftables",), rules=3))
    assert msgspec.json.decode(msgspec.json.encode(row), type=Row) == row


def test_rules_of_iptables_stand_alone_with_their_chain() -> None:
    assert statement(RULE) == "tcp dport 22 accept"
    assert statement(Row(what="rule", source="iptables-legacy", name="INPUT", text="-j DROP")) == "-A INPUT -j DROP"
    assert statement(Row(what="rule", source="iptables-nft", name="INPUT")) == "-A INPUT"
