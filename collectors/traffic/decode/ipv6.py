"""IPv6 headers and their extension headers (RFC 8200), walked for many packets in step and bounded."""

import numpy as np

from collectors.traffic.block import I64, U8, U64, Bools
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.ipv6_options import check_options
from collectors.traffic.decode.span import Span, join, records, words
from collectors.traffic.decode.table import Table

_HEADER = np.dtype(
    [
        ("version", ">u4"),
        ("length", ">u2"),
        ("next", "u1"),
        ("hops", "u1"),
        ("src_hi", ">u8"),
        ("src_lo", ">u8"),
        ("dst_hi", ">u8"),
        ("dst_lo", ">u8"),
    ]
)
HEADER = 40
MAX_EXTENSIONS = 32
"""A chain longer than this is refused (`too_many_layers`)."""

_HOP, _ROUTING, _FRAGMENT, _ESP, _AH, _NONE, _DESTINATION = 0, 43, 44, 50, 51, 59, 60
_SKIPPED = (135, 139, 140)
"""Mobility, HIP and Shim6: passed over by their length."""
_IS_EXTENSION = np.zeros(256, np.bool_)
_IS_EXTENSION[[_HOP, _ROUTING, _FRAGMENT, _ESP, _AH, _NONE, _DESTINATION, *_SKIPPED]] = True
_IS_SKIPPED = np.isin(np.arange(256), _SKIPPED)
_TRANSPORTS = np.zeros(256, np.bool_)
_TRANSPORTS[[4, 6, 17, 41, 47, 50, 58, 132]] = True
_DUPLICATES = {
    _HOP: "ipv6.exthdr_dupl_hh",
    _ROUTING: "ipv6.exthdr_dupl_rh",
    _AH: "ipv6.exthdr_dupl_ah",
    _FRAGMENT: "ipv6.exthdr_dupl_fh",
}


def decode(data: U8, table: Table, span: Span, snapped: Bools | None) -> tuple[Span, Bools]:
    """Decode the headers at `span`; returns what lies behind those that hold, and which of it are fragments (behind their header).

    `snapped` says by row which packets were cut by the capture: those may end early without being malformed; None: none were.
    """
    span = _checked(data, table, span, snapped)
    rows = span.rows
    fields = records(data, span.start, _HEADER)
    length = fields["length"].astype(np.int64)
    end = np.minimum(span.end, span.start + HEADER + length)
    table.family[rows] = 6
    table.l3[rows] = span.start
    table.ip_len[rows] = length + HEADER
    table.tos[rows] = (fields["version"] >> 20) & 0xFF
    table.ttl[rows] = fields["hops"]
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"):
        getattr(table, name)[rows] = fields[name]
    following = fields["next"]
    table.protocol[rows] = following
    behind = Span(rows, span.start + HEADER, end)
    table.payload[rows] = behind.start
    table.payload_len[rows] = end - behind.start
    plain = ~_IS_EXTENSION[following]
    _unknown(table, rows, following, plain)
    if plain.all():
        return behind, np.zeros(len(rows), np.bool_)
    walked, pieces = _extensions(data, table, behind.pick(~plain), following[~plain])
    simple = behind.pick(plain)
    return join([simple, walked]), np.concatenate([np.zeros(len(simple), np.bool_), pieces])


def _checked(data: U8, table: Table, span: Span, snapped: Bools | None) -> Span:
    available = span.end - span.start
    left = np.ones(len(span), np.bool_)
    cut = np.zeros(len(span), np.bool_) if snapped is None else snapped[table.packet[span.rows]]
    needed = words(data, span.start + 4) + HEADER
    for bad, event in (
        (available < HEADER, "ipv6.pkt_too_small"),
        (data[span.start] >> 4 != 6, "ipv6.wrong_ip_version"),
        ((available < needed) & ~cut, "ipv6.trunc_pkt"),
    ):
        if bad.any():
            table.refuse(event, span.rows[left & bad])
            left &= ~bad
    short = left & (available < needed)
    if short.any():
        table.mark("ipv6.trunc_pkt", span.rows[short])
        table.flags[span.rows[short]] |= np.uint16(columns.TRUNCATED)
    return span.pick(left)


def _unknown(table: Table, rows: I64, following: U8, chosen: Bools) -> None:
    """Name transport protocols that no IPv6 packet should carry."""
    table.mark("ipv6.icmpv4", rows[chosen & (following == 1)])
    table.mark("ipv6.unknown_next_header", rows[chosen & ~_TRANSPORTS[following] & (following != 1)])


