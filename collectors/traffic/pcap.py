"""Reads pcap files in blocks: seconds with micro- or nanoseconds, both byte orders, up to where a truncated file ends.

Format: the "Link Type" registry's companion draft-ietf-opsawg-pcap (PCAP Capture File Format). Where the records begin is only known by
going from one to the next; that walk is the one loop over packets here, and it does nothing else.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np

from collectors.traffic.block import MAX_CAPTURE, PAD, ROOM, Block
from contracts.errors import Malformed

BLOCK_BYTES: Final = 16 * 1024 * 1024
BLOCK_PACKETS: Final = 16_384
"""A block is full at whichever comes first; measured by `benchmarks/traffic_protocols.py`."""

_RECORD: Final = 16
_HEADER: Final = 24
_WINDOW: Final = 1 << 16
"""So many bytes are copied at once for the walk: the bytes of a `bytes` are numbers at once in compiled code."""
_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Magic -> byte order and nanoseconds in a unit of a record's fraction of a second."""

MAGICS: Final = tuple(_MAGIC)


class PcapSource:
    """A pcap file as a source of blocks. `problem` says where the file ends early or is damaged."""

    def __init__(self, file: BinaryIO, block_bytes: int = BLOCK_BYTES, block_packets: int = BLOCK_PACKETS) -> None:
        """Read the file's header; raises `Malformed` when this is no pcap file."""
        header = file.read(_HEADER)
        if header[:4] not in _MAGIC:
            raise Malformed("not a pcap file: it does not begin with a magic number of this format")
        if len(header) < _HEADER:
            raise Malformed(f"the pcap file ends inside its header, after {len(header)} of {_HEADER} bytes")
        self._order, self._fraction_ns = _MAGIC[header[:4]]
        self.link = int(struct.unpack(f"{self._order}I", header[20:24])[0]) & 0xFFFF
        self.problem = ""
        self._file = file
        self._position = _HEADER
        self._block_packets = block_packets
        self._capacity = max(block_bytes, MAX_CAPTURE + _RECORD)
        self._data = np.empty(self._capacity + ROOM + PAD, np.uint8)
        self._buffer = self._data.data

    def blocks(self) -> Iterator[Block]:
        """Give the packets in order; each block overwrites the one before."""
        filled = begin = 0
        first, ended = 1, False
        while True:
            starts, after = self._walk([], begin, filled)
            if not ended and not self.problem and len(starts) < self._block_packets and (begin or not filled):
                # No whole block is left: more is read behind it, since a small one costs nearly as much as a large one.
                self._data[: filled - begin] = self._data[begin:filled]
                self._position += begin
                starts, after = [at - begin for at in starts], after - begin
                filled, ended = self._fill(filled - begin)
                starts, after = self._walk(starts, after, filled)
                begin = 0
            if not starts:
                break
            block = self._block(starts, filled, first)
            if len(block):
                yield block
            first += len(block)
            begin = after
            if self.problem:
                return
        if filled > begin and not self.problem:
            self.problem = (
                f"the file ends inside a packet, {filled - begin} bytes after position {self._position + begin}"
            )

    def _fill(self, filled: int) -> tuple[int, bool]:
        while filled < self._capacity:
            got = self._file.readinto(self._buffer[filled : self._capacity])  # type: ignore[attr-defined]
            if not got:
                return filled, True
            filled += got
        return filled, False

    def _walk(self, starts: list[int], at: int, filled: int) -> tuple[list[int], int]:
        """Add where whole records start in the buffer from `at` on, up to a block's packets; returns them, and where the next one would."""
        buffer, last, most = self._buffer, filled - _RECORD, self._block_packets
        before = at
        # Where the four bytes of the captured length are, from the lowest on.
        one, two, three, four = (8, 9, 10, 11) if self._order == "<" else (11, 10, 9, 8)
        while at <= last and len(starts) < most:
            window = bytes(buffer[at : min(at + _WINDOW, filled)])
            place, end, room = 0, len(window) - _RECORD, most - len(starts)
            while place <= end and room:
                room -= 1
                starts.append(at + place)
                length = window[place + one] | window[place + two] << 8 | window[place + three] << 16
                place += length + (window[place + four] << 24) + _RECORD
            at += place
        if at > filled and at > before:
            at = starts.pop()
            (length,) = struct.unpack_from(f"{self._order}8xI", buffer, at)
            if length > MAX_CAPTURE:
                self._damaged(at, length)
        return starts, at

    def _damaged(self, at: int, length: int) -> None:
        self.problem = f"damaged at position {self._position + at}: a packet of {length} bytes"

    def _block(self, starts: list[int], filled: int, first: int) -> Block:
        data = self._data
        offset = np.array(starts, np.int64)
        windows = np.ndarray((len(data) - _RECORD + 1,), f"V{_RECORD}", data.data, strides=(1,))
        fields = windows[offset].view(f"{self._order}u4").reshape(-1, 4).astype(np.int64)
        captured = np.ascontiguousarray(fields[:, 2])
        if int(captured.max()) > MAX_CAPTURE:
            # The walk believes lengths; what comes behind a wild one is not believed.
            good = int(np.argmax(captured > MAX_CAPTURE))
            self._damaged(starts[good], int(captured[good]))
            offset, fields, captured = offset[:good], fields[:good], captured[:good]
        wire = np.maximum(fields[:, 3], captured)
        time_ns = fields[:, 0] * 1_000_000_000 + fields[:, 1] * self._fraction_ns
        link = np.full(len(offset), self.link, np.uint16)
        return Block(data, filled, offset + _RECORD, captured, wire, time_ns, link, first)
