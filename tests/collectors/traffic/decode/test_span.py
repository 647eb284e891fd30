"""Spans and reading at positions that differ by row."""

import numpy as np

from collectors.traffic.decode.span import Span, chosen, join, records, words

DATA = np.arange(256, dtype=np.uint8)
SPAN = Span(np.array([5, 6, 7]), np.array([0, 3, 9]), np.array([2, 8, 20]))


def test_picking_keeps_rows_and_bounds_together() -> None:
    part = SPAN.pick(np.array([True, False, True]))
    assert (part.rows.tolist(), part.start.tolist(), part.end.tolist()) == ([5, 7], [0, 9], [2, 20])
    assert SPAN.pick(np.ones(3, np.bool_)) is SPAN
    assert SPAN.moved(2).start.tolist() == [2, 5, 11]
    assert join([SPAN, part]).rows.tolist() == [5, 6, 7, 5, 7]


def test_numbers_are_read_at_any_position() -> None:
    layout = np.dtype([("one", "u1"), ("two", ">u2")])
    found = records(DATA, np.array([1, 2, 250]), layout)
    assert found["two"].tolist() == [0x0203, 0x0304, 0xFBFC]
    assert chosen(found, np.array([2, 0]))["one"].tolist() == [250, 1]
    assert words(DATA, np.array([0, 254])).tolist() == [0x0001, 0xFEFF]
