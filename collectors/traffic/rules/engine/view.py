"""One packet as the rules see it: a row of the column table with what its flow says about it, read when it is asked for."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from collectors.traffic.block import Block
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.store import Columns

T = TypeVar("T")

TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132


class later(Generic[T]):
    """A property that is worked out once, when it is first asked for (functools' takes a lock each time)."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, of: None, owner: type) -> "later[T]": ...

    @overload
    def __get__(self, of: object, owner: type) -> T: ...

    def __get__(self, of: object | None, owner: type) -> "later[T] | T":
        """Return the value, kept in the object from then on."""
        if of is None:
            return self
        value = of.__dict__[self._name] = self._make(of)
        return value


class Packet:
    """A packet, or the end of a flow standing in for one (`pseudo`, row -1).

    `slot` is -1 without a flow; `place` is where `flows` has it. `sizes` is how much of the stream each side (client,
    server) has sent; `counts` what the flow's counters are as of this packet, by counter: to server, to client (None: nobody
    asks). `begins`: it is the first of its direction in its flow. `established` and `accepted` are the stream's word on it;
    `stream_events` its stream events.
    """

    established = False
    accepted = True
    streamed = False
    pseudo = False
    begins = False
    stream_events: tuple[str, ...] = ()
    sizes: tuple[int, int] | None = None
    counts: dict[str, tuple[int, int]] | None = None

    def __init__(self, block: Block, table: Table, flows: Columns, row: int, slot: int, to_client: bool) -> None:
        self.block = block
        self.table = table
        self.flows = flows
        self.row = row
        self.slot = self.place = slot
        self.to_client = to_client

    @later
    def protocol(self) -> int:
        """The number of the protocol above IP."""
        return int(self.table.protocol[self.row])

    @later
    def family(self) -> int:
        """4, 6, or 0 without IP."""
        return int(self.table.family[self.row])

    @later
    def flags(self) -> int:
        """The table's flags."""
        return int(self.table.flags[self.row])

    @later
    def time_ns(self) -> int:
        """When it was captured."""
        return int(self.block.time_ns[self.table.packet[self.row]])

    @later
    def wire(self) -> int:
        """What it counts as: the bytes of the frame, or of the IP packet for one inside another."""
        if int(self.table.depth[self.row]) == 0:
            return int(self.block.wire[self.table.packet[self.row]])
        return int(self.table.ip_len[self.row])

    @later
    def number(self) -> int:
        """Its number in the capture, from 1."""
        return int(self.block.first + self.table.packet[self.row])

    @later
    def source(self) -> int:
        """Return the source address as a number."""
        return int(self.table.src_hi[self.row]) << 64 | int(self.table.src_lo[self.row])

    @later
    def destination(self) -> int:
        """Return the destination address as a number."""
        return int(self.table.dst_hi[self.row]) << 64 | int(self.table.dst_lo[self.row])

    @later
    def ported(self) -> bool:
        """Whether it has ports."""
        return self.protocol in (TCP, UDP, SCTP) and bool(self.flags & columns.TRANSPORT)

    @later
    def sport(self) -> int:
        """Return the source port, -1 for none."""
        return int(self.table.sport[self.row]) if self.ported else -1

    @later
    def dport(self) -> int:
        """Return the destination port, -1 for none."""
        return int(self.table.dport[self.row]) if self.ported else -1

    @later
    def payload(self) -> bytes:
        """Return the bytes behind the transport header."""
        begin, length = int(self.table.payload[self.row]), int(self.table.payload_len[self.row])
        return bytes(self.block.data[begin : begin + length].data) if begin >= 0 and length > 0 else b""

    def counted(self, what: str, to_client: bool) -> int:
        """Return the `pkts` or `bytes` of one direction of the flow up to this packet."""
        if self.counts is not None:
            return self.counts[what][to_client]
        side = "to_client" if to_client else "to_server"
        column = getattr(self.flows, f"{'packets' if what == 'pkts' else what}_{side}")
        return int(column[self.place])

    def layer(self, begin: int, end: int) -> bytes:
        """Return bytes of the block between two positions."""
        return self.block.data[begin:end].tobytes() if 0 <= begin < end else b""

    @later
    def header3(self) -> bytes:
        """Return the IP header with its options or extension headers."""
        begin, end = int(self.table.l3[self.row]), int(self.table.l4[self.row])
        if begin < 0:
            return b""
        if self.family == 4:
            return self.layer(begin, begin + (int(self.block.data[begin]) & 15) * 4)
        return self.layer(begin, end if end > begin else begin + 40)

    @later
    def arp(self) -> bytes:
        """Return an ARP packet's own bytes, b"" for anything else."""
        begin = -1 if self.family else int(self.table.l3[self.row])
        return self.layer(begin, begin + 28)

    @later
    def header4(self) -> bytes:
        """Return the transport header with its options."""
        begin, end = int(self.table.l4[self.row]), int(self.table.payload[self.row])
        if begin < 0:
            return b""
        if self.protocol == TCP and end >= begin:
            return self.layer(begin, end)
        return self.layer(begin, begin + 8)

    def word(self, at: int, size: int, of: bytes) -> int | None:
        """Return a big-endian number in a header, None beyond its end."""
        return int.from_bytes(of[at : at + size], "big") if len(of) >= at + size else None

    @later
    def tcp_options(self) -> dict[int, bytes]:
        """Return the TCP options by kind."""
        found: dict[int, bytes] = {}
        rest = self.header4[20:]
        at = 0
        while at < len(rest) and rest[at] != 0:
            if rest[at] == 1:
                at += 1
                continue
            if at + 1 >= len(rest) or rest[at + 1] < 2:
                break
            found.setdefault(rest[at], rest[at + 2 : at + rest[at + 1]])
            at += rest[at + 1]
        return found

    @later
    def ip_options(self) -> list[int]:
        """Return the kinds of IPv4 options."""
        found: list[int] = []
        rest, at = self.header3[20:] if self.family == 4 else b"", 0
        while at < len(rest):
            found.append(rest[at])
            if rest[at] == 0:
                break
            if rest[at] == 1:
                at += 1
                continue
            if at + 1 >= len(rest) or rest[at + 1] < 2:
                break
            at += rest[at + 1]
        return found


BUFFERS: dict[str, Callable[[Packet], bytes]] = {
    "ipv4.hdr": lambda packet: packet.header3 if packet.family == 4 else b"",
    "ipv6.hdr": lambda packet: packet.header3 if packet.family == 6 else b"",
    "tcp.hdr": lambda packet: packet.header4 if packet.protocol == TCP else b"",
    "udp.hdr": lambda packet: packet.header4 if packet.protocol == UDP else b"",
    "icmpv4.hdr": lambda packet: packet.header4 if packet.protocol == ICMP else b"",
    "icmpv6.hdr": lambda packet: packet.header4 if packet.protocol == ICMPV6 else b"",
    "arp.hdr": lambda packet: packet.arp,
    "ip.src": lambda packet: _address(packet, packet.source),
    "ip.dst": lambda packet: _address(packet, packet.destination),
    "ether.hdr": lambda packet: packet.layer(int(packet.table.l2[packet.row]), int(packet.table.l2[packet.row]) + 14),
}
"""Sticky buffers that are parts of a packet."""


def _address(packet: Packet, number: int) -> bytes:
    """Return an address as it is on the wire."""
    match packet.family:
        case 4:
            return (number & 0xFFFF_FFFF).to_bytes(4, "big")
        case 6:
            return number.to_bytes(16, "big")
    return b""
