"""ICMP (RFC 792) and ICMPv6 (RFC 4443): type and code, whether these are known, and the packet that an error quotes."""

import numpy as np

from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.side import QUOTE, Side, merge
from collectors.traffic.decode.span import Span, records, words
from collectors.traffic.decode.table import Table

ICMP, ICMPV6 = 1, 58
_UNKNOWN, _UNASSIGNED, _EXPERIMENT = -1, -2, -3

_MOST_CODE = np.full(256, _UNKNOWN, np.int64)
for _type, _code in (
    (0, 0),
    (3, 15),
    (4, 0),
    (5, 3),
    (8, 0),
    (9, 16),
    (10, 0),
    (11, 1),
    (12, 2),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 0),
    (17, 0),
    (18, 0),
):
    _MOST_CODE[_type] = _code
_MOST_CODE6 = np.full(256, _UNKNOWN, np.int64)
_MOST_CODE6[5:100] = _MOST_CODE6[102:127] = _MOST_CODE6[160:200] = _MOST_CODE6[202:255] = _UNASSIGNED
_MOST_CODE6[[100, 101, 200, 201]] = _EXPERIMENT
for _type, _code in ((1, 7), (2, 0), (3, 1), (4, 2), (139, 2), (140, 2)):
    _MOST_CODE6[_type] = _code
_MOST_CODE6[
    [128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 141, 142, 143, 144, 145, 146, 147, 148, 149, 151, 152, 153]
] = 0
_MOST_CODE6[138] = 255
"""The highest code of each type that is known; negative where the type is not."""

_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
_IS_ERROR = {protocol: np.isin(np.arange(256), kinds) for protocol, kinds in _ERRORS.items()}
_PORTS = np.dtype([("sport", ">u2"), ("dport", ">u2")])
_QUOTED4 = np.dtype(
    {
        "names": ["first", "fragment", "protocol", "src_lo", "dst_lo"],
        "formats": ["u1", ">u2", "u1", ">u4", ">u4"],
        "offsets": [0, 6, 9, 12, 16],
        "itemsize": 20,
    }
)
_QUOTED6 = np.dtype(
    {
        "names": ["first", "protocol", "src_hi", "src_lo", "dst_hi", "dst_lo"],
        "formats": ["u1", "u1", ">u8", ">u8", ">u8", ">u8"],
        "offsets": [0, 6, 8, 16, 24, 32],
        "itemsize": 40,
    }
)
_WITH_PORTS = np.isin(np.arange(256), (6, 17, 132))
_MESSAGES = np.isin(np.arange(256), (ICMP, ICMPV6))


def icmp(data: U8, table: Table, span: Span, protocol: int) -> Span:
    """Decode ICMP (`protocol` 1) or ICMPv6 (58) messages; returns the payloads of those that hold (behind eight bytes)."""
    name, least = ("icmpv4", 8) if protocol == ICMP else ("icmpv6", 8)
    small = span.end - span.start < least
    if small.any():
        cut = small & ((table.flags[span.rows] & np.uint16(columns.TRUNCATED)) != 0)
        table.refuse(f"{name}.pkt_too_small", span.rows[small & ~cut])
        span = span.pick(~small)
    rows = span.rows
    kind, code = data[span.start], data[span.start + 1]
    table.sport[rows] = kind
    table.dport[rows] = code
    table.flags[rows] |= np.uint16(columns.TRANSPORT)
    table.l4[rows] = span.start
    payload = span.moved(8)
    table.payload[rows] = payload.start
    table.payload_len[rows] = payload.end - payload.start
    most = (_MOST_CODE if protocol == ICMP else _MOST_CODE6)[kind]
    for chosen, event in (
        (most == _UNKNOWN, f"{name}.unknown_type"),
        (most == _UNASSIGNED, "icmpv6.unassigned_type"),
        (most == _EXPERIMENT, "icmpv6.experimentation_type"),
        ((most >= 0) & (code > most), f"{name}.unknown_code"),
    ):
        table.mark(event, rows[chosen])
    if protocol == ICMPV6:
        table.mark("icmpv6.mld_message_with_invalid_hl", rows[(kind >= 130) & (kind <= 132) & (table.ttl[rows] != 1)])
    error = _IS_ERROR[protocol][kind]
    if error.any():
        _quote(data, table, payload.pick(error), protocol)
    return payload


def _quote(data: U8, table: Table, span: Span, protocol: int) -> None:
    """Note the packets that errors quote, where enough of them is there."""
    header, version, layout = (20, 4, _QUOTED4) if protocol == ICMP else (40, 6, _QUOTED6)
    short_event, version_event = (
        ("icmpv4.ipv4_trunc_pkt", "icmpv4.ipv4_unknown_ver")
        if protocol == ICMP
        else ("icmpv6.ipv6_trunc_pkt", "icmpv6.ipv6_unknown_version")
    )
    short = span.end - span.start < header
    table.mark(short_event, span.rows[short])
    span = span.pick(~short)
    wrong = data[span.start] >> 4 != version
    table.mark(version_event, span.rows[wrong])
    span = span.pick(~wrong)
    if not len(span):
        return
    fields = records(data, span.start, layout)
    quotes = np.zeros(len(span), QUOTE)
    quotes["family"] = version
    for name in layout.names or ():
        if name in QUOTE.fields:  # type: ignore[operator]
            quotes[name] = fields[name]
    at = span.start + (((fields["first"] & 15).astype(np.int64) << 2) if version == 4 else header)
    _ports(data, span, at, fields["fragment"] & 0x1FFF == 0 if version == 4 else np.ones(len(span), np.bool_), quotes)
    table.quotes = merge([table.quotes, Side(span.rows, quotes)])


def _ports(data: U8, span: Span, at: I64, first: Bools, quotes: "np.ndarray[tuple[int], np.dtype[np.void]]") -> None:
    protocol = quotes["protocol"]
    whole = np.flatnonzero(first & (at >= span.start + 20) & (at + 4 <= span.end))
    ported = whole[_WITH_PORTS[protocol[whole]]]
    fields = records(data, at[ported], _PORTS)
    quotes["sport"][ported] = fields["sport"]
    quotes["dport"][ported] = fields["dport"]
    messages = whole[_MESSAGES[protocol[whole]]]
    both = words(data, at[messages])
    quotes["sport"][messages] = both >> 8
    quotes["dport"][messages] = both & 255
