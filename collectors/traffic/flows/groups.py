"""Packets of one block by flow: sorted by key and time, and cut where one key goes from one flow to the next."""

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.keys import Keys


class Groups:
    """`rows` sorted by key, then as they came; group g is `rows[starts[g] : starts[g + 1]]`. `keys` are those of `rows`."""

    __slots__ = ("keys", "rows", "starts")

    def __init__(self, rows: I64, starts: I64, keys: Keys) -> None:
        self.rows = rows
        self.starts = starts
        self.keys = keys

    def __len__(self) -> int:
        return len(self.starts)

    def ends(self) -> I64:
        """Return where each group ends in `rows`."""
        return np.append(self.starts[1:], len(self.rows))


def group(table: Table, rows: I64, keys: Keys) -> Groups:
    """Sort `rows` (in the order of time) into groups of equal keys."""
    count = len(rows)
    bits = np.uint64(max(1, (count - 1).bit_length()))
    marked = (keys.hash >> bits << bits) | np.arange(count, dtype=np.uint64)
    marked.sort()
    order = (marked & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    met = keys.at(order)
    differ = _differ(table, rows[order], met)
    shortened = marked >> bits
    if (differ & (shortened[1:] == shortened[:-1])).any():
        # Two keys share what is left of their hashes: sort by the keys themselves.
        order = _exact(table, rows, keys)
        met = keys.at(order)
        differ = _differ(table, rows[order], met)
    return Groups(rows[order], np.append(0, np.flatnonzero(differ) + 1), met)


def _differ(table: Table, rows: I64, keys: Keys) -> Bools:
    """Return whether each row has another key than the one before."""
    differ = (keys.low[1:] != keys.low[:-1]) | (keys.high[1:] != keys.high[:-1]) | (keys.rest[1:] != keys.rest[:-1])
    six = np.flatnonzero(~differ & (table.family[rows[1:]] == 6))
    if len(six):
        differ[six] = ~_same(table, rows[six], rows[six + 1], keys.swapped[six] == keys.swapped[six + 1])
    return np.asarray(differ)


def _same(table: Table, one: I64, other: I64, straight: Bools) -> Bools:
    same = np.ones(len(one), np.bool_)
    for half in ("hi", "lo"):
        source, target = getattr(table, f"src_{half}"), getattr(table, f"dst_{half}")
        same &= source[one] == np.where(straight, source[other], target[other])
        same &= target[one] == np.where(straight, target[other], source[other])
    return same


def _exact(table: Table, rows: I64, keys: Keys) -> I64:
    parts = []
    for half in ("hi", "lo"):
        source, target = getattr(table, f"src_{half}")[rows], getattr(table, f"dst_{half}")[rows]
        parts += [np.where(keys.swapped, target, source), np.where(keys.swapped, source, target)]
    return np.lexsort((np.arange(len(rows)), *parts, keys.rest, keys.high, keys.low))
