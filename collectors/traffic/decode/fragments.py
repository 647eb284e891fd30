"""Fragments of IPv4 and IPv6 datagrams, put together again: bounded in memory and time, whatever is sent.

Fragments are few in honest traffic, so this works packet by packet. Limits as in Suricata's stock configuration: 65,535 datagrams under
way, 32 MiB, 60 seconds. When a limit is reached the datagram that has waited longest is given up, and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from collectors.traffic.block import Block
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.overlaps import UNIT, Piece, Policy, assemble
from collectors.traffic.decode.table import Table
from contracts.record import Record

_FRAGMENT_HEADER = 8
_IPV6_HEADER = 40
_AUTHENTICATION = 51
_MOST = 65_535
_AT_ONCE = 64
"""How many that waited too long are given up whenever a new one begins."""
_OVERHEAD = 200
"""What a piece costs besides its bytes."""


class FragmentLimits(Record):
    """What may wait to be put together, and how overlaps are resolved."""

    datagrams: int = 65_535
    memory_bytes: int = 32 * 1024 * 1024
    timeout_s: int = 60
    ipv4: Policy = Policy.WINDOWS
    """Suricata's stock `host-os-policy` has `windows: [0.0.0.0/0]`."""
    ipv6: Policy = Policy.BSD
    """Suricata's default for addresses that no policy names."""


@dataclass(slots=True)
class FragmentCounts:
    """What happened to fragments since the start."""

    fragments: int = 0
    reassembled: int = 0
    overlaps: int = 0
    timed_out: int = 0
    evicted: int = 0
    refused: int = 0


class _Datagram:
    __slots__ = ("cost", "covered", "head", "length", "needed", "overlapped", "pieces", "until_ns")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.covered = 0
        self.length = 0
        self.head = b""
        self.needed = 0
        self.overlapped = False
        self.cost = 0
        self.until_ns = 0


Key = tuple[int, int, int, int, int, int, int, int]


