"""Gives rules an order that survives their neighbours coming and going.

Numbering rules 1, 2, 3 … would change every row below an inserted rule. Instead each rule has a rank with wide gaps: a rule
that stays keeps its rank, a new one gets a rank between those of its neighbours.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

GAP = 1 << 20


def assign(keys: Sequence[str], old: Mapping[str, int]) -> list[int]:
    """Return ascending ranks for `keys`, as many as possible those in `old`."""
    if not old:
        return [GAP * place for place in range(1, len(keys) + 1)]
    anchors = _longest_ascending([(place, old[key]) for place, key in enumerate(keys) if key in old])
    ranks: list[int] = []
    last = 0
    for place, rank in [*anchors, (len(keys), 0)]:
        missing = place - len(ranks)
        step = (rank - last) // (missing + 1) if place < len(keys) else GAP
        if missing and step < 1:
            return assign(keys, {})
        ranks += [last + step * number for number in range(1, missing + 1)]
        if place < len(keys):
            ranks.append(rank)
            last = rank
    return ranks


def _longest_ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of `pairs` (place, rank) with strictly ascending ranks."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, rank) in enumerate(pairs):
        length = bisect_left(tails, rank)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(rank)
            ends.append(index)
        else:
            tails[length], ends[length] = rank, index
    chosen: list[tuple[int, int]] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]
