"""Where a generator's choices come from: hypothesis, or a seeded source, which is fast and can be resumed.

Every choice has a tag; `wanted` says which tags should come more often, so that the soak can steer towards what has decided too little.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Chooser(ABC):
    """Chooses. `wanted` maps a tag to its weight; others weigh what the caller says."""

    def __init__(self, wanted: Mapping[str, float] | None = None) -> None:
        self.wanted = dict(wanted or {})

    @abstractmethod
    def number(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""

    def pick(self, options: Sequence[T]) -> T:
        """Return one of `options`; the first ones are the simplest."""
        return options[self.number(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        """Return True in so many of a hundred cases."""
        return self.number(0, 99) >= 100 - percent

    def some(self, options: Sequence[T], low: int, high: int) -> list[T]:
        """Return `low` to `high` different ones of `options` in their order."""
        count = min(self.number(low, high), len(options))
        left, chosen = list(options), []
        for _ in range(count):
            chosen.append(left.pop(self.number(0, len(left) - 1)))
        return [option for option in options if option in chosen]

    def tag(self, weights: Mapping[str, int]) -> str:
        """Return one of the tags, by weight."""
        scaled = [max(1, round(weight * 4 * self.wanted.get(name, 1))) for name, weight in weights.items()]
        at = self.number(0, sum(scaled) - 1)
        for name, weight in zip(weights, scaled, strict=True):
            at -= weight
            if at < 0:
                return name
        raise AssertionError("weights do not add up")


class Seeded(Chooser):
    """Chooses by a pseudo-random source: the same seed gives the same choices."""

    def __init__(self, seed: str, wanted: Mapping[str, float] | None = None) -> None:
        super().__init__(wanted)
        self.source = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        return self.source.randint(low, high)


class Drawn(Chooser):
    """Chooses as hypothesis draws."""

    def __init__(self, draw: st.DrawFn, wanted: Mapping[str, float] | None = None) -> None:
        super().__init__(wanted)
        self.draw = draw

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))
