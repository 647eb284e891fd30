"""IPv4 headers (RFC 791): lengths, fragments, options; what follows is left to the transport layers."""

import numpy as np

from collectors.traffic.block import I64, U8, U16, Bools
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.options import Options, walk
from collectors.traffic.decode.span import Span, chosen, records
from collectors.traffic.decode.table import Table

_HEADER = np.dtype(
    [
        ("version_length", "u1"),
        ("tos", "u1"),
        ("length", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", ">u4"),
        ("destination", ">u4"),
    ]
)
HEADER = 20
_SIZES = {
    7: (3, 39),
    68: (5, 40),
    130: (11, 11),
    131: (3, 39),
    133: (3, 40),
    134: (3, 40),
    136: (4, 4),
    137: (3, 39),
    148: (4, 4),
}
_QUICK_START, _QUICK_START_SIZE = 25, (8, 8)
OPTIONS = Options(known={**_SIZES, _QUICK_START: _QUICK_START_SIZE})
"""Option -> least and most length: record route, timestamp, security, source routes, extended security, CIPSO, SID, router alert."""


def decode(data: U8, table: Table, span: Span, snapped: Bools | None) -> tuple[Span, Bools]:
    """Decode the headers at `span`; returns what lies behind those that hold, and which of it are fragments.

    `snapped` says by row which packets were cut by the capture: those may end early without being malformed; None: none were.
    """
    span = _refuse(table, span, span.end - span.start < HEADER, "ipv4.pkt_too_small")
    fields = records(data, span.start, _HEADER)
    first = fields["version_length"]
    length = fields["length"].astype(np.int64)
    available = span.end - span.start
    header = (first & 15).astype(np.int64) << 2
    good = (first == 0x45) & (length >= HEADER) & (available >= length)
    if not good.all():
        kept = _check(table, span, first, header, length, snapped)
        span, fields, header, length = span.at(kept), chosen(fields, kept), header[kept], length[kept]
    rows = span.rows
    end = np.minimum(span.end, span.start + length)
    fragment = fields["fragment"].astype(np.uint16)
    pieces = (fragment & np.uint16(0x3FFF)) != 0
    table.family[rows] = 4
    table.l3[rows] = span.start
    table.ip_len[rows] = length
    table.tos[rows] = fields["tos"]
    table.ttl[rows] = fields["ttl"]
    table.protocol[rows] = fields["protocol"]
    table.ip_id[rows] = fields["id"].astype(np.uint32)
    table.src_lo[rows] = fields["source"].astype(np.uint64)
    table.dst_lo[rows] = fields["destination"].astype(np.uint64)
    table.flags[rows] |= (fragment & np.uint16(0x4000)) >> np.uint16(4)
    start = span.start + header
    if pieces.any():
        _note_fragments(table, rows[pieces], fragment[pieces])
    table.payload[rows] = start
    table.payload_len[rows] = end - start
    optional = np.flatnonzero(header > HEADER)
    if len(optional):
        _options(data, table, Span(rows[optional], span.start[optional] + HEADER, start[optional]))
    return Span(rows, start, end), pieces


def _refuse(table: Table, span: Span, bad: Bools, event: str) -> Span:
    if not bad.any():
        return span
    table.refuse(event, span.rows[bad])
    return span.pick(~bad)


def _check(table: Table, span: Span, first: U8, header: I64, length: I64, snapped: Bools | None) -> I64:
    """Name what is wrong with each header, the first thing only; returns the indices of those that hold."""
    available = span.end - span.start
    left = np.ones(len(span), np.bool_)
    cut = np.zeros(len(span), np.bool_) if snapped is None else snapped[table.packet[span.rows]]
    for bad, event in (
        (first >> 4 != 4, "ipv4.wrong_ip_version"),
        (header < HEADER, "ipv4.hlen_too_small"),
        (length < header, "ipv4.iplen_smaller_than_hlen"),
        ((available < length) & ~cut, "ipv4.trunc_pkt"),
        (available < header, "ipv4.trunc_pkt"),
    ):
        table.refuse(event, span.rows[left & bad])
        left &= ~bad
    short = span.rows[left & (available < length)]
    table.mark("ipv4.trunc_pkt", short)
    table.flags[short] |= np.uint16(columns.TRUNCATED)
    return np.flatnonzero(left)


def _note_fragments(table: Table, rows: I64, fragment: U16) -> None:
    table.frag_offset[rows] = fragment & np.uint16(0x1FFF)
    more = (fragment & np.uint16(0x2000)) != 0
    table.flags[rows] |= np.where(more, columns.FRAGMENT | columns.MORE_FRAGMENTS, columns.FRAGMENT).astype(np.uint16)


def _options(data: U8, table: Table, span: Span) -> None:
    table.mark("ipv4.opt_pad_required", span.rows[(span.end - span.start) % 8 != 0])
    seen = walk(data, span, OPTIONS)
    table.mark("ipv4.opt_invalid_len", span.rows[seen.bad_length])
    table.mark("ipv4.opt_invalid", span.rows[seen.bad_size])
    table.mark("ipv4.opt_duplicate", span.rows[seen.duplicate])
    table.mark("ipv4.opt_unknown", span.rows[seen.unknown])
    table.mark("ipv4.opt_eol_required", span.rows[seen.unfinished])