class Fragments:
    """The datagrams under way. `put` takes the fragments of a block and gives those it completes."""

    def __init__(self, limits: FragmentLimits) -> None:
        self.counts = FragmentCounts()
        self.memory_bytes = 0
        self._limits = limits
        self._waiting: dict[Key, _Datagram] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, block: Block, table: Table, rows: list[int]) -> Iterator[tuple[int, bytes]]:
        """Take the fragments at `rows`; gives, for each datagram completed, the row that did it and the whole IP packet."""
        index = np.array(rows, np.int64)
        times = block.time_ns[table.packet[index]].tolist()
        fields = zip(*(getattr(table, name)[index].tolist() for name in _FIELDS), strict=True)
        for row, now_ns, values in zip(rows, times, fields, strict=True):
            self.counts.fragments += 1
            packet = self._one(block, table, _Fragment(row, *values), now_ns)
            if packet is not None:
                self.counts.reassembled += 1
                yield row, packet

    def _one(self, block: Block, table: Table, fragment: "_Fragment", now_ns: int) -> bytes | None:
        piece = _piece(block, table, fragment)
        if piece is None:
            self.counts.refused += 1
            return None
        key = fragment.key()
        datagram = self._datagram(key, now_ns)
        self._add(datagram, piece, block, table, fragment)
        if not datagram.length or (datagram.covered & datagram.needed) != datagram.needed:
            self._bound()
            return None
        self._forget(key, datagram)
        policy = self._limits.ipv4 if fragment.family == 4 else self._limits.ipv6
        if datagram.overlapped:
            body = assemble(datagram.pieces, datagram.length, policy)
        else:
            body = b"".join(data for _, data in sorted(datagram.pieces))[: datagram.length]
        return (_header4 if fragment.family == 4 else _header6)(datagram.head, len(body)) + body

    def _datagram(self, key: Key, now_ns: int) -> _Datagram:
        datagram = self._waiting.get(key)
        if datagram is not None and datagram.until_ns < now_ns:
            self._forget(key, datagram)
            self.counts.timed_out += 1
            datagram = None
        if datagram is None:
            self._expire(now_ns)
            datagram = self._waiting[key] = _Datagram()
        else:
            self._waiting[key] = self._waiting.pop(key)
        datagram.until_ns = now_ns + self._limits.timeout_s * 1_000_000_000
        return datagram

    def _add(self, datagram: _Datagram, piece: Piece, block: Block, table: Table, fragment: "_Fragment") -> None:
        start, data = piece
        end = start + len(data)
        if not fragment.flags & columns.MORE_FRAGMENTS and not datagram.length:
            datagram.length = end
            datagram.needed = (1 << (end + UNIT - 1) // UNIT) - 1
        first, last = start // UNIT, (end + UNIT - 1) // UNIT
        mask = ((1 << (last - first)) - 1) << first
        if datagram.covered & mask:
            self.counts.overlaps += 1
            datagram.overlapped = True
            _mark(table, fragment, "frag_overlap")
        datagram.covered |= mask
        datagram.pieces.append(piece)
        if start == 0 and not datagram.head:
            datagram.head = block.data[fragment.l3 : fragment.payload].tobytes()
        cost = len(data) + _OVERHEAD
        datagram.cost += cost
        self.memory_bytes += cost

    def _expire(self, now_ns: int) -> None:
        """Give up what has waited too long, some at a time; who was touched last is last."""
        for key, datagram in list(islice(self._waiting.items(), _AT_ONCE)):
            if datagram.until_ns >= now_ns:
                break
            self._forget(key, datagram)
            self.counts.timed_out += 1

    def _bound(self) -> None:
        while len(self._waiting) > self._limits.datagrams or self.memory_bytes > self._limits.memory_bytes:
            key = next(iter(self._waiting))
            self._forget(key, self._waiting[key])
            self.counts.evicted += 1

    def _forget(self, key: Key, datagram: _Datagram) -> None:
        del self._waiting[key]
        self.memory_bytes -= datagram.cost


class _Fragment(NamedTuple):
    """One row's fields, as Python numbers."""

    row: int
    family: int
    protocol: int
    flags: int
    frag_offset: int
    ip_id: int
    src_hi: int
    src_lo: int
    dst_hi: int
    dst_lo: int
    vlan: int
    l3: int
    payload: int
    payload_len: int

    def key(self) -> Key:
        """Return what the fragments of one datagram have in common (RFC 791; RFC 8200 leaves the protocol out)."""
        protocol = self.protocol if self.family == 4 else 0
        return (self.family, self.src_hi, self.src_lo, self.dst_hi, self.dst_lo, self.ip_id, protocol, self.vlan)


_FIELDS = _Fragment._fields[1:]


def _piece(block: Block, table: Table, fragment: _Fragment) -> Piece | None:
    """Return one fragment's place and bytes; None (and an event) for what no system would take."""
    six = fragment.family == 6
    at, length = fragment.payload, fragment.payload_len
    start = fragment.frag_offset * UNIT
    if fragment.flags & columns.TRUNCATED:
        return None
    if fragment.flags & columns.MORE_FRAGMENTS and length % UNIT:
        if six:
            _mark(table, fragment, "frag_invalid_length")
            return None
        length -= length % UNIT
    if length <= 0:
        return None
    if start + length + (0 if six else 20) > _MOST:
        _mark(table, fragment, "frag_pkt_too_large")
        return None
    return start, block.data[at : at + length].tobytes()


def _mark(table: Table, fragment: _Fragment, event: str) -> None:
    table.mark(f"ipv{fragment.family}.{event}", np.array([fragment.row]))


def _header4(head: bytes, length: int) -> bytes:
    """Return an IPv4 header as of an unfragmented packet with `length` bytes behind it (its checksum is the fragment's)."""
    total = min(len(head) + length, _MOST)
    return head[:2] + total.to_bytes(2, "big") + head[4:6] + b"\0\0" + head[8:]


def _header6(head: bytes, length: int) -> bytes:
    """Return IPv6's unfragmentable part without its fragment header, with `length` bytes behind it."""
    last = head[len(head) - _FRAGMENT_HEADER]
    kept = bytearray(head[: len(head) - _FRAGMENT_HEADER])
    place, kind, at = 6, kept[6], _IPV6_HEADER
    while at + 2 <= len(kept):
        size = 8 + (4 if kind == _AUTHENTICATION else 8) * kept[at + 1]
        place, kind, at = at, kept[at], at + size
    kept[place] = last
    kept[4:6] = min(len(kept) - _IPV6_HEADER + length, _MOST).to_bytes(2, "big")
    return bytes(kept)
