"""One account over all flows: what is kept of what has not ended, and who gives something up when that is too much.

Whoever holds most gives first, so that nobody can have others forgotten by filling the account alone: from the pairs of ends that hold most
down to a level that is the same for all, of each pair what began first. What began just now is spared until nothing older is left, since
ordinary bodies are over soon.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

YOUNG_NS: Final = 2_000_000_000
"""What is younger is cut last."""
PART: Final = 16 << 20
"""When so much has been added since rules looked, they look before more of the same block is taken."""


Pair = tuple[int, tuple[int, int], tuple[int, int]]
"""Family, client and server, each as the two halves of its address."""


class Meter:
    """What has been added to what is kept since the last look, at most: parsers and decoders count it as it comes."""

    __slots__ = ("grown",)

    def __init__(self) -> None:
        self.grown = 0


class Holding(NamedTuple):
    """What one flow holds: `key` is its pair of ends, `since_ns` when it began to hold something."""

    slot: int
    key: Pair
    since_ns: int
    size: int


class Account:
    """The books: `total` as of the last look, and when the next one is due. Sizes are estimates in bytes, on the high side."""

    def __init__(self, budget: int) -> None:
        self.meter = Meter()
        self.budget = budget
        self.total = 0
        self.room = budget // 4
        """So much may be added before it is looked again."""
        self.part = PART
        self.since = 0
        """What was added since rules looked, as of the last look."""
        self.over = False
        """Whether the last look, in the midst of a block, found too much: at its end something is to be done."""
        self.cut = 0
        """Conversations of which something was cut."""
        self.cut_bytes = 0
        self.left = 0
        """Of these, those that are read no further."""
        self.most: list[tuple[Pair, int]] = []
        """The pairs of ends that held most when something was cut last."""

    def resize(self, budget: int) -> None:
        """Go on with another budget, from the next look on."""
        self.budget, self.room = budget, 0

    @property
    def easy(self) -> bool:
        """Whether there is so little that nothing need be made small."""
        return self.total <= self.budget // 4

    @property
    def target(self) -> int:
        """What is to be left when too much is held."""
        return self.budget - self.budget // 8

    def looked(self) -> None:
        """Note that `total` is as it is."""
        self.since += self.meter.grown
        self.meter.grown = 0
        self.over = self.total > self.budget
        self.room = max(self.budget // 16, min(self.budget // 4, self.budget - self.total))


def victims(holdings: Sequence[Holding], over: int, now_ns: int) -> list[Holding]:
    """Choose who gives up what they hold, until `over` bytes are freed or nothing is left."""
    chosen: list[Holding] = []
    old = [one for one in holdings if now_ns - one.since_ns >= YOUNG_NS]
    young = [one for one in holdings if now_ns - one.since_ns < YOUNG_NS]
    for part in (old, young):
        if over <= 0:
            break
        fresh = _share(part, over)
        chosen += fresh
        over -= sum(one.size for one in fresh)
    return chosen


def most_held(holdings: Iterable[Holding], count: int) -> list[tuple[Pair, int]]:
    """Return the pairs of ends that hold most, with what they hold."""
    sums: dict[Pair, int] = {}
    for one in holdings:
        sums[one.key] = sums.get(one.key, 0) + one.size
    return sorted(sums.items(), key=lambda item: item[1], reverse=True)[:count]


def _share(holdings: Sequence[Holding], over: int) -> list[Holding]:
    """Bring all pairs of ends down to one level; of each what is oldest goes first."""
    by_key: dict[Pair, list[Holding]] = {}
    for one in holdings:
        by_key.setdefault(one.key, []).append(one)
    level = _level([sum(one.size for one in held) for held in by_key.values()], over)
    chosen: list[Holding] = []
    for held in by_key.values():
        size = sum(one.size for one in held)
        if size <= level:
            continue
        for one in sorted(held, key=lambda one: one.since_ns):
            if size <= level:
                break
            size -= one.size
            chosen.append(one)
    return chosen


def _level(sums: list[int], over: int) -> int:
    """Return the highest level that frees `over` bytes when whatever is above it is cut down to it; 0 when all is too little."""
    sums = sorted(sums, reverse=True)
    above = 0
    for count, size in enumerate(sums, start=1):
        above += size
        level = (above - over) // count
        below = sums[count] if count < len(sums) else 0
        if level >= below:
            return max(0, level)
    return 0
