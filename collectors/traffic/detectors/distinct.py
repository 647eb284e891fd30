"""How many different things a key has had to do with in a window, and how many of these led to nothing."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, U64, Bools
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.tally import Tally, together


class Distinct:
    """`keys` counts by key: `n` different elements, `left` of them that led to nothing. A pair of key and element counts once a window."""

    def __init__(
        self, window_s: float, mixer: Mixer, columns: Mapping[str, npt.DTypeLike] | None = None, limit: int = 65_536
    ) -> None:
        self.keys = Tally(window_s, {"left": np.int64, **(columns or {})}, limit)
        self.pairs = Tally(window_s, {"left": np.bool_}, 2 * limit)
        self._mixer = mixer

    def count(self, keys: U64, elements: U64, now_ns: int, left: Bools) -> tuple[I64, Bools, Bools]:
        """Count items; returns for each its key's slot (-1: no room), whether its key's window begins, and whether the pair is new.

        Items that led to something count only with keys that something else has led to nothing for: most clients need no entry.
        """
        slots, begun = self._enter(keys, now_ns, left)
        fresh = np.zeros(len(keys), np.bool_)
        there = np.flatnonzero(slots >= 0)
        if not len(there):
            return slots, begun, fresh
        mixed = self._mixer(keys[there], elements[there], self.keys.start[slots[there]].astype(np.uint64))
        first, number = together(mixed)
        leads = np.ones(len(first), np.bool_)
        np.logical_and.at(leads, number, left[there])
        pairs, new = self.pairs.enter(mixed[first], now_ns, now_ns)
        room = pairs >= 0
        known = room & ~new
        before = np.zeros(len(first), np.bool_)
        before[known] = self.pairs.values["left"][pairs[known]]
        after = np.where(new, leads, before & leads)
        self.pairs.values["left"][pairs[room]] = after[room]
        owner = slots[there][first]
        np.add.at(self.keys.values["n"], owner[new], 1)
        np.add.at(self.keys.values["left"], owner[room], (after.astype(np.int64) - before)[room])
        fresh[there[first[new]]] = True
        return slots, begun, fresh

    def _enter(self, keys: U64, now_ns: int, left: Bools) -> tuple[I64, Bools]:
        first, number = together(keys)
        wanted = np.zeros(len(first), np.bool_)
        np.logical_or.at(wanted, number, left)
        found = self.keys.find(keys[first])
        index = np.flatnonzero(wanted | (found >= 0))
        slots = np.full(len(first), -1, np.int64)
        begun = np.zeros(len(first), np.bool_)
        if len(index):
            slots[index], begun[index] = self.keys.enter(keys[first[index]], now_ns, now_ns)
        return slots[number], begun[number]
