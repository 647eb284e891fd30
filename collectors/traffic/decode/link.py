"""Link layers: Ethernet with tags of all kinds, PPPoE, MPLS and NSH; cooked, raw, HDLC, loopback; to where IP or ARP begins."""

from collections.abc import Callable

import numpy as np

from collectors.traffic import block as captured
from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.decode.span import Span, join, words
from collectors.traffic.decode.table import Table

IPV4 = 0x0800
ARP = 0x0806
IPV6 = 0x86DD
BRIDGED = 0x6558
"""Transparent Ethernet bridging: a whole frame inside GRE."""
PPP = 0x880B
_NSH = 0x894F
_VNTAG, _ETAG, _PROVIDER = 0x8926, 0x893F, 0x88E7
_VLAN, _QINQ, _QINQ_OLD, _PPPOE, _MPLS, _MPLS_MULTICAST = 0x8100, 0x88A8, 0x9100, 0x8864, 0x8847, 0x8848
MAX_VLANS = 3
MAX_LABELS = 8
MAX_SHIMS = 4
"""How many changes between tags, PPPoE and MPLS are followed in one packet."""
_FIRST_PROTOCOL = 0x0600
"""Smaller numbers in the place of an EtherType are lengths (IEEE 802.3): LLC, which carries no IP here."""
_PPP_TYPES = {0x0021: IPV4, 0x0057: IPV6}
_LOOP_TYPES = {2: IPV4, 24: IPV6, 28: IPV6, 30: IPV6}
"""Address families of the BSDs and macOS, as BSD loopback captures carry them."""


class Networks:
    """What the link layers lead to: spans that begin with an IPv4, IPv6 or ARP header."""

    def __init__(self) -> None:
        self.ipv4: list[Span] = []
        self.ipv6: list[Span] = []
        self.arp: list[Span] = []

    def add(self, kind: int, span: Span) -> None:
        """Add a span whose network layer is of EtherType `kind`; others are left alone (they are not IP)."""
        if len(span):
            {IPV4: self.ipv4, IPV6: self.ipv6, ARP: self.arp}.get(kind, []).append(span)


def frames(data: U8, table: Table, span: Span, link: int, found: Networks) -> None:
    """Decode frames of one link type into `found`. An unknown link type finds nothing; the caller counts that."""
    if link == captured.LINK_ETHERNET:
        ethernet(data, table, span, found)
    elif link in (captured.LINK_SLL, captured.LINK_SLL2):
        _cooked(data, table, span, link, found)
    elif link == captured.LINK_CHDLC:
        span = _long_enough(table, span, 4, "chdlc.pkt_too_small")
        _shims(data, table, span.moved(4), words(data, span.start + 2), found)
    elif link in (captured.LINK_NULL, captured.LINK_LOOP):
        _loopback(data, table, span, found)
    elif link in (captured.LINK_RAW, captured.LINK_RAW_OLD, captured.LINK_RAW_BSD):
        raw(data, table, span, found)
    elif link in (captured.LINK_PPP, captured.LINK_PPP_HDLC):
        ppp(data, table, span, found)
    elif link == captured.LINK_IPV4:
        found.add(IPV4, span)
    elif link == captured.LINK_IPV6:
        found.add(IPV6, span)


KNOWN = frozenset(
    {
        captured.LINK_ETHERNET,
        captured.LINK_SLL,
        captured.LINK_SLL2,
        captured.LINK_CHDLC,
        captured.LINK_NULL,
        captured.LINK_LOOP,
        captured.LINK_PPP,
        captured.LINK_PPP_HDLC,
        captured.LINK_RAW,
        captured.LINK_RAW_OLD,
        captured.LINK_RAW_BSD,
        captured.LINK_IPV4,
        captured.LINK_IPV6,
    }
)


def ethernet(data: U8, table: Table, span: Span, found: Networks) -> None:
    """Decode Ethernet frames."""
    span = _long_enough(table, span, 14, "ethernet.pkt_too_small")
    table.l2[span.rows] = span.start
    _shims(data, table, span.moved(14), words(data, span.start + 12), found)


def raw(data: U8, table: Table, span: Span, found: Networks) -> None:
    """Decode IP without a link layer: the version is in the first four bits."""
    version = np.where(span.end > span.start, data[span.start] >> 4, 0)
    table.refuse("ipraw.invalid_ip_version", span.rows[(version != 4) & (version != 6)])
    for number, kind in ((4, IPV4), (6, IPV6)):
        part = span.pick(version == number)
        table.ether_type[part.rows] = kind
        found.add(kind, part)


