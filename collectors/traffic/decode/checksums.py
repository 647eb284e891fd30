"""Internet checksums (RFC 1071) of many packets at once: IPv4 headers, and TCP, UDP, ICMP and ICMPv6 with their pseudo headers.

A one's complement sum does not mind how its words are grouped: the data is added up in words of eight bytes from wherever a packet
happens to begin, the bytes before and behind it are taken off again, and the sum's bytes are swapped where it began at an odd position.
"""

import numpy as np

from collectors.traffic.block import CHECKSUM_NOT_READY, CHECKSUM_VALID, I64, U8, U64, Block, Bools
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.table import Table

_LOW32 = np.uint64(0xFFFFFFFF)
_BEFORE = np.array([(1 << (8 * count)) - 1 for count in range(8)], np.uint64)
"""The first `count` bytes of a word, the machine being little-endian."""
_BEHIND = np.array([0, *(0xFFFFFFFFFFFFFFFF ^ ((1 << (8 * count)) - 1) for count in range(1, 8))], np.uint64)
"""The bytes from `count` on; none when a range ends with its word."""
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58


_PIECE = 32 * 1024
"""Words that are folded at a time, so that they stay in the cache between the steps."""


class Sums:
    """One's complement sums over ranges of one block's data; keeps its memory from block to block."""

    def __init__(self) -> None:
        self._folded: U64 = np.zeros(0, np.uint64)
        self._scratch: U64 = np.zeros(_PIECE, np.uint64)
        self._raw: U64 = self._folded

    def load(self, data: U8, used: int) -> None:
        """Prepare the first `used` bytes of a block's data: every word of eight bytes becomes the sum of its halves."""
        # Two more than the data has: the bounds of an empty range at its end lie there.
        count = (used + 7) // 8 + 2
        if len(self._folded) < count:
            self._folded = np.zeros(count, np.uint64)
        self._raw = data[: len(data) & ~7].view(np.uint64)
        for begin in range(0, count, _PIECE):
            raw = self._raw[begin : min(begin + _PIECE, count)]
            folded, scratch = self._folded[begin : begin + len(raw)], self._scratch[: len(raw)]
            np.right_shift(raw, np.uint64(32), out=scratch)
            np.bitwise_and(raw, _LOW32, out=folded)
            np.add(folded, scratch, out=folded)

    def over(self, start: I64, end: I64) -> U64:
        """Return the sum of each range [start, end) as a number modulo 65535 in network byte order, 0 for empty ones."""
        if not len(start):
            return np.zeros(0, np.uint64)
        first, last = start >> 3, (end - 1) >> 3
        bounds = np.empty((len(start), 2), np.int64)
        bounds[:, 0] = first
        bounds[:, 1] = np.maximum(last, first) + 1
        total = np.add.reduceat(self._folded, bounds.ravel())[::2]
        # What belongs to others in the first and last word is taken off by adding its complement (65535 is zero here).
        total += np.uint64(0x1FFFFFFFE) - _fold(self._raw[first] & _BEFORE[start & 7])
        total += np.uint64(0x1FFFFFFFE) - _fold(self._raw[last] & _BEHIND[end & 7])
        total = _fold16(total) % np.uint64(65535)
        swapped = (total >> np.uint64(8)) | ((total & np.uint64(255)) << np.uint64(8))
        total = np.where(start & 1 == 0, swapped, total)
        return np.where(end > start, total, np.uint64(0))


def _fold(words: U64) -> U64:
    return (words & _LOW32) + (words >> np.uint64(32))


def _fold16(total: U64) -> U64:
    """Return numbers below 2**64 as equal ones modulo 65535, at most 65535."""
    total = (total & _LOW32) + (total >> np.uint64(32))
    total = (total & np.uint64(0xFFFF)) + ((total >> np.uint64(16)) & np.uint64(0xFFFF)) + (total >> np.uint64(32))
    total = (total & np.uint64(0xFFFF)) + (total >> np.uint64(16))
    return (total & np.uint64(0xFFFF)) + (total >> np.uint64(16))


def _halves(numbers: U64) -> U64:
    """Return the sum of the four 16-bit words of each number."""
    numbers = (numbers & _LOW32) + (numbers >> np.uint64(32))
    return (numbers & np.uint64(0xFFFF)) + (numbers >> np.uint64(16))


def verify(sums: Sums, block: Block, table: Table) -> None:
    """Set `BAD_IP_CHECKSUM`, `BAD_CHECKSUM` and `CHECKSUM_UNKNOWN` of every row."""
    data, flags = block.data, table.flags
    sums.load(data, block.used)
    four = np.flatnonzero((table.family == 4) & (flags & np.uint16(columns.REASSEMBLED) == 0))
    start = table.l3[four]
    header = (data[start] & 15).astype(np.int64) << 2
    wrong = sums.over(start, start + header) != 0
    if wrong.any():
        flags[four[wrong]] |= np.uint16(columns.BAD_IP_CHECKSUM)
    rows = _verifiable(block, table)
    begin = table.l4[rows]
    end = table.payload[rows] + table.payload_len[rows]
    total = sums.over(begin, end)
    protocol = table.protocol[rows]
    with_pseudo = protocol != _ICMP
    pseudo = (
        _halves(table.src_hi[rows])
        + _halves(table.src_lo[rows])
        + _halves(table.dst_hi[rows])
        + _halves(table.dst_lo[rows])
    )
    pseudo += protocol.astype(np.uint64) + (end - begin).astype(np.uint64)
    total = (total + np.where(with_pseudo, pseudo, np.uint64(0))) % np.uint64(65535)
    bad = total != 0
    if bad.any():
        flags[rows[bad]] |= np.uint16(columns.BAD_CHECKSUM)


def _verifiable(block: Block, table: Table) -> I64:
    """Return the rows whose transport checksum can be verified, and mark the others."""
    protocol, flags = table.protocol, table.flags
    sure = (flags & np.uint16(columns.TRANSPORT | columns.TRUNCATED | columns.CHECKSUM_UNKNOWN)) == columns.TRANSPORT
    sure &= (protocol == _TCP) | (protocol == _UDP) | (protocol == _ICMP) | (protocol == _ICMPV6)
    trusted = None
    if block.flags.any():
        sure &= ((block.flags & np.uint8(CHECKSUM_NOT_READY)) == 0)[table.packet]
        trusted = sure & ((block.flags & np.uint8(CHECKSUM_VALID)) != 0)[table.packet]
    rows = np.flatnonzero(sure if trusted is None else sure & ~trusted)
    unsent = _unsent(block.data, table, rows)
    if unsent.any():
        sure[rows[unsent]] = False
        rows = rows[~unsent]
    table.flags |= np.where(sure, np.uint16(0), np.uint16(columns.CHECKSUM_UNKNOWN))
    return rows


def _unsent(data: U8, table: Table, rows: I64) -> Bools:
    """Return which are UDP over IPv4 without a checksum, which is allowed there."""
    unsent = np.zeros(len(rows), np.bool_)
    index = np.flatnonzero((table.protocol[rows] == _UDP) & (table.family[rows] == 4))
    at = table.l4[rows[index]] + 6
    unsent[index] = (data[at] | data[at + 1]) == 0
    return unsent
