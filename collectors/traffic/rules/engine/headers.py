"""Headers of rules held against many packets at once: by kinds of packets, which fit the same headers.

A ruleset names some hundred sets of addresses and of ports. The addresses that are in the same of these sets are one class, and so are
ports; four classes (source, its port, destination, its port) are a kind. Traffic has few kinds, so headers are held against each kind once.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, U8, U64, Bools
from collectors.traffic.decode.table import TRANSPORT, Table
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.sets import AddressSet, HeaderSets, every_edge

MOST_ENDS = 1024
"""Different ends (class of an address and of a port) that are remembered; when there are more, all are forgotten and met anew."""
_END_OF_ALL = 1 << 128
_ASKED = -2
_PORTED = np.zeros(256, np.bool_)
_PORTED[[6, 17, 132]] = True
_I32 = npt.NDArray[np.int32]


class HeaderKinds:
    """The headers of a ruleset. Address sets that are not among `asked` count as holding everything (somebody else has looked).

    `holds` says by kind and header whether it fits; `wanted` by kind and group whether any header of the group does (`groups`: numbers of
    headers). `narrow` says by group whether there is a kind that it may not want.
    """

    def __init__(self, sets: HeaderSets, asked: Iterable[int], groups: Sequence[Iterable[int]] = ()) -> None:
        wanted = sorted({number for number in asked if not sets.addresses[number].any})
        chosen = [sets.addresses[number] for number in wanted]
        self._addresses = _Addresses(chosen)
        self._ports = _Ports(np.frombuffer(b"".join(one.bits for one in sets.ports), np.uint8).reshape(-1, 8192))
        headers: I64 = np.array(sets.headers, np.int64).reshape(-1, 4)
        # What a class is in, by header: one column of all sets for its addresses (the last one: everything), one for its ports.
        place = np.full(len(sets.addresses), len(wanted))
        place[wanted] = np.arange(len(wanted))
        inside = np.append(self._addresses.inside, np.ones((self._addresses.count, 1), np.bool_), axis=1)
        open_ports = np.array([one.any for one in sets.ports], np.bool_)
        ported = np.append(self._ports.inside, open_ports[None, :], axis=0)
        self._sources, self._targets = inside[:, place[headers[:, 0]]], inside[:, place[headers[:, 2]]]
        self._sports, self._dports = ported[:, headers[:, 1]], ported[:, headers[:, 3]]
        self._groups = [np.unique(np.array(list(one), np.int64)) for one in groups]
        anywhere = (place[headers[:, ::2]] == len(wanted)).all(axis=1) & open_ports[headers[:, 1::2]].all(axis=1)
        self.narrow = [not anywhere[group].any() for group in self._groups]
        self._no_port = len(ported) - 1
        self._end: _I32 = np.zeros(0, np.int32)
        self._kind: _I32 = np.zeros((0, 0), np.int32)
        self._ends: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self._end = np.full(self._addresses.count * (self._no_port + 1), -1, np.int32)
        self._kind = np.full((64, 64), -1, np.int32)
        self._ends = []
        self._count = 0
        self.holds: Bools = np.zeros((256, self._sports.shape[1]), np.bool_)
        self.wanted: Bools = np.zeros((256, len(self._groups)), np.bool_)

    def begin(self) -> bool:
        """Begin a block: ends that have become too many are forgotten. Returns whether they were: kinds have new numbers then."""
        many = len(self._ends) > MOST_ENDS
        if many:
            self._forget()
        return many

    def of(self, rows: Rows, chosen: I64) -> I64:
        """Return the kind of each of some rows (which may come more than once), good for the block."""
        kinds = rows.kinds
        new = chosen[kinds[chosen] < 0]
        if len(new):
            # Once each.
            kinds[new] = _ASKED
            new = np.flatnonzero(kinds == _ASKED)
            kinds[new] = self._look(rows.table, new)
        return np.asarray(kinds[chosen])

    def wanted_of(self, rows: Rows, chosen: I64, group: int) -> Bools:
        """Return, row by row, whether any header of a group fits it."""
        if not self.narrow[group] or not len(chosen):
            return np.ones(len(chosen), np.bool_)
        which = self.of(rows, chosen)
        return np.asarray(self.wanted[which, group])

    def _look(self, table: Table, rows: I64) -> _I32:
        ported = _PORTED[table.protocol[rows]] & ((table.flags[rows] & np.uint16(TRANSPORT)) != 0)
        six = np.flatnonzero(table.family[rows] == 6)
        where = (
            (table.src_hi, table.src_lo, table.sport),
            (table.dst_hi, table.dst_lo, table.dport),
        )
        source, target = (
            self._addresses.of(high[rows], low[rows], six) * (self._no_port + 1)
            + np.where(ported, self._ports.of[port[rows]], self._no_port)
            for high, low, port in where
        )
        one, other = self._ended(source), self._ended(target)
        kinds = self._kind[one, other]
        if (kinds < 0).any():
            self._meet(one, other)
            kinds = self._kind[one, other]
        return np.asarray(kinds)

    def _ended(self, names: I64) -> _I32:
        """Return numbers of ends that count from 0, for those that were met."""
        found = self._end[names]
        new = np.unique(names[found < 0])
        if len(new):
            self._end[new] = np.arange(len(self._ends), len(self._ends) + len(new))
            self._ends += new.tolist()
            found = self._end[names]
            if len(self._ends) > len(self._kind):
                size = 2 * len(self._ends)
                grown = np.full((size, size), -1, np.int32)
                grown[: len(self._kind), : len(self._kind)] = self._kind
                self._kind = grown
        return np.asarray(found)

    def _meet(self, one: _I32, other: _I32) -> None:
        """Hold all headers against the kinds that have not been met."""
        size = len(self._kind)
        new = np.unique((one.astype(np.int64) * size + other)[self._kind[one, other] < 0])
        ends = np.array(self._ends, np.int64)
        source, sport = np.divmod(ends[new // size], self._no_port + 1)
        target, dport = np.divmod(ends[new % size], self._no_port + 1)
        held = self._sources[source] & self._targets[target] & self._sports[sport] & self._dports[dport]
        begin, end = self._count, self._count + len(new)
        self.holds, self.wanted = _room(self.holds, end), _room(self.wanted, end)
        self.holds[begin:end] = held
        for number, group in enumerate(self._groups):
            self.wanted[begin:end, number] = held[:, group].any(axis=1)
        self._kind[new // size, new % size] = np.arange(begin, end)
        self._count = end


class _Addresses:
    """Classes of addresses: of those that are in the same sets. `inside` says by class and set whether it is in there."""

    def __init__(self, sets: list[AddressSet]) -> None:
        self._edges4: U64 = every_edge(sets)
        self._edges6 = sorted({edge for one in sets for edge in one.edges(6)})
        # Behind the end of all addresses nothing lies.
        self._high6: U64 = np.array([edge >> 64 for edge in self._edges6 if edge < _END_OF_ALL], np.uint64)
        self._class4, inside4 = _alike(_members4(sets, self._edges4))
        self._class6, inside6 = _alike(_members6(sets, self._edges6))
        self._class6 += len(inside4)
        self.inside: Bools = np.concatenate([inside4, inside6])
        self.count = len(self.inside)

    def of(self, high: U64, low: U64, six: I64) -> I64:
        """Return the classes of some addresses; `six`: which of them are IPv6's."""
        found: I64 = self._class4[np.searchsorted(self._edges4, low, side="right")]
        if len(six):
            highs = high[six]
            at = np.searchsorted(self._high6, highs, side="right")
            # Where an edge has the same upper half, the lower one decides.
            for place in np.flatnonzero(at != np.searchsorted(self._high6, highs, side="left")).tolist():
                row = int(six[place])
                at[place] = bisect_right(self._edges6, int(high[row]) << 64 | int(low[row]))
            found[six] = self._class6[at]
        return found


