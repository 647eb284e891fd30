"""Rules about addresses alone (reputation lists: thousands of addresses) found by one search over all their addresses at once."""

from bisect import bisect_right

import numpy as np

from collectors.traffic.block import I64, U64
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.sets import AddressSet, HeaderSets, every_edge

MOST_ADDRESSES = 1 << 20
"""IPv4 addresses of a list; what has more (everything but the own networks) is no list, and its rules are tried for every flow."""


class _Side:
    """The rules that are found by the source, or by the destination: for each interval between addresses, which."""

    def __init__(self, members: list[tuple[AddressSet, int]]) -> None:
        self.edges6 = sorted({edge for one, _ in members for edge in one.edges(6)})
        self.edges4 = every_edge(one for one, _ in members)
        covered = [_covered4(one.edges4, self.edges4) for one, _ in members]
        rules = [np.full(len(at), rule, np.int64) for at, (_, rule) in zip(covered, members, strict=True)]
        self.start4, self.rules4 = _lists(covered, rules, len(self.edges4) + 1)
        self.rules6: dict[int, list[int]] = {}
        for one, rule in members:
            for at in _covered(one.edges(6), self.edges6):
                self.rules6.setdefault(at, []).append(rule)


def _covered(ends: list[int], edges: list[int]) -> list[int]:
    """Return the intervals between `edges` that a set covers."""
    found: list[int] = []
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        found += range(bisect_right(edges, low), bisect_right(edges, high - 1) + 1)
    return found


def _covered4(ends: U64, edges: U64) -> I64:
    """Return the same for many ranges at once."""
    first = np.searchsorted(edges, ends[::2], side="right")
    count = np.searchsorted(edges, ends[1::2] - np.uint64(1), side="right") + 1 - first
    total = int(count.sum())
    inside = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    return np.asarray(np.repeat(first, count) + inside, np.int64)


def _lists(numbers: list[I64], rules: list[I64], count: int) -> tuple[I64, I64]:
    """Return where the list of each number begins (and the last one ends), and the lists in one."""
    of, rule = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in (numbers, rules))
    order = np.lexsort((rule, of))
    start = np.searchsorted(of[order], np.arange(count + 1))
    return start.astype(np.int64), rule[order]


class AddressIndex:
    """Rules that are looked at once for each direction of a flow, by the address that is listed. `open`: those without a list.

    `found_by` is, by rule, the address set that the index has looked up for it, -1 for none: no need to look again.
    """

    def __init__(self, sets: HeaderSets, rules: list[tuple[int, int]]) -> None:
        """`rules`: number of the rule, number of its header, -1 for one that has two."""
        self.open: list[int] = []
        self.found_by: dict[int, int] = {}
        sides: tuple[list[tuple[AddressSet, int]], ...] = ([], [])
        for rule, header in rules:
            if header < 0:
                self.open.append(rule)
                continue
            numbers = (sets.headers[header][0], sets.headers[header][2])
            listed = [sets.addresses[number] for number in numbers]
            choice = min((0, 1), key=lambda side: _width(listed[side]))
            if listed[choice].any or _width(listed[choice]) > MOST_ADDRESSES:
                self.open.append(rule)
                continue
            self.found_by[rule] = numbers[choice]
            sides[choice].append((listed[choice], rule))
        self._sides = [_Side(members) for members in sides]

    def find(self, rows: Rows, chosen: I64) -> tuple[I64, I64]:
        """Return pairs of a row (of those chosen) and a rule whose list has the row's address."""
        found: list[tuple[I64, I64]] = []
        table = rows.table
        six = table.family[chosen] == 6
        four = chosen[~six]
        for side, name in zip(self._sides, ("src", "dst"), strict=True):
            if len(side.edges4) and len(four):
                at = np.searchsorted(side.edges4, getattr(table, f"{name}_lo")[four], side="right")
                found.append(expand(four, at, side.start4, side.rules4))
            if side.rules6:
                found += self._six(side, name, rows, chosen[six])
        return (
            (np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found]))
            if found
            else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        )

    @staticmethod
    def _six(side: _Side, name: str, rows: Rows, chosen: I64) -> list[tuple[I64, I64]]:
        found = []
        high, low = getattr(rows.table, f"{name}_hi"), getattr(rows.table, f"{name}_lo")
        for row in chosen.tolist():
            rules = side.rules6.get(bisect_right(side.edges6, int(high[row]) << 64 | int(low[row])))
            if rules:
                found.append((np.full(len(rules), row, np.int64), np.array(rules, np.int64)))
        return found


def _width(addresses: AddressSet) -> int:
    ends = addresses.edges(4)
    return 1 << 33 if addresses.any else sum(ends[1::2]) - sum(ends[::2])


def expand(items: I64, keys: I64, start: I64, lists: I64) -> tuple[I64, I64]:
    """Return each item with all of the list of its key: `lists[start[key] : start[key + 1]]`."""
    begins, counts = start[keys], start[keys + 1] - start[keys]
    some = np.flatnonzero(counts)
    items, begins, counts = items[some], begins[some], counts[some]
    total = int(counts.sum())
    if not total:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    inside = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(items, counts), lists[np.repeat(begins, counts) + inside]
