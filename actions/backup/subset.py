"""Subset: which packs a check reads: one of t equal parts, a share, or so many bytes, as restic's --read-data-subset says it."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from actions.backup.prune_plan import parse_size
from contracts.errors import UsageError

_PART = re.compile(r"(\d+)/(\d+)", re.ASCII)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subset:
    """Part `part` of `parts` (the same packs each time, all parts together are everything), or at random a share, or bytes."""

    part: int = 0
    parts: int = 0
    percent: float = 0
    bytes: int = 0

    def choose(self, packs: Mapping[str, int], dice: random.Random) -> frozenset[str]:
        """The packs (of these names and sizes) to read; at least one of a share or size, when there is one."""
        if self.parts:
            return frozenset(name for name in packs if int(name[:2], 16) % self.parts == self.part - 1)
        names = sorted(packs)
        dice.shuffle(names)
        if self.percent:
            return frozenset(names[: max(1, int(self.percent / 100 * len(names)))])
        chosen: list[str] = []
        total = 0
        while names and total < self.bytes:
            chosen.append(names.pop())
            total += packs[chosen[-1]]
        return frozenset(chosen)


def parse_subset(text: str) -> Subset:
    """Read "n/t" (n from 1 on, t to 256), "x%" or a size such as "500m"; UsageError for anything else."""
    word = text.strip()
    if match := _PART.fullmatch(word):
        part, parts = int(match[1]), int(match[2])
        if 1 <= part <= parts <= 256:
            return Subset(part=part, parts=parts)
    elif match := _SHARE.fullmatch(word):
        if 0 < (percent := float(match[1])) <= 100:
            return Subset(percent=percent)
    elif (size := parse_size(word)) > 0:
        return Subset(bytes=size)
    raise UsageError(
        f"{text!r} is not a part of the data", advice="give n/t with n from 1 to t and t to 256, a share, or a size"
    )
