"""CRC-64 with the polynomial of Redis ("Jones"), at a hundred megabytes a second and more without native code.

A block is one long integer, a polynomial over GF(2). Its upper half is folded onto its lower half again and again: x^n times the upper half
is congruent to (x^n mod P) times it, which is an XOR of a few shifted copies when n is chosen so that the remainder has few terms.
Source: Redis' src/crc64.c (reflected: the first bit is the highest power; initial value and final XOR are 0).
"""

from functools import cache
from typing import NamedTuple

_POLYNOMIAL = 0xAD93D23594C935A9
_REFLECTED = 0x95AC9329AC4BC9B5
_BLOCK = 1 << 20
_SMALL = 1 << 12
"""Bits below which a table does the rest."""
_WINDOW = 8192


class Crc64:
    """The CRC of all that was fed. Holds less than a block of a mebibyte."""

    def __init__(self) -> None:
        self._crc = 0
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._rest += data
        while len(self._rest) >= _BLOCK:
            with memoryview(self._rest) as view:
                self._crc = _block(self._crc, view[:_BLOCK])
            del self._rest[:_BLOCK]

    def value(self) -> int:
        """The CRC so far."""
        return _plain(self._crc, self._rest)


class _Fold(NamedTuple):
    """Takes away the first `cut` bits, whose product with x^n goes by `shifts` onto those that follow."""

    cut: int
    mask: int
    shifts: tuple[int, ...]


def _block(crc: int, block: memoryview) -> int:
    """The CRC after one whole block. The lowest bit of the integer is the highest power."""
    number = int.from_bytes(block, "little") ^ crc
    folds, left = _folds()
    for cut, mask, shifts in folds:
        upper = number & mask
        number >>= cut
        for shift in shifts:
            number ^= upper << shift
    return _plain(0, number.to_bytes(left // 8, "little"))


@cache
def _folds() -> tuple[tuple[_Fold, ...], int]:
    """The folds of a block, and how many bits are left after them."""
    left = 8 * _BLOCK
    found = []
    while left > _SMALL:
        window = min(_WINDOW, left // 8)
        cut = (left - 64 - window) // 16 * 8
        power, remainder = _few_terms(cut + 64, left - cut)
        shifts = tuple(power - term - cut for term in range(64) if remainder >> term & 1)
        found.append(_Fold(cut, (1 << cut) - 1, shifts))
        left -= cut
    return tuple(found), left


def _few_terms(lowest: int, highest: int) -> tuple[int, int]:
    """Of the powers of x in this range, the one whose remainder has the fewest terms, and the remainder."""
    remainder = _power(lowest)
    best = lowest, remainder
    for power in range(lowest + 1, highest + 1):
        remainder <<= 1
        if remainder >> 64:
            remainder ^= 1 << 64 | _POLYNOMIAL
        if remainder.bit_count() < best[1].bit_count():
            best = power, remainder
    return best


def _power(exponent: int) -> int:
    """x^exponent mod P."""
    found = 1
    for bit in bin(exponent)[2:]:
        square = int("0".join(bin(found)[2:]), 2) << (bit == "1")
        while square.bit_length() > 64:
            square ^= (1 << 64 | _POLYNOMIAL) << square.bit_length() - 65
        found = square
    return found


@cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_REFLECTED if crc & 1 else 0)
        found.append(crc)
    return tuple(found)


def _plain(crc: int, data: bytes | bytearray) -> int:
    table = _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc
