"""Rows of the subject travel."""

import msgspec

from contracts.subjects.integrity import Row


def test_a_row_survives_being_stored() -> None:
    row = Row(kind="root", name="/etc/\\xff", profile="configuration", files=3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row) == row
