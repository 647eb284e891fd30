"""Reads pcapng files in blocks: several sections and interfaces, both byte orders, any timestamp resolution, up to where a file ends.

Format: draft-ietf-opsawg-pcapng. Section header, interface description, enhanced, simple and (obsolete) packet blocks are read; all others
are passed over. The walk from block to block is the one loop over packets; their fields are then read for all of them at once.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from collectors.traffic.block import I64, MAX_CAPTURE, PAD, ROOM, Block
from collectors.traffic.decode.span import records
from collectors.traffic.pcap import BLOCK_BYTES, BLOCK_PACKETS
from contracts.errors import Malformed

MAGIC = b"\x0a\x0d\x0d\x0a"
MAX_BLOCK = 16 * 1024 * 1024
"""The longest block that is passed over (names, keys, comments); a longer one counts as damage."""
MAX_INTERFACES = 4096

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_LEAST = {_SECTION: 28, _INTERFACE: 20, _PACKET: 32, _SIMPLE: 16, _ENHANCED: 32}
_BYTE_ORDER = 0x1A2B3C4D
_RESOLUTION, _OFFSET = 9, 14
_MICROSECONDS = 6


class _Interface:
    """One capturing interface: link type, snap length, and how its timestamps count."""

    def __init__(self, link: int, snap: int, resolution: int, offset_s: int) -> None:
        self.link = link
        self.snap = snap
        self.units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10 ** (resolution & 0x7F)
        self.offset_s = offset_s

    def time_ns(self, ticks: I64) -> I64:
        """Return nanoseconds since the epoch; ticks that no such number holds give the nearest one that does."""
        if 1_000_000_000 % self.units == 0:
            factor = 1_000_000_000 // self.units
            nanoseconds = np.minimum(ticks, ((1 << 62) // factor)) * factor
        elif self.units % 1_000_000_000 == 0:
            nanoseconds = ticks // min(self.units // 1_000_000_000, 1 << 62)
        else:
            # No tick reaches 2^63: a larger unit leaves nothing whole, and is more than such a number holds.
            whole, part = (ticks // self.units, ticks % self.units) if self.units < 1 << 63 else (ticks * 0, ticks)
            nanoseconds = np.minimum(whole, 1 << 32) * 1_000_000_000 + (
                part.astype(np.float64) * 1e9 / self.units
            ).astype(np.int64)
        return np.asarray(nanoseconds + max(-(1 << 32), min(self.offset_s, 1 << 32)) * 1_000_000_000)


class PcapngSource:
    """A pcapng file as a source of blocks. `problem` says where the file ends early or is damaged."""

    def __init__(self, file: BinaryIO, block_bytes: int = BLOCK_BYTES, block_packets: int = BLOCK_PACKETS) -> None:
        """Read the beginning of the file; raises `Malformed` when this is no pcapng file."""
        self.problem = ""
        self._file = file
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._first_interface = 0
        self._block_packets = block_packets
        self._capacity = max(block_bytes, 4 * MAX_CAPTURE)
        self._data = np.empty(self._capacity + ROOM + PAD, np.uint8)
        self._buffer = self._data.data
        self._begin = self._position = 0
        self._skip = 0
        self._filled, self._ended = self._fill(0)
        if self._filled < 12 or self._buffer[:4] != MAGIC:
            raise Malformed("not a pcapng file: it does not begin with a section header")

    def blocks(self) -> Iterator[Block]:
        """Give the packets in order; each block overwrites the one before."""
        first = 1
        while True:
            starts, kinds = self._walk()
            if starts:
                block = self._block(starts, kinds, first)
                first += len(block)
                if len(block):
                    yield block
                if self.problem:
                    return
                continue
            if self.problem or self._ended:
                break
            left = self._filled - self._begin
            self._data[:left] = self._data[self._begin : self._filled]
            self._position += self._begin
            self._begin = 0
            self._filled, self._ended = self._fill(left)
        if self._filled > self._begin and not self.problem:
            left = self._filled - self._begin
            self.problem = f"the file ends inside a block, {left} bytes after position {self._position + self._begin}"

    def _fill(self, filled: int) -> tuple[int, bool]:
        while filled < self._capacity:
            got = self._file.readinto(self._buffer[filled : self._capacity])  # type: ignore[attr-defined]
            if not got:
                return filled, True
            filled += got
        return filled, False

    def _walk(self) -> tuple[list[int], list[int]]:
        """Return where packets' blocks start and of which type they are, up to the end of what is there, or of their section."""
        starts: list[int] = []
        kinds: list[int] = []
        while len(starts) < self._block_packets and self._begin + 12 <= self._filled:
            at = self._begin
            kind, length = struct.unpack_from(f"{self._order}II", self._buffer, at)
            if kind == _SECTION:
                if starts:
                    break
                if not self._section(at):
                    break
                length = struct.unpack_from(f"{self._order}I", self._buffer, at + 4)[0]
            if not self._plausible(kind, length, at):
                break
            if at + length > self._filled:
                if kind not in _LEAST and length > self._capacity // 2:
                    self._pass_over(length)
                    continue
                break
            if kind in (_ENHANCED, _SIMPLE, _PACKET):
                starts.append(at)
                kinds.append(kind)
            elif kind == _INTERFACE:
                self._interface(at, length)
            self._begin = at + length
        return starts, kinds

    def _plausible(self, kind: int, length: int, at: int) -> bool:
        most = self._capacity // 2 if kind in _LEAST else MAX_BLOCK
        if length % 4 or length < _LEAST.get(kind, 12) or length > most:
            self._damaged(at, f"a block of type {kind:#x} with a length of {length} bytes")
            return False
        return True

    def _damaged(self, at: int, what: str) -> None:
        self.problem = f"damaged at position {self._position + at}: {what}"

    def _pass_over(self, length: int) -> None:
        """Read on until a block that holds no packet and is longer than the buffer is behind."""
        missing = length - (self._filled - self._begin)
        self._position += self._begin + length
        self._begin = self._filled = 0
        while missing > 0:
            got = self._file.read(min(missing, 1 << 20))
            if not got:
                self._ended = True
                self.problem = f"the file ends inside a block, {missing} bytes before position {self._position}"
                return
            missing -= len(got)

    def _section(self, at: int) -> bool:
        """Begin a section: it has its own byte order and its own interfaces."""
        magic = bytes(self._buffer[at + 8 : at + 12])
        for order in "<>":
            if magic == struct.pack(f"{order}I", _BYTE_ORDER):
                self._order = order
                self._interfaces = []
                return True
        self._damaged(at, "a section header without a byte-order magic")
        return False

    def _interface(self, at: int, length: int) -> None:
        link, _, snap = struct.unpack_from(f"{self._order}HHI", self._buffer, at + 8)
        resolution, offset_s, option = _MICROSECONDS, 0, at + 16
        while option + 4 <= at + length - 4:
            code, size = struct.unpack_from(f"{self._order}HH", self._buffer, option)
            if code == 0 or option + 4 + size > at + length - 4:
                break
            if code == _RESOLUTION and size == 1:
                resolution = self._buffer[option + 4]
            elif code == _OFFSET and size == 8:
                (offset_s,) = struct.unpack_from(f"{self._order}q", self._buffer, option + 4)
            option += 4 + (size + 3) // 4 * 4
        if len(self._interfaces) >= MAX_INTERFACES:
            self._damaged(at, f"more than {MAX_INTERFACES} interfaces")
            return
        self._interfaces.append(_Interface(link, snap, resolution, offset_s))

    def _block(self, starts: list[int], kinds: list[int], first: int) -> Block:
        data = self._data
        start, kind = np.array(starts, np.int64), np.array(kinds, np.int64)
        layout = np.dtype(
            [(name, f"{self._order}u4") for name in ("type", "length", "one", "high", "low", "captured", "wire")]
        )
        fields = records(data, start, layout)
        simple, old = kind == _SIMPLE, kind == _PACKET
        interface = fields["one"].astype(np.int64)
        # The obsolete block has 16 bits of interface number, then 16 of a drop counter.
        interface = np.where(old, interface >> 16 if self._order == ">" else interface & 0xFFFF, interface)
        interface[simple] = 0
        wire = np.where(simple, fields["one"], fields["wire"]).astype(np.int64)
        room = fields["length"].astype(np.int64) - np.where(simple, 16, 32)
        captured = np.where(simple, np.minimum(wire, room), fields["captured"].astype(np.int64))
        ticks = (fields["high"].astype(np.uint64) << np.uint64(32) | fields["low"]) & np.uint64((1 << 63) - 1)
        ticks[simple] = 0
        good = (captured <= room) & (captured <= MAX_CAPTURE) & (interface < len(self._interfaces))
        if not good.all():
            bad = int(np.argmin(good))
            self._damaged(starts[bad], f"a packet of {int(captured[bad])} bytes of interface {int(interface[bad])}")
            start, captured, wire, ticks, interface, simple = (
                part[:bad] for part in (start, captured, wire, ticks, interface, simple)
            )
        link, time_ns = np.zeros(len(start), np.uint16), np.zeros(len(start), np.int64)
        for number in np.unique(interface).tolist():
            which, described = interface == number, self._interfaces[number]
            link[which] = described.link
            time_ns[which] = described.time_ns(ticks[which].astype(np.int64))
            if described.snap and simple.any():
                cut = which & simple
                captured[cut] = np.minimum(captured[cut], described.snap)
        time_ns[simple] = 0
        offset = start + np.where(simple, 12, 28)
        wire = np.maximum(wire, captured)
        return Block(data, self._filled, offset, captured, wire, time_ns, link, first, interface.astype(np.uint16))