def ppp(data: U8, table: Table, span: Span, found: Networks) -> None:
    """Decode PPP, with or without the HDLC-like address and control bytes, with one or two bytes of protocol."""
    span = _long_enough(table, span, 2, "ppp.pkt_too_small")
    framed = words(data, span.start) == 0xFF03
    at = span.start + np.where(framed, 2, 0)
    short = (data[at] & 1) == 1
    enough = at + np.where(short, 1, 2) <= span.end
    table.refuse("ppp.pkt_too_small", span.rows[~enough])
    kind = np.where(short, data[at], words(data, at))
    span = Span(span.rows, at + np.where(short, 1, 2), span.end)
    for number, network in _PPP_TYPES.items():
        part = span.pick(enough & (kind == number))
        table.ether_type[part.rows] = network
        found.add(network, part)
    table.refuse("ppp.unsup_proto", span.rows[enough & ~np.isin(kind, list(_PPP_TYPES))])


def _cooked(data: U8, table: Table, span: Span, link: int, found: Networks) -> None:
    length, at, name = (16, 14, "sll.pkt_too_small") if link == captured.LINK_SLL else (20, 0, "sll2.pkt_too_small")
    span = _long_enough(table, span, length, name)
    _shims(data, table, span.moved(length), words(data, span.start + at), found)


def _loopback(data: U8, table: Table, span: Span, found: Networks) -> None:
    span = _long_enough(table, span, 4, "ltnull.pkt_too_small")
    # In the byte order of whoever captured (NULL) or of the network (LOOP): a family fits one byte either way.
    family = data[span.start].astype(np.int64) | data[span.start + 3]
    span = span.moved(4)
    for number, kind in _LOOP_TYPES.items():
        part = span.pick(family == number)
        table.ether_type[part.rows] = kind
        found.add(kind, part)
    table.refuse("ltnull.unsupported_type", span.rows[~np.isin(family, list(_LOOP_TYPES))])


_OTHER, _TO_IPV4, _TO_IPV6, _TO_ARP, _TAGGED, _SESSION, _LABELLED, _SERVED, _PORTED, _EXTENDED, _BACKBONE = range(11)
_UNKNOWN = {
    _OTHER: "ethernet.unknown_ethertype",
    _TAGGED: "vlan.unknown_type",
    _PORTED: "vntag.unknown_type",
    _EXTENDED: "etag.unknown_type",
}
"""What it is called when an EtherType is not known, by what it stands behind (_OTHER: the frame's own)."""
_CLASSES = np.zeros(65536, np.uint8)
_CLASSES[IPV4], _CLASSES[IPV6], _CLASSES[ARP] = _TO_IPV4, _TO_IPV6, _TO_ARP
_CLASSES[[_VLAN, _QINQ, _QINQ_OLD]] = _TAGGED
_CLASSES[_PPPOE] = _SESSION
_CLASSES[_NSH] = _SERVED
_CLASSES[_VNTAG], _CLASSES[_ETAG], _CLASSES[_PROVIDER] = _PORTED, _EXTENDED, _BACKBONE
_CLASSES[[_MPLS, _MPLS_MULTICAST]] = _LABELLED


def _shims(data: U8, table: Table, span: Span, kind: I64, found: Networks) -> None:
    """Sort by EtherType, and look behind tags, PPPoE and MPLS for the next one."""
    behind = np.zeros(len(span), np.uint8)
    for _ in range(MAX_SHIMS + MAX_VLANS):
        table.ether_type[span.rows] = kind
        classes = _CLASSES[kind]
        plain = classes == _TO_IPV4
        if plain.all():
            found.add(IPV4, span)
            return
        found.add(IPV4, span.pick(plain))
        rest = np.flatnonzero(~plain)
        span, kind, classes, behind = span.at(rest), kind[rest], classes[rest], behind[rest]
        for network, number in ((IPV6, _TO_IPV6), (ARP, _TO_ARP)):
            found.add(network, span.pick(classes == number))
        unknown = (classes == _OTHER) & (kind >= _FIRST_PROTOCOL)
        if unknown.any():
            for number, event in _UNKNOWN.items():
                table.mark(event, span.rows[unknown & (behind == number)])
        labelled = classes == _LABELLED
        if labelled.any():
            _labels(data, table, span.pick(labelled), found)
        parts = [
            (number, *peel(data, table, span.pick(classes == number)))
            for number, peel in _PEELS.items()
            if (classes == number).any()
        ]
        if not parts:
            return
        behind = np.concatenate([np.full(len(part), number, np.uint8) for number, part, _ in parts])
        span, kind = join([part for _, part, _ in parts]), np.concatenate([kinds for _, _, kinds in parts])
    table.refuse("too_many_layers", span.rows)