class _Ports:
    """Classes of ports: `of` by port, `inside` by class and set."""

    def __init__(self, bits: U8) -> None:
        begins = np.zeros(65_536, np.bool_)
        begins[0] = True
        for one in bits:
            within = np.unpackbits(one, bitorder="little")
            begins[1:] |= within[1:] != within[:-1]
        first = np.flatnonzero(begins)
        alike, self.inside = _alike(
            (bits[:, first >> 3] >> (first & 7).astype(np.uint8) & np.uint8(1)).astype(np.bool_)
        )
        self.of: I64 = alike[np.cumsum(begins) - 1]


def _alike(members: Bools) -> tuple[I64, Bools]:
    """Return the class of each column (those that are alike are one), and by class and set (a row) whether it is in there."""
    count = members.shape[1]
    if not len(members):
        return np.zeros(count, np.int64), np.zeros((1, 0), np.bool_)
    columns = np.ascontiguousarray(np.packbits(members, axis=0).T)
    whole = columns.view(f"V{columns.shape[1]}").ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return which.astype(np.int64), members.T[first]


def _room(table: Bools, rows: int) -> Bools:
    """Return a table with room for so many rows."""
    if rows <= len(table):
        return table
    return np.concatenate([table, np.zeros((rows, table.shape[1]), np.bool_)])


def _members4(sets: list[AddressSet], edges: U64) -> Bools:
    """Return, set by set, whether each interval between the edges is in it (the first one lies before all of them)."""
    members = np.zeros((len(sets), len(edges) + 1), np.bool_)
    for number, one in enumerate(sets):
        turns = np.zeros(len(edges) + 2, np.int8)
        turns[np.searchsorted(edges, one.edges4[::2], side="right")] = 1
        turns[np.searchsorted(edges, one.edges4[1::2] - np.uint64(1), side="right") + 1] = -1
        members[number] = np.cumsum(turns[:-1], dtype=np.int8) != 0
    return members


def _members6(sets: list[AddressSet], edges: list[int]) -> Bools:
    """Return the same for IPv6."""
    members = np.zeros((len(sets), len(edges) + 1), np.bool_)
    for number, one in enumerate(sets):
        ends = one.edges(6)
        for low, high in zip(ends[::2], ends[1::2], strict=True):
            members[number, bisect_right(edges, low) : bisect_right(edges, high - 1) + 1] = True
    return members
