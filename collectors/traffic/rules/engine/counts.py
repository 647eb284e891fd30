"""What rules ask of a flow as of one packet, while a block is already counted as a whole: packets, bytes, and sizes of the stream."""

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.flows.batch import Batch
from collectors.traffic.rules.engine.rows import SYN, Rows
from collectors.traffic.rules.engine.view import TCP, Packet

FIN = 0x01
_SPACE = 1 << 32
_HALF = 1 << 31
_APART = 1 << 34
"""More than anything that is counted within a block."""


class Counts:
    """Counts of the flows that are open, packet by packet; only what some rule asks for (`counting`, `sizing`) is kept."""

    def __init__(self, counting: bool, sizing: bool) -> None:
        self._counting = counting
        self._sizing = sizing
        self._counts: I64 = np.zeros((1024 if counting else 0, 4), np.int64)
        self._first: I64 = np.full((1024 if sizing else 0, 2), -1, np.int64)
        self._size: I64 = np.zeros((1024 if sizing else 0, 2), np.int64)
        self._counts_at: I64 = self._counts
        self._sizes_at: I64 = self._size

    def like(self, other: "Counts") -> bool:
        """Return whether another one keeps the same counts."""
        return (self._counting, self._sizing) == (other._counting, other._sizing)

    def see(self, rows: Rows, batch: Batch) -> None:
        """Count the packets of a block."""
        most = int(rows.slots.max()) + 1 if len(rows) else 0
        if self._counting:
            self._counts = _room(self._counts, most, 0)
            self._count(rows)
        if self._sizing:
            self._first, self._size = _room(self._first, most, -1), _room(self._size, most, 0)
            self._grow(rows, batch)

    def tell(self, packet: Packet) -> None:
        """Let a packet of the block know what its flow is as of now."""
        if packet.slot < 0:
            return
        if self._counting:
            have = self._counts_at[packet.row].tolist()
            packet.counts = {"pkts": (have[0], have[1]), "bytes": (have[2], have[3])}
        if self._sizing and packet.protocol == TCP:
            packet.sizes = _known(self._sizes_at[packet.row])

    def sizes(self, slot: int) -> tuple[int, int] | None:
        """Return how much client and server of a flow have sent by the end of the block, None when nothing of it is known."""
        return _known(self._size[slot]) if slot < len(self._size) else None

    def _count(self, rows: Rows) -> None:
        """Work out packets and bytes of each row's flow, in both directions, up to and with the row."""
        order = rows.row_at[rows.slots[rows.row_at] >= 0]
        order = order[np.argsort(rows.slots[order], kind="stable")]
        slots, sides = rows.slots[order], rows.sides[order]
        table, block = rows.table, rows.block
        packet = table.packet[order]
        wire = np.where(table.depth[order] == 0, block.wire[packet], table.ip_len[order])
        found = np.stack([~sides, sides, np.where(sides, 0, wire), np.where(sides, wire, 0)], axis=1)
        total = np.cumsum(found.astype(np.int64), axis=0)
        starts, group = _groups(slots)
        total -= (total - found)[starts][group]
        total += self._counts[slots]
        self._counts_at = np.zeros((len(rows), 4), np.int64)
        self._counts_at[order] = total
        if len(order):
            ends = np.append(starts[1:], len(order)) - 1
            self._counts[slots[ends]] = total[ends]

    def _grow(self, rows: Rows, batch: Batch) -> None:
        """Move the end of what each side has sent: from its initial sequence number (midstream: the one before its first byte)."""
        table, taken = rows.table, batch.rows
        slots = rows.slots[taken]
        side = batch.to_client.astype(np.int64)
        moves = (table.protocol[taken] == TCP) & rows.accepted[taken]
        seq = table.seq[taken].astype(np.int64)
        flags = table.tcp_flags[taken]
        opens = flags & np.uint8(SYN) != 0
        self._begin(slots, side, moves, seq - ~opens)
        end = seq + table.payload_len[taken] + opens + (flags & np.uint8(FIN) != 0)
        reach = (end - self._first[slots, side] - self._size[slots, side]) % _SPACE
        more = np.where(moves & (reach < _HALF), reach, 0)
        starts, group = _groups(slots)
        found = np.empty((len(taken), 2), np.int64)
        for way in (0, 1):
            here = np.where(side == way, more, 0) + group * _APART
            found[:, way] = np.maximum.accumulate(here) - group * _APART + self._size[slots, way]
        self._sizes_at = np.zeros((len(rows), 2), np.int64)
        self._sizes_at[taken] = found
        if len(taken):
            ends = np.append(starts[1:], len(taken)) - 1
            self._size[slots[ends]] = found[ends]

    def _begin(self, slots: I64, side: I64, moves: Bools, first: I64) -> None:
        """Note where the sides begin that have not been seen before."""
        new = np.flatnonzero(moves & (self._first[slots, side] < 0))
        # Backwards, so that the first packet of a side is the one that stays.
        new = new[::-1]
        self._first[slots[new], side[new]] = first[new] % _SPACE

    def end(self, slots: I64) -> None:
        """Drop what belongs to flows that ended."""
        if self._counting:
            self._counts[slots[slots < len(self._counts)]] = 0
        if self._sizing:
            slots = slots[slots < len(self._size)]
            self._first[slots] = -1
            self._size[slots] = 0


def _known(sizes: I64) -> tuple[int, int] | None:
    """Return the sizes of both sides; a session that has taken any packet has sent something, if only a number for its SYN."""
    client, server = sizes.tolist()
    return (client, server) if client or server else None


def _groups(slots: I64) -> tuple[I64, I64]:
    """Return where each run of equal slots begins, and the number of its run for each place."""
    first = np.ones(len(slots), np.bool_)
    first[1:] = slots[1:] != slots[:-1]
    return np.flatnonzero(first), np.cumsum(first) - 1


def _room(array: I64, count: int, fill: int) -> I64:
    """Return an array with room for so many slots."""
    if count <= len(array):
        return array
    return np.concatenate([array, np.full((count, array.shape[1]), fill, np.int64)])
