"""Rows of holdings travel, and their keys tell them apart."""

import msgspec

from contracts.subjects.holdings import Gap, Holding


def test_a_row_travels_and_its_key_is_where_it_lies_or_its_name() -> None:
    row = Holding(part="databases", kind="database", name="redis (port 6379)", product="redis", port=6379, running=True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Holding) == row
    assert row.key == "databases database redis (port 6379)"
    assert Holding(part="places", kind="home", name="x", path="/home/x").key == "places home /home/x"
    gap = Gap(kind="home", name="x", state="missing", reason="no job saves it")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(gap), type=Gap) == gap
