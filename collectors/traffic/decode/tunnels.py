"""Packets inside packets: IP in IP, GRE, ERSPAN, VXLAN, Geneve and Teredo. The decoder makes rows of what is found."""

import numpy as np

from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.decode import link
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.span import Span, words
from collectors.traffic.decode.table import Table

IPIP, IPV6_IN_IP, GRE = 4, 41, 47
TEREDO_PORT, VXLAN_PORT, GENEVE_PORT = 3544, 4789, 6081
_ERSPAN = 0x88BE
BRIDGED = link.BRIDGED
MAX_ROUTES = 16
"""Source route entries of one GRE header that are followed (RFC 1701)."""

Inside = tuple[int, Span]
"""An EtherType (or `link.PPP`), and where such packets begin."""


def carried(table: Table, span: Span) -> list[Inside]:
    """Return what IP carries directly (protocols 4 and 41), with a look at the version by the inner decoder."""
    protocol = table.protocol[span.rows]
    found = []
    for number, kind in ((IPIP, link.IPV4), (IPV6_IN_IP, link.IPV6)):
        part = span.pick(protocol == number)
        if len(part):
            _small(table, part, kind)
            found.append((kind, _note(table, part)))
    return found


def _small(table: Table, span: Span, kind: int) -> None:
    header = 20 if kind == link.IPV4 else 40
    name = "ipv4_in_ipv6" if kind == link.IPV4 else "ipv6_in_ipv6"
    inside6 = table.family[span.rows] == 6
    table.mark(f"ipv6.{name}_too_small", span.rows[inside6 & (span.end - span.start < header)])


def _note(table: Table, span: Span) -> Span:
    table.flags[span.rows] |= np.uint16(columns.ENCAPSULATES)
    return span


def gre(data: U8, table: Table, span: Span) -> list[Inside]:
    """Return what GRE (RFC 1701, 2784, 2890) and PPTP's form of it (RFC 2637) carry."""
    small = span.end - span.start < 4
    table.refuse("gre.pkt_too_small", span.rows[small])
    span = span.pick(~small)
    flags, version = data[span.start], data[span.start + 1] & 7
    table.refuse("gre.wrong_version", span.rows[version > 1])
    return _plain(data, table, span, flags, version == 0) + _enhanced(data, table, span, flags, version == 1)


_CHECKSUM, _ROUTE, _KEY, _SEQUENCE, _STRICT, _RECURSION = 0x80, 0x40, 0x20, 0x10, 0x08, 0x07


def _plain(data: U8, table: Table, span: Span, flags: U8, chosen: Bools) -> list[Inside]:
    span, flags = span.pick(chosen), flags[chosen]
    if not len(span):
        return []
    second = data[span.start + 1]
    recurs, odd = (flags & _RECURSION) != 0, (second & 0xF8) != 0
    table.refuse("gre.version0_recur", span.rows[recurs])
    table.refuse("gre.version0_flags", span.rows[odd & ~recurs])
    header = np.full(len(span), 4, np.int64)
    for bits in (_CHECKSUM | _ROUTE, _KEY, _SEQUENCE):
        header += np.where((flags & bits) != 0, 4, 0)
    start = span.start + header
    start, routed = _routes(data, table, span, start, (flags & _ROUTE) != 0)
    big = start > span.end
    table.refuse("gre.version0_hdr_too_big", span.rows[big & routed & ~recurs & ~odd])
    held = routed & ~big & ~recurs & ~odd
    plain = _sort(data, table, span, start, held, (link.IPV4, link.IPV6, BRIDGED, link.PPP))
    # A mirrored frame of the first type has no sequence number and no header of its own; Suricata looks into it only when told to.
    mirrored = held & (words(data, span.start + 2) == _ERSPAN) & ((flags & _SEQUENCE) != 0)
    return plain + (_mirrored(data, table, Span(span.rows, start, span.end).pick(mirrored)) if mirrored.any() else [])


def _mirrored(data: U8, table: Table, span: Span) -> list[Inside]:
    """Return the frames of ERSPAN's second type: eight bytes, of which the first four bits are the version."""
    small = span.end - span.start < 8
    table.refuse("erspan.header_too_small", span.rows[small])
    span = span.pick(~small)
    known = data[span.start] >> 4 == 1
    table.refuse("erspan.unsupported_version", span.rows[~known])
    span = span.pick(known)
    return [(BRIDGED, _note(table, span.moved(8)))] if len(span) else []


def _routes(data: U8, table: Table, span: Span, start: I64, routed: Bools) -> tuple[I64, Bools]:
    """Pass over source routes; returns where the payload starts and which packets hold so far."""
    held = np.ones(len(span), np.bool_)
    going = routed & (start <= span.end)
    for _ in range(MAX_ROUTES):
        if not going.any():
            return start, held
        fits = start + 4 <= span.end
        length = np.where(fits & going, data[np.minimum(start, span.end) + 3], 0).astype(np.int64)
        ended = going & fits & (words(data, np.minimum(start, span.end)) == 0) & (length == 0)
        bad = going & ~ended & (~fits | (start + 4 + length > span.end))
        table.refuse("gre.version0_malformed_sre_hdr", span.rows[bad])
        held &= ~bad
        start = start + np.where(going & ~bad, 4 + length, 0)
        going &= ~ended & ~bad
    table.refuse("gre.version0_malformed_sre_hdr", span.rows[going])
    return start, held & ~going