def _tags(data: U8, table: Table, span: Span) -> tuple[Span, I64]:
    span = _long_enough(table, span, 4, "vlan.header_too_small")
    full = table.vlan_count[span.rows] >= MAX_VLANS
    if full.any():
        table.refuse("vlan.too_many_layers", span.rows[full])
        span = span.pick(~full)
    add_vlan(table, span.rows, words(data, span.start) & 0xFFF)
    return span.moved(4), words(data, span.start + 2)


def add_vlan(table: Table, rows: I64, identifier: I64) -> None:
    """Note one more VLAN, inside those already noted."""
    shift = table.vlan_count[rows].astype(np.uint64) * np.uint64(16)
    table.vlan[rows] |= identifier.astype(np.uint64) << shift
    table.vlan_count[rows] += 1


def _sessions(data: U8, table: Table, span: Span) -> tuple[Span, I64]:
    """PPPoE session packets (RFC 2516): six bytes, then PPP's protocol number."""
    span = _long_enough(table, span, 8, "pppoe.pkt_too_small")
    coded = data[span.start + 1] != 0
    table.refuse("pppoe.wrong_code", span.rows[coded])
    span = span.pick(~coded)
    protocol = words(data, span.start + 6)
    unknown = ~np.isin(protocol, list(_PPP_TYPES))
    table.refuse("ppp.unsup_proto", span.rows[unknown])
    known = span.pick(~unknown)
    kinds = np.where(protocol[~unknown] == 0x0021, IPV4, IPV6)
    return known.moved(8), kinds.astype(np.int64)


_NSH_TYPES = np.zeros(256, np.int64)
_NSH_TYPES[[1, 2, 5]] = IPV4, IPV6, _MPLS


def _services(data: U8, table: Table, span: Span) -> tuple[Span, I64]:
    """Network service header (RFC 8300): its length in words, and what is behind it (IPv4, IPv6, MPLS; others are left alone)."""
    span = _long_enough(table, span, 8, "nsh.header_too_small")
    length = (data[span.start + 1] & 0x3F).astype(np.int64) * 4
    bad = (length < 8) | (span.start + length > span.end)
    table.refuse("nsh.bad_header_length", span.rows[bad])
    span, length = span.pick(~bad), length[~bad]
    kinds = _NSH_TYPES[data[span.start + 3]]
    table.mark("nsh.unknown_payload", span.rows[kinds == 0])
    return span.moved(length).pick(kinds != 0), kinds[kinds != 0]


def _after(length: int, event: str) -> Callable[[U8, Table, Span], tuple[Span, I64]]:
    """Return how a tag of so many bytes is taken off whose last two are the next EtherType."""

    def peel(data: U8, table: Table, span: Span) -> tuple[Span, I64]:
        span = _long_enough(table, span, length, event)
        return span.moved(length), words(data, span.start + length - 2)

    return peel


_PEELS: dict[int, Callable[[U8, Table, Span], tuple[Span, I64]]] = {
    _TAGGED: _tags,
    _SESSION: _sessions,
    _SERVED: _services,
    # VN-Tag (as Cisco has it); E-Tag (IEEE 802.1BR); backbone service (IEEE 802.1ah): flags, instance, both addresses, type.
    _PORTED: _after(6, "vntag.header_too_small"),
    _EXTENDED: _after(8, "etag.header_too_small"),
    _BACKBONE: _after(18, "ieee8021ah.header_too_small"),
}


def _labels(data: U8, table: Table, span: Span, found: Networks) -> None:
    """MPLS (RFC 3032): labels to the bottom of the stack; what is below is IP when its first four bits say so."""
    for _ in range(MAX_LABELS):
        span = _long_enough(table, span, 4, "mpls.header_too_small")
        last = (data[span.start + 2] & 1) == 1
        below = span.pick(last).moved(4)
        version = np.where(below.end > below.start, data[below.start] >> 4, 0)
        for number, kind in ((4, IPV4), (6, IPV6)):
            found.add(kind, below.pick(version == number))
        table.mark("mpls.unknown_payload_type", below.rows[(version != 4) & (version != 6)])
        span = span.pick(~last).moved(4)
        if not len(span):
            return
    table.refuse("too_many_layers", span.rows)


def _long_enough(table: Table, span: Span, length: int, event: str) -> Span:
    enough: Bools = span.end - span.start >= length
    if enough.all():
        return span
    table.refuse(event, span.rows[~enough])
    return span.pick(enough)