def _extensions(data: U8, table: Table, span: Span, following: U8) -> tuple[Span, Bools]:
    """Walk extension headers until a transport layer or a fragment; the others end here."""
    done: list[Span] = []
    pieces: list[Bools] = []
    seen = np.zeros(len(span), np.uint64)
    for _ in range(MAX_EXTENSIONS):
        ended = ~_IS_EXTENSION[following] | (following == _ESP)
        if ended.any():
            # As with Suricata, fewer than two bytes behind an extension header are no header at all.
            empty = ended & (span.end - span.start < 2)
            table.refuse("ipv6.trunc_exthdr", span.rows[empty])
            part = span.pick(ended & ~empty)
            _arrive(table, part, following[ended & ~empty])
            done.append(part)
            pieces.append(np.zeros(len(part), np.bool_))
        span, following, seen = span.pick(~ended), following[~ended], seen[~ended]
        if not len(span):
            break
        length, fragment, left = _step(data, table, span, following, seen)
        done.append(span.moved(8).pick(fragment))
        pieces.append(np.ones(int(fragment.sum()), np.bool_))
        following = data[span.start]
        onward = left & ~fragment
        span, following, seen = span.moved(length).pick(onward), following[onward], seen[onward]
        if not len(span):
            break
    if len(span):
        table.refuse("too_many_layers", span.rows)
    if not done:
        return span.at(np.zeros(0, np.int64)), np.zeros(0, np.bool_)
    return join(done), np.concatenate(pieces)


def _arrive(table: Table, span: Span, following: U8) -> None:
    table.protocol[span.rows] = following
    table.payload[span.rows] = span.start
    table.payload_len[span.rows] = span.end - span.start
    _unknown(table, span.rows, following, np.ones(len(span), np.bool_))


def _step(data: U8, table: Table, span: Span, kind: U8, seen: U64) -> tuple[I64, Bools, Bools]:
    """Check one extension header each; returns their lengths, which are headers of fragments, and which chains go on (or are those)."""
    rows, room = span.rows, span.end - span.start
    table.protocol[rows] = kind
    nothing = kind == _NONE
    table.mark("ipv6.data_after_none_header", rows[nothing & (room > 0)])
    table.payload_len[rows[nothing]] = 0
    extra = data[span.start + 1].astype(np.int64)
    length = np.select([kind == _FRAGMENT, kind == _AH], [np.int64(8), np.maximum(8 + 4 * extra, 12)], 8 + 8 * extra)
    short = ~nothing & ((room < 2) | (length > room))
    table.refuse("ipv6.trunc_exthdr", rows[short])
    left = ~(nothing | short)
    again = _repeated(table, span, kind, seen, left)
    authentic = left & (kind == _AH)
    table.mark("ipv6.exthdr_ah_res_not_null", rows[authentic & (words(data, span.start + 2) != 0)])
    routing = left & (kind == _ROUTING)
    table.mark("ipv6.rh_type_0", rows[routing & ~again & (data[span.start + 2] == 0)])
    # Until the last hop, the checksum is over an address that only the routing header knows (RFC 8200, 8.1).
    table.flags[rows[routing & (data[span.start + 3] != 0)]] |= np.uint16(columns.CHECKSUM_UNKNOWN)
    for number, prefix in ((_HOP, "ipv6.hopopts"), (_DESTINATION, "ipv6.dstopts")):
        part = left & ~again & (kind == number)
        if part.any():
            inside = Span(rows[part], span.start[part] + 2, (span.start + length)[part])
            check_options(data, table, inside, prefix)
    return length, _fragment(data, table, span, left & ~again & (kind == _FRAGMENT)), left


def _repeated(table: Table, span: Span, kind: U8, seen: U64, left: Bools) -> Bools:
    """Mark headers that may come only once (destination options: twice) and did come again."""
    bit = np.uint64(1) << (kind & 63).astype(np.uint64)
    again = left & ((seen & bit) != 0)
    for number, event in _DUPLICATES.items():
        table.mark(event, span.rows[again & (kind == number)])
    twice = again & (kind == _DESTINATION)
    third = np.uint64(1 << 63)
    table.mark("ipv6.exthdr_dupl_dh", span.rows[twice & ((seen & third) != 0)])
    repeated = again & ~(twice & ((seen & third) == 0)) & ~_IS_SKIPPED[kind]
    seen |= np.where(twice, third, np.uint64(0)) | np.where(left, bit, np.uint64(0))
    return np.asarray(repeated)


def _fragment(data: U8, table: Table, span: Span, chosen: Bools) -> Bools:
    """Note what fragment headers say; returns which are of real fragments (one at offset 0 without more to come is not)."""
    pieces = np.zeros(len(span), np.bool_)
    if not chosen.any():
        return pieces
    index = np.flatnonzero(chosen)
    rows, start = span.rows[index], span.start[index]
    table.mark("ipv6.fh_non_zero_reserved_field", rows[data[start + 1] != 0])
    field = words(data, start + 2)
    whole = (field & 0xFFF9) == 0
    table.mark("ipv6.exthdr_useless_fh", rows[whole])
    table.ip_id[rows] = words(data, start + 4) << 16 | words(data, start + 6)
    table.frag_offset[rows] = field >> 3
    real, more = rows[~whole], (field & 1)[~whole] == 1
    table.flags[real] |= np.where(more, columns.FRAGMENT | columns.MORE_FRAGMENTS, columns.FRAGMENT).astype(np.uint16)
    table.protocol[real] = data[start[~whole]]
    table.payload[real] = start[~whole] + 8
    table.payload_len[real] = (span.end[index] - start - 8)[~whole]
    pieces[index[~whole]] = True
    return pieces
