"""The small values that rules are made of: sets of addresses and ports, comparisons, places in a buffer."""

from msgspec import Struct

Ranges = tuple[tuple[int, int], ...]
"""Sorted, disjoint, both ends included."""

Where = int | str | None
"""A position: a number, the name of a variable (`byte_extract`, `byte_math`), or None when not given."""


class Addresses(Struct, frozen=True):
    """A set of addresses as ranges of integers, by IP version. `any` says that it is everything."""

    any: bool
    v4: Ranges = ()
    v6: Ranges = ()


class Ports(Struct, frozen=True):
    """A set of ports as ranges. `any` says that it is everything, packets without ports included."""

    any: bool
    ranges: Ranges = ()


class Number(Struct, frozen=True):
    """A comparison with an unsigned integer.

    `op`: `=` `!=` `<` `<=` `>` `>=`; `in`, `!in`: low < x < high; `&`: a bit of `low` is set, `!&`: none is; `&=`, `&!=`: x & low == high.
    """

    op: str
    low: int
    high: int = 0

    def holds(self, value: int) -> bool:
        """Return whether the comparison is true of `value`."""
        match self.op:
            case "=":
                return value == self.low
            case "<":
                return value < self.low
            case ">":
                return value > self.low
            case "!=":
                return value != self.low
            case "<=":
                return value <= self.low
            case ">=":
                return value >= self.low
            case "in":
                return self.low < value < self.high
            case "!in":
                return not self.low < value < self.high
        return _bits(self.op, value, self.low, self.high)


def _bits(op: str, value: int, mask: int, wanted: int) -> bool:
    if op in {"&", "!&"}:
        return (value & mask != 0) == (op == "&")
    return (value & mask == wanted) == (op == "&=")
