"""The decoder: one block of packets in, one column table out. The layers are files of their own; this is their order.

Whatever the bytes are, decoding ends, within bounds that do not depend on them, and raises nothing: every layer takes off what does not
hold, names it, and hands on the rest. What is inside tunnels, and datagrams put together from fragments, become rows of their own.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from collectors.traffic.block import I64, VLAN_STRIPPED, Block, Bools
from collectors.traffic.decode import arp, icmp, ipv4, ipv6, link, transport, tunnels
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.checksums import Sums, verify
from collectors.traffic.decode.fragments import FragmentLimits, Fragments
from collectors.traffic.decode.span import EMPTY, Span
from collectors.traffic.decode.span import join as join_spans
from collectors.traffic.decode.table import Table
from contracts.record import Record

MAX_DEPTH = 4
"""Packets inside packets are followed this deep; a reassembled datagram counts as inside its last fragment."""


class DecodeOptions(Record):
    """How packets are decoded."""

    verify_checksums: bool = True
    fragments: FragmentLimits = FragmentLimits()


@dataclass(slots=True)
class DecodeCounts:
    """What was decoded since the start."""

    packets: int = 0
    inside: int = 0
    invalid: int = 0
    unknown_links: Counter[int] = field(default_factory=Counter)
    """Packets that were not looked at, by their link type (LINKTYPE_), which is not understood."""
    too_deep: int = 0


@dataclass(slots=True)
class _Work:
    """What decoding has led to that is to be decoded as rows of its own: tunnels by EtherType, and fragments by row."""

    inside: list[tunnels.Inside] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)


class Decoder:
    """Decodes blocks in order. Keeps fragments that wait for the rest of their datagram, and nothing else, from block to block."""

    def __init__(self, options: DecodeOptions) -> None:
        self.counts = DecodeCounts()
        self.fragments = Fragments(options.fragments)
        self._verify = options.verify_checksums
        self._sums = Sums()
        self._table = Table(0)

    def decode(self, block: Block) -> Table:
        """Return the column table of a block, valid until the next one is decoded.

        Datagrams put together from fragments are appended to the block's data.
        """
        snapped = block.captured < block.wire
        self.counts.packets += len(block)
        table = self._table
        table.clear(len(block))
        work = self._captured(block, table, snapped if snapped.any() else None)
        for depth in range(1, MAX_DEPTH + 1):
            if work.inside or work.pieces:
                work = self._further(block, table, work, depth)
        self._refuse_deeper(table, work)
        if self._verify:
            verify(self._sums, block, table)
        else:
            table.flags |= np.uint16(columns.CHECKSUM_UNKNOWN)
        pieces = table.flags & np.uint16(columns.FRAGMENT) != 0
        if pieces.any():
            # As in Suricata, what a piece carries is looked at where it is put together: no rule meets it twice.
            table.payload_len[pieces] = 0
        self.counts.inside += len(table) - len(block)
        self.counts.invalid += int(np.count_nonzero(table.flags & np.uint16(columns.INVALID)))
        return table

    def _captured(self, block: Block, table: Table, snapped: Bools | None) -> _Work:
        """Decode the packets as they were captured, by link type."""
        if block.flags.any():
            stripped = np.flatnonzero(block.flags & np.uint8(VLAN_STRIPPED))
            link.add_vlan(table, stripped, (block.vlan[stripped] & 0xFFF).astype(np.int64))
        found = link.Networks()
        span = Span(table.packet, block.offset, block.offset + block.captured)
        if len(block):
            for kind in _kinds(block):
                part = span.pick(block.link == kind)
                if kind not in link.KNOWN:
                    self.counts.unknown_links[kind] += len(part)
                link.frames(block.data, table, part, kind, found)
        work = _Work()
        self._network(block, table, work, found, snapped)
        return work

    def _network(self, block: Block, table: Table, work: _Work, found: link.Networks, snapped: Bools | None) -> None:
        """Decode from the network layer up; what is to be decoded further is added to `work`."""
        data = block.data
        if found.arp:
            arp.decode(data, table, join_spans(found.arp))
        behind: list[Span] = []
        for spans, layer in ((found.ipv4, ipv4.decode), (found.ipv6, ipv6.decode)):
            if not spans:
                continue
            span, pieces = layer(data, table, join_spans(spans), snapped)
            if pieces.any():
                work.pieces += span.rows[pieces].tolist()
                span = span.pick(~pieces)
            behind.append(span)
        if behind:
            self._transport(block, table, work, join_spans(behind))

    def _transport(self, block: Block, table: Table, work: _Work, span: Span) -> None:
        data = block.data
        protocol = table.protocol[span.rows]
        tcp = protocol == transport.TCP
        transport.tcp(data, table, span.pick(tcp))
        if tcp.all():
            return
        udp = protocol == transport.UDP
        payload = transport.udp(data, table, span.pick(udp))
        work.inside += tunnels.over_udp(data, table, payload)
        rest = np.flatnonzero(~(tcp | udp))
        if not len(rest):
            return
        span, protocol = span.at(rest), protocol[rest]
        family = table.family[span.rows]
        for number, own in ((icmp.ICMP, 4), (icmp.ICMPV6, 6)):
            part = span.pick((protocol == number) & (family == own))
            if len(part):
                icmp.icmp(data, table, part, number)
        table.mark("ipv4.icmpv6", span.rows[(protocol == icmp.ICMPV6) & (family == 4)])
        transport.sctp(data, table, span.pick(protocol == transport.SCTP))
        work.inside += tunnels.carried(table, span)
        work.inside += tunnels.gre(data, table, span.pick(protocol == tunnels.GRE))

    def _further(self, block: Block, table: Table, work: _Work, depth: int) -> _Work:
        """Decode what was found inside: the tunnels' packets, and the datagrams that fragments complete."""
        found = _Work()
        if work.inside:
            self._tunnelled(block, table, work, found, depth)
        if work.pieces:
            pairs = list(self.fragments.put(block, table, work.pieces))
            if pairs:
                self._reassembled(block, table, pairs, found)
        return found

    def _tunnelled(self, block: Block, table: Table, work: _Work, found: _Work, depth: int) -> None:
        networks = link.Networks()
        for kind, outer in work.inside:
            rows = _inner(table, outer.rows)
            table.depth[rows] = depth
            table.ether_type[rows] = kind
            part = Span(rows, outer.start, outer.end)
            if kind == tunnels.BRIDGED:
                link.ethernet(block.data, table, part, networks)
            elif kind == link.PPP:
                link.ppp(block.data, table, part, networks)
            else:
                networks.add(kind, part)
        self._network(block, table, found, networks, None)

    def _reassembled(self, block: Block, table: Table, pairs: list[tuple[int, bytes]], found: _Work) -> None:
        start = np.array([block.append(packet) for _, packet in pairs], np.int64)
        length = np.array([len(packet) for _, packet in pairs], np.int64)
        outer = np.array([row for row, _ in pairs], np.int64)
        rows = _inner(table, outer)
        table.depth[rows] = table.depth[outer]
        table.flags[rows] |= np.uint16(columns.REASSEMBLED)
        networks = link.Networks()
        link.raw(block.data, table, Span(rows, start, start + length), networks)
        self._network(block, table, found, networks, None)

    def _refuse_deeper(self, table: Table, work: _Work) -> None:
        """Name what lies deeper than is followed."""
        rows = np.unique(
            np.concatenate(
                [join_spans([span for _, span in work.inside] or [EMPTY]).rows, np.array(work.pieces, np.int64)]
            )
        )
        table.mark("too_many_layers", rows)
        self.counts.too_deep += len(rows)


def _kinds(block: Block) -> list[int]:
    first = int(block.link[0])
    return [first] if (block.link == first).all() else [int(kind) for kind in np.unique(block.link)]


def _inner(table: Table, outer: I64) -> I64:
    """Append a row for what is inside each of `outer`."""
    rows = table.extend(len(outer))
    for name in ("packet", "vlan", "vlan_count"):
        column = getattr(table, name)
        column[rows] = column[outer]
    return rows
