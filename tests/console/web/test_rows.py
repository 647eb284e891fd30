"""Rows of subjects as they come from agents."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from console.web.rows import natural, read, unread_words
from contracts.subjects.ports import Listener

GOOD = msgspec.json.encode(Listener(protocol="tcp", family=4, address="::1", port=1))


def test_rows_that_are_not_understood_are_counted_not_dropped_silently():
    newer = b'{"protocol":"tcp","family":4,"address":"a","port":1,"invented_later":true}'
    rows, unread, example = read({"a": GOOD, "b": newer, "c": b"[" * 5000, "d": b"\xff"}, Listener)
    assert (list(rows), unread) == (["a"], 3)
    assert "invented_later" in example
    assert "3 further rows could not be understood" in unread_words(unread, example)
    assert unread_words(0, "") == ""


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=60), max_size=5))
def test_no_bytes_break_the_reading(raw):
    rows, unread, _ = read(raw, Listener)
    assert len(rows) + unread == len(raw)


@given(st.lists(st.text(max_size=12), max_size=8))
def test_natural_order_compares_any_texts(texts):
    sorted(texts, key=natural)


def test_natural_order_counts():
    assert sorted(["b10", "b9", "a"], key=natural) == ["a", "b9", "b10"]
