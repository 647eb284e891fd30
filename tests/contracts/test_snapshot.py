"""Snapshots: comparing and applying are each other's inverse, also as they travel."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.record import Record
from contracts.snapshot import Changes, Snapshot, apply, compare, decode, encode


class Row(Record):
    value: int
    name: str = ""


class Wider(Record):
    value: int
    extra: int


rows = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.builds(Row, value=st.integers(0, 3)), max_size=6
)


@given(before=rows, after=rows)
def test_applying_the_difference_gives_what_was_seen(before: dict, after: dict) -> None:
    changes = compare(before, after)
    assert apply(before, changes) == after
    assert bool(changes) == (before != after)
    travelled = encode(changes)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(travelled), type=type(travelled))
    assert apply(before, Changes(put=decode(again.put, Row), removed=again.removed)) == after


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode({"k": msgspec.msgpack.encode(Wider(value=1, extra=2))}, Row)
    with pytest.raises(msgspec.DecodeError):
        decode({"k": b"\xc1"}, Row)


def test_only_revision_zero_is_the_first() -> None:
    assert Snapshot[Row](subject="s").first
    assert not Snapshot[Row](subject="s", revision=1).first
