"""The small values that rules are made of: sets of addresses and ports, comparisons, places in a buffer."""

from msgspec import Struct

Ranges = tuple[tuple[int, int], ...]
"""Sorted, disjoint, both ends included."""

Where = int | str | None
"""A position: a number, the name of a variable (`byte_extract`, `byte_math`), or None when not given."""


class Addresses(Struct, frozen=True, array_like=True, gc=False):
    """A set of addresses as ranges of integers, by IP version. `any` says that it is everything.

    IPv6's are kept as bytes, 16 for each end, because msgpack has no integers of that size.
    """

    any: bool
    v4: Ranges = ()
    packed_v6: bytes = b""

    @property
    def v6(self) -> Ranges:
        """The ranges of IPv6 addresses."""
        ends = [int.from_bytes(self.packed_v6[at : at + 16]) for at in range(0, len(self.packed_v6), 16)]
        return tuple(zip(ends[::2], ends[1::2], strict=True))


def packed(ranges: Ranges) -> bytes:
    """Return ranges of IPv6 addresses as `Addresses` keeps them."""
    return b"".join(end.to_bytes(16) for pair in ranges for end in pair)


class Ports(Struct, frozen=True, array_like=True, gc=False):
    """A set of ports as ranges. `any` says that it is everything, packets without ports included."""

    any: bool
    ranges: Ranges = ()


class Number(Struct, frozen=True, array_like=True, gc=False):
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
