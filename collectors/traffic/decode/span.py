"""Spans: the part of some rows that a layer is to decode; and the reading of fields at positions that differ per row."""

from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, U8, Bools


class Span:
    """`rows` of a table, and for each where its undecoded bytes `start` and `end` in the data."""

    __slots__ = ("end", "rows", "start")

    def __init__(self, rows: I64, start: I64, end: I64) -> None:
        self.rows = rows
        self.start = start
        self.end = end

    def __len__(self) -> int:
        return len(self.rows)

    def pick(self, chosen: Bools) -> "Span":
        """Return those where `chosen` holds; itself when all do."""
        count = np.count_nonzero(chosen)
        return self if count == len(chosen) else self.at(np.flatnonzero(chosen))

    def at(self, indices: I64) -> "Span":
        """Return those at `indices`."""
        return Span(self.rows[indices], self.start[indices], self.end[indices])

    def moved(self, by: int | I64) -> "Span":
        """Return the same with their first `by` bytes behind them."""
        return Span(self.rows, self.start + by, self.end)


def join(spans: list[Span]) -> Span:
    """Return all spans as one, in the order given."""
    if len(spans) == 1:
        return spans[0]
    return Span(
        np.concatenate([span.rows for span in spans]),
        np.concatenate([span.start for span in spans]),
        np.concatenate([span.end for span in spans]),
    )


EMPTY = Span(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def records(data: U8, start: I64, layout: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return what lies at each `start` as a structured array; every start must have `layout.itemsize` readable bytes (`block.PAD`)."""
    width = layout.itemsize
    windows = np.ndarray((len(data) - width + 1,), f"V{width}", data.data, strides=(1,))
    # Not `view`, which looks at every field of both layouts in Python.
    return np.ndarray((len(start),), layout, windows[start])


def chosen(fields: npt.NDArray[Any], indices: I64) -> npt.NDArray[Any]:
    """Return the records at `indices`. (numpy copies structured records field by field, nine times as slow as their bytes.)"""
    plain = np.ndarray(fields.shape, f"V{fields.dtype.itemsize}", fields)
    return np.ndarray((len(indices),), fields.dtype, plain[indices])


def words(data: U8, start: I64) -> npt.NDArray[np.int64]:
    """Return the big-endian 16-bit number at each `start`."""
    return data[start].astype(np.int64) << 8 | data[start + 1]