def _enhanced(data: U8, table: Table, span: Span, flags: U8, chosen: Bools) -> list[Inside]:
    span, flags = span.pick(chosen), flags[chosen]
    if not len(span):
        return []
    second = data[span.start + 1]
    held = np.ones(len(span), np.bool_)
    for bad, event in (
        ((flags & _CHECKSUM) != 0, "gre.version1_chksum"),
        ((flags & _ROUTE) != 0, "gre.version1_route"),
        ((flags & _STRICT) != 0, "gre.version1_ssr"),
        ((flags & _RECURSION) != 0, "gre.version1_recur"),
        ((second & 0x78) != 0, "gre.version1_flags"),
        (words(data, span.start + 2) != link.PPP, "gre.version1_wrong_protocol"),
        ((flags & _KEY) == 0, "gre.version1_no_key"),
    ):
        table.refuse(event, span.rows[held & bad])
        held &= ~bad
    header = 8 + np.where((flags & _SEQUENCE) != 0, 4, 0) + np.where((second & 0x80) != 0, 4, 0)
    start = span.start + header
    # A packet that only acknowledges carries nothing.
    held &= start < span.end
    return _sort(data, table, span, start, held, (link.PPP,))


def _sort(data: U8, table: Table, span: Span, start: I64, chosen: Bools, kinds: tuple[int, ...]) -> list[Inside]:
    kind = words(data, span.start + 2)
    inner = Span(span.rows, start, span.end)
    found = [(number, inner.pick(chosen & (kind == number))) for number in kinds]
    return [(number, _note(table, part)) for number, part in found if len(part)]


def over_udp(data: U8, table: Table, payload: Span) -> list[Inside]:
    """Return what VXLAN (RFC 7348), Geneve (RFC 8926) and Teredo (RFC 4380) carry; by port, and only where the headers hold."""
    sport, dport = table.sport[payload.rows], table.dport[payload.rows]
    found: list[Inside] = []
    vxlan = dport == VXLAN_PORT
    if vxlan.any():
        part = payload.pick(vxlan)
        # The flag says that a network identifier is there; other bits are reserved and ignored on receipt.
        part = part.pick((part.end - part.start >= 8 + 14) & ((data[part.start] & 8) != 0))
        found.append((BRIDGED, _note(table, part.moved(8))))
    geneve = (sport == GENEVE_PORT) | (dport == GENEVE_PORT)
    if geneve.any():
        found += _geneve(data, table, payload.pick(geneve))
    teredo = (sport == TEREDO_PORT) | (dport == TEREDO_PORT)
    if teredo.any():
        part = _teredo(data, payload.pick(teredo))
        found.append((link.IPV6, _note(table, part)))
    return [(kind, span) for kind, span in found if len(span)]


def _geneve(data: U8, table: Table, span: Span) -> list[Inside]:
    """Pass over the header and its options, which have to fill just the room that the header names."""
    span = span.pick(span.end - span.start >= 8)
    options = (data[span.start] & 0x3F).astype(np.int64) * 4
    plain = (data[span.start] >> 6 == 0) & (data[span.start + 1] & 0x3F == 0) & (data[span.start + 7] == 0)
    good = plain & (span.start + 8 + options <= span.end)
    span, left = span.pick(good), options[good]
    start = span.start + 8
    while (going := left > 0).any():
        length = np.where(going, 4 + (data[start + 3] & 0x1F).astype(np.int64) * 4, 0)
        start, left = start + length, left - length
    kind = words(data, span.start + 2)
    inner = Span(span.rows, start, span.end)
    known = np.isin(kind, (link.IPV4, link.IPV6, BRIDGED, link.ARP))
    table.mark("geneve.unknown_payload_type", inner.rows[(left == 0) & ~known])
    parts = [(number, inner.pick((left == 0) & (kind == number))) for number in (link.IPV4, link.IPV6, BRIDGED)]
    return [(number, _note(table, part)) for number, part in parts if len(part)]


def _teredo(data: U8, span: Span) -> Span:
    """Pass over authentication and origin indications; keep what is then a whole IPv6 packet."""
    start = span.start
    room = span.end - start
    authentic = (room >= 13) & (words(data, start) == 1)
    skip = 13 + data[start + 2].astype(np.int64) + data[start + 3]
    start = np.where(authentic & (room >= skip), start + skip, start)
    origin = (span.end - start >= 8) & (words(data, start) == 0)
    start = np.where(origin, start + 8, start)
    length = words(data, start + 4)
    whole = (span.end - start >= 40) & (data[start] >> 4 == 6) & (span.end - start >= 40 + length)
    return Span(span.rows, start, span.end).pick(whole)
