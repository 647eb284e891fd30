"""Which transactions a rule may be about: by the protocols they are in, and by the headers of the rules for these."""

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.plan import TRANSACTION, Compiled
from collectors.traffic.rules.engine.rows import Rows

ANY = ""
"""Stands for the rules that are about every protocol's transactions."""
Names = tuple[str, str]
"""The protocol of a conversation and that of a transaction in it: rules for either of them may be about it."""


def headers(rules: list[Compiled]) -> dict[str, list[int]]:
    """Return, by protocol, the headers of the rules about its transactions."""
    found: dict[str, set[int]] = {}
    for one in rules:
        if one.kind == TRANSACTION:
            for name in one.applications or (ANY,):
                found.setdefault(name, set()).update({one.header, one.header_back} - {-1})
    return {name: sorted(numbers) for name, numbers in sorted(found.items())}


class Spoken:
    """Says of transactions whether the header of any rule for their protocols fits the packet they come with."""

    def __init__(self, kinds: HeaderKinds, first: int, names: list[str]) -> None:
        """`names`: the protocols whose rules' headers are the groups of `kinds` from `first` on."""
        self._kinds = kinds
        self._group = {name: first + number for number, name in enumerate(names)}

    def wanted(self, rows: Rows, chosen: I64, names: list[Names]) -> Bools:
        """Return, for transactions that come with rows `chosen`, whether they are to be looked at."""
        at: dict[Names, list[int]] = {}
        for place, name in enumerate(names):
            at.setdefault(name, []).append(place)
        found = np.zeros(len(names), np.bool_)
        kinds = self._kinds.of(rows, chosen)
        for pair, places in at.items():
            groups = [self._group[name] for name in {*pair, ANY} if name in self._group]
            found[places] = self._kinds.wanted[kinds[places]][:, groups].any(axis=1)
        return found
