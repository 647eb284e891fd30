"""Counts by key over windows of time, for many keys at once, in bounded memory: a table of small buckets, in numpy.

A key's window begins with its first item; what comes after its end begins the next one. When there is no room, whoever has the smallest
count in its bucket goes (what is over first), and is counted: a flood of keys that are seen once cannot push out one that was seen often.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, U64, Bools

WAYS = 8
_TAKEN = np.int64(1 << 62)
_FIRST = 512


class Tally:
    """`values[name]` are columns by slot, all zero when a key's window begins; `n` (always there) says how much a key is worth keeping."""

    def __init__(
        self, window_s: float, columns: Mapping[str, npt.DTypeLike] | None = None, limit: int = 65_536
    ) -> None:
        self.window_ns = int(window_s * 1e9)
        self._kinds: dict[str, npt.DTypeLike] = {"n": np.int64, **(columns or {})}
        self._limit = limit
        self.evicted = 0
        """Keys that went before their window was over, because there was no room."""
        self.left_out = 0
        """Items that found no room at all."""
        self._turn = 0
        self._swept_ns = -(1 << 62)
        self._make(_FIRST)

    def _make(self, entries: int) -> None:
        self._keys: U64 = np.zeros(entries, np.uint64)
        self.start: I64 = np.zeros(entries, np.int64)
        self.last: I64 = np.zeros(entries, np.int64)
        self._turns: I64 = np.zeros(entries, np.int64)
        self.values: dict[str, npt.NDArray[np.generic]] = {
            name: np.zeros(entries, kind) for name, kind in self._kinds.items()
        }
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        return self.values[name]

    def enter(self, keys: U64, begin_ns: int, now_ns: int) -> tuple[I64, Bools]:
        """Return the slot of each key (no key twice; -1: no room), and whether its window begins now (its columns are zero).

        `begin_ns` is the time of the first of the items that are to be counted, `now_ns` of the last.
        """
        slots = self._find(keys)
        missing = np.flatnonzero(slots < 0)
        if len(missing) and self._make_room(len(missing), begin_ns):
            slots = self._find(keys)
            missing = np.flatnonzero(slots < 0)
        self._turn += 1
        fresh = slots < 0
        known = np.flatnonzero(~fresh)
        old = slots[known]
        self._turns[old] = self._turn
        over = begin_ns - self.start[old] > self.window_ns
        if over.any():
            self._begin(old[over], begin_ns)
            fresh[known[over]] = True
        if len(missing):
            slots[missing] = self._place(keys[missing], np.full(len(missing), begin_ns))
        there = slots >= 0
        self.last[slots[there]] = now_ns
        return slots, fresh & there

    def find(self, keys: U64) -> I64:
        """Return the slot of each key, -1 where it has none."""
        return self._find(keys)

    def live(self, now_ns: int) -> I64:
        """Return the slots whose windows are not over."""
        return np.flatnonzero((self._keys != 0) & (now_ns - self.start <= self.window_ns))

    def key(self, slots: I64) -> U64:
        """Return the keys of slots."""
        return self._keys[slots]

    def clear(self) -> None:
        """Forget everything, and give the memory back."""
        self._make(_FIRST)

    def _begin(self, slots: I64, times: I64 | int) -> None:
        self.start[slots] = times
        for column in self.values.values():
            column[slots] = 0

    def _places(self, keys: U64) -> I64:
        buckets = (keys >> np.uint64(7)) & np.uint64(len(self._keys) // WAYS - 1)
        return np.asarray((buckets.astype(np.int64) * WAYS)[:, None] + np.arange(WAYS))

    def _find(self, keys: U64) -> I64:
        at = self._places(keys)
        same = self._keys[at] == keys[:, None]
        way = same.argmax(1)
        index = np.arange(len(keys))
        return np.where(same[index, way], at[index, way], -1)

    def _place(self, keys: U64, times: I64) -> I64:
        """Give keys that are not there a slot each: an empty one of their bucket, one whose window is over, or that of the least worth."""
        at = self._places(keys)
        order = np.argsort(at[:, 0], kind="stable")
        bucket = at[order, 0]
        first = np.append(True, bucket[1:] != bucket[:-1])
        number = np.arange(len(keys))
        rank = np.empty(len(keys), np.int64)
        rank[order] = number - np.maximum.accumulate(np.where(first, number, 0))
        worth = np.where(times[:, None] - self.start[at] > self.window_ns, 0, 1 + self.values["n"][at].astype(np.int64))
        worth[self._keys[at] == 0] = -1
        worth[self._turns[at] == self._turn] = _TAKEN
        # The keys of one bucket take its ways in the order of their worth.
        way = np.argsort(worth, axis=1, kind="stable")[number, np.minimum(rank, WAYS - 1)]
        best = worth[number, way]
        room = (best < _TAKEN) & (rank < WAYS)
        self.evicted += int(np.count_nonzero(room & (best > 0)))
        self.left_out += int(np.count_nonzero(~room))
        self._used += int(np.count_nonzero(room & (best < 0)))
        slots = np.where(room, at[number, way], -1)
        taken = slots[room]
        self._keys[taken] = keys[room]
        self._turns[taken] = self._turn
        self._begin(taken, times[room])
        return slots

    def _make_room(self, more: int, now_ns: int) -> bool:
        """When a quarter would be used: let go of what is over, and grow, up to the bound; returns whether slots have moved."""
        size = len(self._keys)
        if (self._used + more) * 4 <= size or (size >= self._limit and now_ns - self._swept_ns < self.window_ns):
            return False
        self._swept_ns = now_ns
        kept = self.live(now_ns)
        wanted = _FIRST
        while wanted < self._limit and (len(kept) + more) * 4 > wanted:
            wanted *= 2
        keys, start, last = self._keys[kept], self.start[kept], self.last[kept]
        values = {name: column[kept] for name, column in self.values.items()}
        self._make(wanted)
        self._turn += 1
        slots = self._place(keys, start)
        there = slots >= 0
        slots = slots[there]
        self.start[slots], self.last[slots] = start[there], last[there]
        for name, column in values.items():
            self.values[name][slots] = column[there]
        return True


def together(mixed: U64) -> tuple[I64, I64]:
    """Return the index of each different word's first row, and for every row the number of its word."""
    _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
    return first, inverse
