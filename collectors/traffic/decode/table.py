"""The column table: what decoding found, a row per packet and per packet inside a packet, as one numpy array per field."""

import ipaddress

import numpy as np

from collectors.traffic.block import I64, U8, U16, U32, U64
from collectors.traffic.decode.events import BITS, WORDS, names
from collectors.traffic.decode.side import ARP, QUOTE, Side

INVALID = 1
"""Decoding ended at something malformed: the row has no transport layer (an event says why)."""
TRUNCATED = 2
"""The capture holds less of the packet than was on the wire."""
FRAGMENT = 4
"""A piece of an IP datagram: no ports, no payload of its own; what is put together of pieces is a row of its own."""
REASSEMBLED = 8
"""Put together from fragments; `packet` is the fragment that completed it."""
MORE_FRAGMENTS = 16
BAD_IP_CHECKSUM = 32
BAD_CHECKSUM = 64
"""Checksum of TCP, UDP, ICMP or ICMPv6 does not hold."""
CHECKSUM_UNKNOWN = 128
"""The transport checksum was not verified: switched off, not sent (UDP), offloaded, or not all bytes are there."""
TRANSPORT = 256
"""The transport header was decoded: ports (or ICMP type and code) and payload hold."""
ENCAPSULATES = 512
"""The payload is another packet, which has a row of its own (one more `depth`)."""
DONT_FRAGMENT = 1024

COLUMNS: dict[str, type[np.generic]] = {
    "packet": np.int64,
    "family": np.uint8,
    "protocol": np.uint8,
    "depth": np.uint8,
    "ttl": np.uint8,
    "tos": np.uint8,
    "tcp_flags": np.uint8,
    "vlan_count": np.uint8,
    "flags": np.uint16,
    "ether_type": np.uint16,
    "sport": np.uint16,
    "dport": np.uint16,
    "window": np.uint16,
    "frag_offset": np.uint16,
    "ip_id": np.uint32,
    "seq": np.uint32,
    "ack": np.uint32,
    "src_hi": np.uint64,
    "src_lo": np.uint64,
    "dst_hi": np.uint64,
    "dst_lo": np.uint64,
    "vlan": np.uint64,
    "l2": np.int64,
    "l3": np.int64,
    "l4": np.int64,
    "ip_len": np.int64,
    "payload": np.int64,
    "payload_len": np.int64,
}


class Table:
    """Row i is packet i as captured; behind these come the packets that were inside others, level by level.

    `packet` is the index into the block. `family` is 4, 6 or 0 (no IP). Addresses are numbers in two halves (IPv4 in `*_lo`). For ICMP
    `sport` is the type and `dport` the code. `seq`, `ack`, `window`, `tcp_flags` are TCP's; `vlan` holds up to three VLAN ids, 16 bits
    each, the outermost lowest, `vlan_count` how many. `l2`, `l3`, `l4`, `payload` are positions in the block's data, -1 where there is no
    such layer; `payload_len` ends where IP ends (or the capture, with `TRUNCATED`). `ip_len` is the whole IP packet's length as its header
    says it; `frag_offset` in units of eight bytes; `ip_id` has 32 bits for IPv6. `events` is bits of `decode.events`.
    """

    __slots__ = (*COLUMNS, "_events", "_store", "arps", "captured", "events", "quotes")

    packet: I64
    family: U8
    protocol: U8
    depth: U8
    ttl: U8
    tos: U8
    tcp_flags: U8
    vlan_count: U8
    flags: U16
    ether_type: U16
    sport: U16
    dport: U16
    window: U16
    frag_offset: U16
    ip_id: U32
    seq: U32
    ack: U32
    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    vlan: U64
    l2: I64
    l3: I64
    l4: I64
    ip_len: I64
    payload: I64
    payload_len: I64
    events: U64
    """Shape (rows, WORDS)."""
    captured: int
    """How many rows are packets as captured; what was inside them comes behind these."""
    arps: Side
    quotes: Side
    """The packets that ICMP errors are about."""

    def __init__(self, count: int, spare: int = 256) -> None:
        self._store = {name: np.zeros(count + spare, kind) for name, kind in COLUMNS.items()}
        self._events = np.zeros((count + spare, WORDS), np.uint64)
        self.clear(count)

    def clear(self, count: int) -> None:
        """Begin anew with `count` empty rows, in the same memory where that suffices."""
        if count > len(self._events):
            self._store = {name: np.zeros(count + count // 8, kind) for name, kind in COLUMNS.items()}
            self._events = np.zeros((count + count // 8, WORDS), np.uint64)
        for column in self._store.values():
            column.fill(0)
        for name in ("l2", "l3", "l4", "payload"):
            self._store[name].fill(-1)
        self._events.fill(0)
        self._show(count)
        self.packet[:] = np.arange(count)
        self.captured = count
        self.arps = Side.none(ARP)
        self.quotes = Side.none(QUOTE)

    def __len__(self) -> int:
        return len(self.packet)

    def _show(self, count: int) -> None:
        for name, column in self._store.items():
            setattr(self, name, column[:count])
        self.events = self._events[:count]

    def extend(self, count: int) -> I64:
        """Append empty rows and return them. Columns are new arrays (or views) afterwards: take none along across this call."""
        old = len(self)
        if old + count > len(self._events):
            more = old + 2 * count
            fresh = Table(0, more)
            for name, column in self._store.items():
                fresh._store[name][:old] = column[:old]
            fresh._events[:old] = self._events[:old]
            self._store, self._events = fresh._store, fresh._events
        self._show(old + count)
        return np.arange(old, old + count)

    def mark(self, name: str, rows: I64) -> None:
        """Set the event `name` on `rows` (no row twice)."""
        if not len(rows):
            return
        bit = BITS[name]
        self.events[rows, bit // 64] |= np.uint64(1 << (bit % 64))

    def refuse(self, name: str, rows: I64) -> None:
        """Set the event `name` on `rows`, whose decoding ends here."""
        if len(rows):
            self.mark(name, rows)
            self.flags[rows] |= np.uint16(INVALID)

    def having(self, name: str) -> I64:
        """Return the rows that show the event `name`."""
        bit = BITS[name]
        return np.flatnonzero(self.events[:, bit // 64] & np.uint64(1 << (bit % 64)))

    def event_names(self, row: int) -> tuple[str, ...]:
        """Return the names of one row's events."""
        return names(tuple(int(word) for word in self.events[row]))

    def source(self, row: int) -> str:
        """Return one row's source address as text ("" without IP)."""
        return address(int(self.family[row]), int(self.src_hi[row]), int(self.src_lo[row]))

    def destination(self, row: int) -> str:
        """Return one row's destination address as text ("" without IP)."""
        return address(int(self.family[row]), int(self.dst_hi[row]), int(self.dst_lo[row]))


def address(family: int, high: int, low: int) -> str:
    """Return an address in its two halves as text."""
    if family == 4:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(high << 64 | low)) if family == 6 else ""
