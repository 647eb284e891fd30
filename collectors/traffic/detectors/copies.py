"""Finds flows that are the same as another one behind address translation: the first packet, seen again at once on another interface.

Translation changes one end's address (and perhaps port) and leaves the other end, the sequence number, the length and the payload alone.
"""

import numpy as np

from collectors.traffic.block import I64, U64, Block, Bools
from collectors.traffic.decode.span import words
from collectors.traffic.decode.table import Table
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.tally import Tally

WITHIN_S = 1.0
_ENDS = {"client": ("src_hi", "src_lo", "sport"), "server": ("dst_hi", "dst_lo", "dport")}
"""Which end stays as it was."""


class Copies:
    """Remembers the first packets of flows for a second, as soon as there is a second interface."""

    def __init__(self, limit: int = 16_384) -> None:
        self._mixer = Mixer()
        self._seen = {end: Tally(WITHIN_S, {"interface": np.int64}, limit) for end in _ENDS}
        self._interface = -1
        self.several = False
        """Whether packets come from more than one interface."""

    def look(self, block: Block, table: Table, rows: I64, interfaces: I64) -> Bools:
        """Return which of `rows`, the first ones of new flows, are copies."""
        found = np.zeros(len(rows), np.bool_)
        if not self.several:
            if self._interface < 0:
                self._interface = int(interfaces[0])
            self.several = bool((interfaces != self._interface).any())
            if not self.several:
                return found
        ported = np.flatnonzero((table.protocol[rows] == 6) | (table.protocol[rows] == 17))
        if not len(ported):
            return found
        rows, interfaces = rows[ported], interfaces[ported]
        times = block.time_ns[table.packet[rows]]
        same = self._same(block, table, rows)
        twin = np.zeros(len(rows), np.bool_)
        for end, seen in self._seen.items():
            names = _ENDS[end]
            keys = self._mixer(same, *(getattr(table, name)[rows].astype(np.uint64) for name in names))
            keys, first = np.unique(keys, return_index=True)
            slots, fresh = seen.enter(keys, int(times.min()), int(times.max()))
            there = slots >= 0
            known = there & ~fresh
            twin[first[known]] |= seen["interface"][slots[known]] != interfaces[first[known]]
            seen["interface"][slots[fresh]] = interfaces[first[fresh]]
        found[ported] = twin
        return found

    def _same(self, block: Block, table: Table, rows: I64) -> U64:
        """Return what translation leaves alone."""
        at, length = table.payload[rows], table.payload_len[rows]
        begin = np.where(length >= 2, words(block.data, np.maximum(at, 0)), 0).astype(np.uint64)
        tcp = table.protocol[rows] == 6
        number = np.where(tcp, table.seq[rows].astype(np.uint64), begin)
        word = table.protocol[rows].astype(np.uint64) << np.uint64(8) | table.tcp_flags[rows].astype(np.uint64)
        identity = np.where(table.family[rows] == 4, table.ip_id[rows], 0).astype(np.uint64)
        return self._mixer(number, length.astype(np.uint64), word, identity)
