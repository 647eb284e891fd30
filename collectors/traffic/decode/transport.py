"""TCP, UDP and SCTP headers of IPv4 and IPv6 packets alike."""

import numpy as np

from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.options import Options, walk
from collectors.traffic.decode.span import Span, chosen, records
from collectors.traffic.decode.table import Table

TCP, UDP, SCTP = 6, 17, 132
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

_TCP = np.dtype(
    [
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("offset", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("checksum", ">u2"),
        ("urgent", ">u2"),
    ]
)
_UDP = np.dtype([("sport", ">u2"), ("dport", ">u2"), ("length", ">u2"), ("checksum", ">u2")])
_SHAPE = np.dtype(
    {"names": ["first", "second", "last"], "formats": [">u4", ">u4", ">u4"], "offsets": [0, 4, 16], "itemsize": 20}
)
_STAMPS = 0x0101080A
"""Two no-operations and timestamps of ten bytes."""
_SACK = 0x010105
"""Two no-operations and SACK, whose length follows."""
_SEGMENT, _OPENING, _SCALE = 0x0204, 0x0402080A, 0x010303
"""What Linux opens with: segment size, SACK permitted and timestamps, a no-operation and the window scale."""
OPTIONS = Options(
    known={2: (4, 4), 3: (3, 3), 4: (2, 2), 5: (10, 34), 8: (10, 10), 19: (18, 18), 29: (4, 40), 34: (2, 18)}, bare=5
)
"""Maximum segment size, window scale, SACK permitted, SACK (an empty one passes, as with Suricata), timestamps, MD5 signature,
authentication, fast open."""


def tcp(data: U8, table: Table, span: Span) -> Span:
    """Decode TCP headers (RFC 9293); returns the payloads of those that hold."""
    room = span.end - span.start
    fields = records(data, span.start, _TCP)
    length = (fields["offset"] >> 4).astype(np.int64) << 2
    good = (length >= 20) & (room >= length)
    if not good.all():
        small = room < 20
        cut = _cut(table, span, small | (room < length))
        table.refuse("tcp.pkt_too_small", span.rows[small & ~cut])
        table.refuse("tcp.hlen_too_small", span.rows[~small & (length < 20)])
        table.refuse("tcp.invalid_optlen", span.rows[~small & (length >= 20) & (room < length) & ~cut])
        kept = np.flatnonzero(good)
        span, fields, length = span.at(kept), chosen(fields, kept), length[kept]
    rows = span.rows
    table.sport[rows] = fields["sport"].astype(np.uint16)
    table.dport[rows] = fields["dport"].astype(np.uint16)
    table.seq[rows] = fields["seq"].astype(np.uint32)
    table.ack[rows] = fields["ack"].astype(np.uint32)
    table.tcp_flags[rows] = fields["flags"]
    table.window[rows] = fields["window"].astype(np.uint16)
    optional = np.flatnonzero(length > 20)
    if len(optional):
        inside = Span(rows[optional], span.start[optional] + 20, (span.start + length)[optional])
        _options(data, table, inside)
    return _decoded(table, span, length)


def udp(data: U8, table: Table, span: Span) -> Span:
    """Decode UDP headers (RFC 768); returns the payloads of those that hold."""
    room = span.end - span.start
    fields = records(data, span.start, _UDP)
    length = fields["length"].astype(np.int64)
    good = (length == room) & (length >= 8)
    if not good.all():
        small = room < 8
        cut = _cut(table, span, small | (room < length))
        table.refuse("udp.hlen_too_small", span.rows[small & ~cut])
        table.refuse("udp.pkt_too_small", span.rows[~small & (room < length) & ~cut])
        table.refuse("udp.len_invalid", span.rows[~small & (length < 8)])
        table.mark("udp.hlen_invalid", span.rows[~small & (length < room)])
        kept = np.flatnonzero(~small & (length >= 8) & ((room >= length) | cut))
        span, fields, length = span.at(kept), chosen(fields, kept), length[kept]
        span = Span(span.rows, span.start, np.minimum(span.end, span.start + length))
    table.sport[span.rows] = fields["sport"].astype(np.uint16)
    table.dport[span.rows] = fields["dport"].astype(np.uint16)
    return _decoded(table, span, np.int64(8))


def sctp(data: U8, table: Table, span: Span) -> Span:
    """Decode SCTP common headers (RFC 9260); the payload begins with the first chunk."""
    small = span.end - span.start < 12
    if small.any():
        table.refuse("sctp.pkt_too_small", span.rows[small & ~_cut(table, span, small)])
        span = span.pick(~small)
    fields = records(data, span.start, _UDP)
    table.sport[span.rows] = fields["sport"].astype(np.uint16)
    table.dport[span.rows] = fields["dport"].astype(np.uint16)
    return _decoded(table, span, np.int64(12))


def _cut(table: Table, span: Span, short: Bools) -> Bools:
    """Return which short ones are so because the capture ends: these are not malformed."""
    return np.asarray(short & ((table.flags[span.rows] & np.uint16(columns.TRUNCATED)) != 0))


def _decoded(table: Table, span: Span, header: I64 | np.int64) -> Span:
    payload = span.moved(header)  # type: ignore[arg-type]
    table.flags[span.rows] |= np.uint16(columns.TRANSPORT)
    table.l4[span.rows] = span.start
    table.payload[span.rows] = payload.start
    table.payload_len[span.rows] = payload.end - payload.start
    return payload


def _options(data: U8, table: Table, span: Span) -> None:
    """Check options. What nearly all packets have (two no-operations, timestamps, perhaps SACK behind) is known by its shape."""
    room = span.end - span.start
    fields = records(data, span.start, _SHAPE)
    stamped = (fields["first"] == _STAMPS) & (room >= 12)
    rest = np.flatnonzero(~stamped | (room > 12))
    if not len(rest):
        return
    span = Span(span.rows[rest], (span.start + np.where(stamped, 12, 0))[rest], span.end[rest])
    stamped, room = stamped[rest], (span.end - span.start)
    fields = records(data, span.start, _SHAPE)
    acknowledging = (
        stamped & ((fields["first"] >> 8) == _SACK) & ((fields["first"] & 0xFF) == room - 2) & (room % 8 == 4)
    )
    opening = (
        (room == 20)
        & ((fields["first"] >> 16) == _SEGMENT)
        & (fields["second"] == _OPENING)
        & (fields["last"] >> 8 == _SCALE)
    )
    usual = acknowledging | (~stamped & opening)
    if usual.all():
        return
    # Known again from the first option on: what was passed over counts for duplicates.
    span = Span(span.rows, span.start - np.where(stamped, 12, 0), span.end).pick(~usual)
    seen = walk(data, span, OPTIONS)
    table.mark("tcp.opt_invalid_len", span.rows[seen.bad_length | seen.bad_size])
    table.mark("tcp.opt_duplicate", span.rows[seen.duplicate])
