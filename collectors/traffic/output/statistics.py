"""Who talks most, counted from the flow table's columns between two looks; flows that ended in between count, too."""

from collections.abc import Iterable

import numpy as np

from collectors.traffic.block import I64, U64
from collectors.traffic.flows.batch import Ended
from collectors.traffic.flows.store import Columns
from collectors.traffic.output.eve import address
from contracts.subjects.traffic import Peer

MAX_PEERS = 20
MAX_PARTS = 4096
"""Pieces of counting that wait for the next look; beyond it they are added up at once."""


class Talkers:
    """Bytes and packets by address since the last `report`."""

    def __init__(self) -> None:
        self._serial: I64 = np.zeros(0, np.int64)
        self._counted: I64 = np.zeros((0, 4), np.int64)
        self._parts: list[tuple[I64, I64]] = []

    def ended(self, ended: Iterable[Ended]) -> None:
        """Take the flows that ended."""
        for one in ended:
            if len(one):
                self._take(one.columns, np.arange(len(one)), one.slots)
        if len(self._parts) > MAX_PARTS:
            self._parts = [_added(self._parts)]

    def report(self, columns: Columns) -> dict[str, Peer]:
        """Return the addresses with the most bytes since the last time, most first."""
        live = np.flatnonzero(columns.live)
        self._take(columns, live, live)
        if not self._parts:
            return {}
        names, sums = _added(self._parts)
        self._parts = []
        most = np.argsort(sums[:, 0] + sums[:, 1])[::-1][:MAX_PEERS]
        return {
            address(int(names[at, 0]), int(names[at, 1]) % (1 << 64) << 64 | int(names[at, 2]) % (1 << 64)): Peer(
                bytes_sent=int(sums[at, 0]),
                bytes_received=int(sums[at, 1]),
                packets=int(sums[at, 2]),
                flows=int(sums[at, 3]),
            )
            for at in most.tolist()
            if sums[at, 0] + sums[at, 1]
        }

    def _take(self, columns: Columns, places: I64, slots: I64) -> None:
        """Count what flows have sent since they were counted last, for both ends."""
        if not len(places):
            return
        self._grow(int(slots.max()) + 1)
        now = np.stack(
            [
                columns.bytes_to_server[places],
                columns.bytes_to_client[places],
                columns.packets_to_server[places],
                columns.packets_to_client[places],
            ],
            axis=1,
        )
        known = self._serial[slots] == columns.serial[places]
        fresh = now - np.where(known[:, None], self._counted[slots], 0)
        self._serial[slots] = columns.serial[places]
        self._counted[slots] = now
        packets = fresh[:, 2] + fresh[:, 3]
        moved = np.flatnonzero(packets > 0)
        if not len(moved):
            return
        places, fresh, packets, known = places[moved], fresh[moved], packets[moved], known[moved]
        begun = (~known).astype(np.int64)
        family = columns.family[places].astype(np.int64)
        for high, low, sent, received in (
            (columns.src_hi, columns.src_lo, fresh[:, 0], fresh[:, 1]),
            (columns.dst_hi, columns.dst_lo, fresh[:, 1], fresh[:, 0]),
        ):
            names = np.stack([family, _signed(high[places]), _signed(low[places])], axis=1)
            self._parts.append((names, np.stack([sent, received, packets, begun], axis=1)))

    def _grow(self, slots: int) -> None:
        have = len(self._serial)
        if slots > have:
            size = max(slots, 2 * have, 4096)
            self._serial = np.concatenate([self._serial, np.zeros(size - have, np.int64)])
            self._counted = np.concatenate([self._counted, np.zeros((size - have, 4), np.int64)])


def _signed(words: U64) -> I64:
    return words.astype(np.int64)


def _added(parts: list[tuple[I64, I64]]) -> tuple[I64, I64]:
    """Return the sums by name."""
    names = np.concatenate([name for name, _ in parts])
    values = np.concatenate([value for _, value in parts])
    unique, inverse = np.unique(names, axis=0, return_inverse=True)
    sums = np.zeros((len(unique), 4), np.int64)
    np.add.at(sums, inverse.ravel(), values)
    return unique, sums
