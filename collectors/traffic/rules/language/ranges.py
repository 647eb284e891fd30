"""Sets of integers as sorted, disjoint ranges."""

from collections.abc import Iterable

from collectors.traffic.rules.language.rule import Ranges


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges joined where they overlap or touch."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            if high > joined[-1][1]:
                joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)


def minus(ranges: Ranges, holes: Ranges) -> Ranges:
    """Return what of `ranges` is in none of `holes`; both are sorted and disjoint."""
    left: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        while at < len(holes) and holes[at][1] < low:
            at += 1
        here = at
        while low <= high and here < len(holes) and holes[here][0] <= high:
            if holes[here][0] > low:
                left.append((low, holes[here][0] - 1))
            low = holes[here][1] + 1
            here += 1
        if low <= high:
            left.append((low, high))
    return tuple(left)


def contains(ranges: Ranges, value: int) -> bool:
    """Return whether `value` is in the set."""
    return any(low <= value <= high for low, high in ranges)
