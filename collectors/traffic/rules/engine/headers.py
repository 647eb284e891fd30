"""Headers of rules held against many packets at once: ports by bits, addresses by the interval they lie in."""

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from collectors.traffic.block import I64, U8, U16, U64, Bools
from collectors.traffic.decode.table import TRANSPORT, Table
from collectors.traffic.rules.engine.sets import AddressSet, HeaderSets, every_edge

_PORTED = (6, 17, 132)
_ONE = np.uint8(1)


class HeaderMasks:
    """The headers of a ruleset. Address sets that are not among `asked` count as holding everything (somebody else has looked)."""

    def __init__(self, sets: HeaderSets, asked: Iterable[int]) -> None:
        wanted = sorted({number for number in asked if not sets.addresses[number].any})
        self._open_ports: Bools = np.array([one.any for one in sets.ports], np.bool_)
        self._ports: U8 = np.frombuffer(b"".join(one.bits for one in sets.ports), np.uint8).reshape(-1, 8192)
        self._place: I64 = np.full(len(sets.addresses), -1, np.int64)
        self._place[wanted] = np.arange(len(wanted))
        chosen = [sets.addresses[number] for number in wanted]
        self._edges4: U64 = every_edge(chosen)
        self._edges6 = sorted({edge for one in chosen for edge in one.edges(6)})
        self._in4 = _members4(chosen, self._edges4)
        self._in6 = _members6(chosen, self._edges6)
        self._headers: I64 = np.array(sets.headers, np.int64).reshape(-1, 4)

    def ends(self, table: Table, rows: I64) -> "Ends":
        """Return what the headers are asked about: the two ends of the rows."""
        protocol, flags = table.protocol[rows], table.flags[rows]
        ported = np.isin(protocol, _PORTED) & ((flags & np.uint16(TRANSPORT)) != 0)
        six = table.family[rows] == 6
        source = self._intervals(six, table.src_hi[rows], table.src_lo[rows])
        target = self._intervals(six, table.dst_hi[rows], table.dst_lo[rows])
        return Ends(ported, six, source, table.sport[rows], target, table.dport[rows])

    def _intervals(self, six: Bools, high: U64, low: U64) -> I64:
        """Return between which edges each address lies."""
        found = np.searchsorted(self._edges4, low, side="right")
        for row in np.flatnonzero(six).tolist():
            found[row] = bisect_right(self._edges6, int(high[row]) << 64 | int(low[row]))
        return found

    def hold(self, headers: I64, ends: "Ends", at: I64) -> Bools:
        """Return, pair by pair, whether a header fits the ends at a place of `ends`."""
        parts = self._headers[headers]
        found = self._port(parts[:, 1], ends.sport[at], ends.ported[at])
        found &= self._port(parts[:, 3], ends.dport[at], ends.ported[at])
        left = np.flatnonzero(found)
        parts, at = parts[left], at[left]
        six = ends.six[at]
        found[left] = self._address(parts[:, 0], ends.source[at], six) & self._address(
            parts[:, 2], ends.target[at], six
        )
        return found

    def _port(self, sets: I64, ports: U16, ported: Bools) -> Bools:
        bits = self._ports[sets, ports >> 3] >> (ports & 7).astype(np.uint8) & _ONE
        return np.asarray(self._open_ports[sets] | ((bits != 0) & ported))

    def _address(self, sets: I64, interval: I64, six: Bools) -> Bools:
        place = self._place[sets]
        found: Bools = place < 0
        for bits, of in ((self._in4, ~six), (self._in6, six)):
            asked = np.flatnonzero(~found & of)
            if len(asked):
                where = interval[asked]
                held = bits[place[asked], where >> 3] >> (where & 7).astype(np.uint8) & _ONE
                found[asked] = held != 0
        return found


class Ends:
    """The two ends of rows: ports, whether there are any, and the intervals of the addresses."""

    __slots__ = ("dport", "ported", "six", "source", "sport", "target")

    def __init__(self, ported: Bools, six: Bools, source: I64, sport: U16, target: I64, dport: U16) -> None:
        self.ported = ported
        self.six = six
        self.source = source
        self.sport = sport
        self.target = target
        self.dport = dport


def _members4(sets: list[AddressSet], edges: U64) -> U8:
    """Return, set by set, a bit for each interval between the edges (the first one lies before all of them)."""
    bits = np.zeros((len(sets), len(edges) // 8 + 1), np.uint8)
    for number, one in enumerate(sets):
        turns = np.zeros(len(edges) + 2, np.int8)
        turns[np.searchsorted(edges, one.edges4[::2], side="right")] = 1
        turns[np.searchsorted(edges, one.edges4[1::2] - np.uint64(1), side="right") + 1] = -1
        packed = np.packbits(np.cumsum(turns[:-1], dtype=np.int8) != 0, bitorder="little")
        bits[number, : len(packed)] = packed
    return bits


def _members6(sets: list[AddressSet], edges: list[int]) -> U8:
    """Return the same for IPv6."""
    bits = np.zeros((len(sets), len(edges) // 8 + 1), np.uint8)
    for number, one in enumerate(sets):
        inside = np.zeros(len(edges) + 1, np.bool_)
        ends = one.edges(6)
        for low, high in zip(ends[::2], ends[1::2], strict=True):
            inside[bisect_right(edges, low) : bisect_right(edges, high - 1) + 1] = True
        packed = np.packbits(inside, bitorder="little")
        bits[number, : len(packed)] = packed
    return bits
