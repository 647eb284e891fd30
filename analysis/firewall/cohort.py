"""Many probes as the bits of one integer, and what a field is for each of them: value -> bits.

A `Spread` is one field of all packets at once. A packet whose bit stands under several values, or in `unknown`, has one of them and nobody
knows which; a packet whose bit stands nowhere has no such field.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from analysis.firewall.model import Value

Point = Value | tuple[Any, ...]
"""One value, or the values of a concatenation side by side."""

_OFTEN = 8
"""Who asks a spread for the values of single packets so often is answered from an index."""


class Spread:
    """`values`: value -> bits of the packets that (may) have it; `unknown`: bits of those that may have any value at all.

    Never changed after it was made, so that its identity serves as its version.
    """

    __slots__ = ("_asked", "_held", "_keys", "_ranges", "known", "multi", "unknown", "values")

    def __init__(self, values: Mapping[Any, int], unknown: int = 0) -> None:
        self.values = values
        self.unknown = unknown
        seen = multi = 0
        for bits in values.values():
            multi |= seen & bits
            seen |= bits
        self.known = seen
        self.multi = multi | unknown
        self._keys: list[Any] | None = None
        self._ranges: dict[tuple[int, int], int] = {}
        self._held: dict[int, list[Any]] | None = None
        self._asked = 0

    @property
    def present(self) -> int:
        """Bits of the packets that have the field."""
        return self.known | self.unknown

    def between(self, low: int, high: int) -> int:
        """Return the bits of all packets that may have a number from `low` to `high` by their known values."""
        if low == high:
            return self.values.get(low, 0)
        keys = self.keys()
        first, last = bisect_left(keys, low), bisect_right(keys, high)
        if first == 0 and last == len(keys):
            return self.known
        found = self._ranges.get((first, last))
        if found is None:
            found = 0
            for key in keys[first:last]:
                found |= self.values[key]
            self._ranges[first, last] = found
        return found

    def keys(self) -> list[Any]:
        """Return the known numbers in ascending order."""
        if self._keys is None:
            self._keys = sorted(key for key in self.values if isinstance(key, int))
        return self._keys

    def at(self, bit: int) -> list[Any]:
        """Return the values that the packet of this one bit may have."""
        self._asked += 1
        if self._asked < _OFTEN:
            return [value for value, bits in self.values.items() if bits & bit]
        if self._held is None:
            self._held = _by_bit(self.values)
        return self._held.get(bit, [])

    def within(self, bits: int) -> "Spread":
        """Return the same for these packets alone."""
        if self.present & ~bits == 0:
            return self
        return Spread({value: had & bits for value, had in self.values.items() if had & bits}, self.unknown & bits)

    def merged(self, other: "Spread", sure: int, may: int) -> "Spread":
        """Return this spread after an assignment of `other`: `sure` bits have its value now, `may` bits the former one or its value."""
        values = {value: bits & ~sure for value, bits in self.values.items() if bits & ~sure}
        for value, bits in other.values.items():
            if bits & may:
                values[value] = values.get(value, 0) | (bits & may)
        return Spread(values, (self.unknown & ~sure) | (other.unknown & may))

    def compared(self, other: "Spread") -> tuple[int, int]:
        """Return the bits that do not have exactly the same values in `other`, and those that may have one value in both."""
        if other is self:
            return 0, self.present
        changed = self.unknown ^ other.unknown
        kept = (self.unknown & other.present) | (self.present & other.unknown)
        for value in {**self.values, **other.values}:
            one, another = self.values.get(value, 0), other.values.get(value, 0)
            changed |= one ^ another
            kept |= one & another
        return changed, kept

    def mapped(self, change: Callable[[Any], Any]) -> "Spread":
        """Return the spread of `change(value)`."""
        values: dict[Any, int] = {}
        for value, bits in self.values.items():
            new = change(value)
            values[new] = values.get(new, 0) | bits
        return Spread(values, self.unknown)

    def joined(self, other: "Spread") -> "Spread":
        """Return the spread that may be either."""
        return other if self is other else self.merged(other, 0, -1)


def _by_bit(values: Mapping[Any, int]) -> dict[int, list[Any]]:
    """Return the values that the packet of each bit may have."""
    held: dict[int, list[Any]] = {}
    for value, left in values.items():
        while left:
            bit = left & -left
            held.setdefault(bit, []).append(value)
            left ^= bit
    return held


NOTHING = Spread({})


def constant(value: Point, bits: int) -> Spread:
    """Return the spread in which all of `bits` have one value."""
    return Spread({value: bits} if bits else {})


def product(spreads: list[Spread]) -> Spread:
    """Return the concatenation of several fields: tuples of values; a packet that lacks one of them has none."""
    rows: dict[tuple[Any, ...], int] = {(): -1}
    everyone, unknown = -1, 0
    for spread in spreads:
        everyone &= spread.present
        unknown |= spread.unknown
        rows = {
            (*row, value): bits & had
            for row, bits in rows.items()
            for value, had in spread.values.items()
            if bits & had
        }
    return Spread({row: bits & everyone for row, bits in rows.items() if bits & everyone}, unknown & everyone)


def numbers(bits: int) -> Iterator[int]:
    """Yield the positions of the bits that are set, from the lowest."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def grouped(rows: Mapping[int, Any]) -> Spread:
    """Return the spread of one value per bit number; None for a packet without the field."""
    values: dict[Any, int] = {}
    for number, value in rows.items():
        if value is not None:
            values[value] = values.get(value, 0) | (1 << number)
    return Spread(values)
