"""The block: many captured packets in one piece of memory, with one array per property. Every source of packets gives these.

A block's `data` belongs to its source and is overwritten when the next block is asked for; what is to be kept is copied. Bytes behind a
packet's end belong to other packets or are left over: whoever reads checks lengths first. Reads of up to `PAD` bytes from any position
inside the captured bytes stay inside the array, so that a gather never needs a bounds check of its own.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PAD = 256
"""Bytes behind the last captured one that may be read (never believed)."""

ROOM = 128 * 1024
"""Bytes behind the captured ones that are spare, so that a datagram put together from fragments needs no copy of the block."""

MAX_CAPTURE = 262_144
"""The longest packet that is believed, in bytes: libpcap's MAXIMUM_SNAPLEN for everything but D-Bus and USB."""

LINK_NULL = 0
LINK_ETHERNET = 1
LINK_PPP = 9
LINK_RAW_OLD = 12
LINK_RAW_BSD = 14
LINK_PPP_HDLC = 50
LINK_RAW = 101
LINK_CHDLC = 104
LINK_LOOP = 108
LINK_SLL = 113
LINK_IPV4 = 228
LINK_IPV6 = 229
LINK_SLL2 = 276
"""LINKTYPE_ values of the tcpdump project's list; 12 and 14 are what some systems wrote for raw IP."""

CHECKSUM_NOT_READY = 1
"""The kernel says the sender has left the checksum to the card (TP_STATUS_CSUMNOTREADY): what is there means nothing."""
CHECKSUM_VALID = 2
"""The card has verified the transport checksum (TP_STATUS_CSUM_VALID)."""
VLAN_STRIPPED = 4
"""The kernel took the outermost VLAN tag off; `vlan` holds it (TP_STATUS_VLAN_VALID)."""
OUTGOING = 8
"""This host sent the packet (PACKET_OUTGOING)."""


class Block:
    """A run of packets: `data` and one array per property, all of length `len(block)`.

    `offset` (where a packet starts in `data`), `captured` and `wire` (lengths in bytes), `time_ns` (since the epoch), `link` (LINKTYPE_),
    `flags` (the bits above), `vlan` (stripped tag control information), `interface` (the source's number of it). `used` is the end of the
    captured bytes in `data`; `first` is the number of the first packet, counted from 1 over the whole source.
    """

    __slots__ = ("captured", "data", "first", "flags", "interface", "link", "offset", "time_ns", "used", "vlan", "wire")

    def __init__(
        self,
        data: U8,
        used: int,
        offset: I64,
        captured: I64,
        wire: I64,
        time_ns: I64,
        link: U16,
        first: int = 1,
        interface: U16 | None = None,
        flags: U8 | None = None,
        vlan: U16 | None = None,
    ) -> None:
        count = len(offset)
        self.data = data
        self.used = used
        self.offset = offset
        self.captured = captured
        self.wire = wire
        self.time_ns = time_ns
        self.link = link
        self.first = first
        self.interface = np.zeros(count, np.uint16) if interface is None else interface
        self.flags = np.zeros(count, np.uint8) if flags is None else flags
        self.vlan = np.zeros(count, np.uint16) if vlan is None else vlan

    def __len__(self) -> int:
        return len(self.offset)

    def packet(self, index: int) -> bytes:
        """Return a copy of one packet's captured bytes."""
        start = int(self.offset[index])
        return self.data[start : start + int(self.captured[index])].tobytes()

    def append(self, piece: bytes) -> int:
        """Put bytes behind the captured ones and return where they start; grows (and copies) `data` when its spare room is used up."""
        start, end = self.used, self.used + len(piece)
        if end + PAD > len(self.data):
            grown = np.zeros(end + ROOM + PAD, np.uint8)
            grown[:start] = self.data[:start]
            self.data = grown
        self.data[start:end] = np.frombuffer(piece, np.uint8)
        self.used = end
        return start


class Source(Protocol):
    """Where packets come from: a file, or an interface."""

    problem: str
    """What is wrong with the source, once that is known ("" while nothing is): truncated files are read up to where they end."""

    def blocks(self) -> Iterator[Block]:
        """Give the packets in order; a block is valid until the next one is asked for."""


def from_packets(packets: list[bytes], link: int = LINK_ETHERNET, time_ns: list[int] | None = None) -> Block:
    """Return a block of the packets given (whole, as captured), a microsecond apart unless `time_ns` says otherwise."""
    lengths = np.array([len(packet) for packet in packets], np.int64)
    used = int(lengths.sum())
    data = np.zeros(used + ROOM + PAD, np.uint8)
    data[:used] = np.frombuffer(b"".join(packets), np.uint8)
    offset = np.cumsum(lengths) - lengths
    times = np.arange(len(packets), dtype=np.int64) * 1000 if time_ns is None else np.array(time_ns, np.int64)
    return Block(data, used, offset, lengths, lengths.copy(), times, np.full(len(packets), link, np.uint16))
