"""Options of IPv6's hop-by-hop and destination headers (RFC 8200, 4.2), walked for many packets in step."""

import numpy as np

from collectors.traffic.block import U8
from collectors.traffic.decode.span import Span
from collectors.traffic.decode.table import Table

_PAD1, _PADN = 0, 1
_LEAST = {5: 2, 0xC2: 4, 0xC9: 16}
"""Router alert, jumbo payload and home address: the least length of their values."""
_JUMBO = 0xC2
MAX_OPTIONS = 64
"""Options of one header that are looked at; Linux takes 8 by default. What is behind them is passed over unseen by these checks."""


def check_options(data: U8, table: Table, span: Span, prefix: str) -> None:
    """Mark what is off about the options at `span`; `prefix` is `ipv6.hopopts` or `ipv6.dstopts`."""
    padded = np.zeros(len(span), np.bool_)
    valued = np.zeros(len(span), np.bool_)
    broken = np.zeros(len(span), np.bool_)
    unknown = np.zeros(len(span), np.bool_)
    empty = np.zeros(len(span), np.bool_)
    least = np.zeros(256, np.int64)
    for number, value in _LEAST.items():
        least[number] = value
    index, at, end = np.arange(len(span)), span.start, span.end
    for _ in range(MAX_OPTIONS):
        going = at < end
        index, at, end = index[going], at[going], end[going]
        if not len(index):
            break
        kind = data[at]
        single = kind == _PAD1
        length = np.where(single, np.int64(-1), data[at + 1].astype(np.int64))
        wrong = ~single & ((at + 2 + length > end) | (length < least[kind]))
        broken[index[wrong]] = True
        good = ~wrong
        padding = good & (single | (kind == _PADN))
        padded[index[padding]] = True
        empty[index[good & (kind == _PADN) & (length == 0)]] = True
        other = good & ~padding & (kind != _JUMBO)
        valued[index[other]] = True
        unknown[index[other & (least[kind] == 0)]] = True
        index, at, end = index[good], (at + 2 + length)[good], end[good]
    for chosen, event in (
        (broken, "ipv6.exthdr_invalid_optlen"),
        (empty, "ipv6.zero_len_padn"),
        (unknown, f"{prefix}_unknown_opt"),
        (padded & ~valued, f"{prefix}_only_padding"),
    ):
        table.mark(event, span.rows[chosen])
