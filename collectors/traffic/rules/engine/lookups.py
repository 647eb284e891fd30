"""Named sets of values that rules fill and ask: datasets and reputations of values, kept in memory and bounded."""

from collections.abc import Iterable

from collectors.traffic.rules.language.rule import Datarep, Dataset
from collectors.traffic.rules.lists import OVERHEAD, value_of
from contracts.record import Record

MOST = 1_000_000
"""Values that rules may put into one set; what would be one more is not taken, so that the rule does not match."""


class Loaded(Record):
    """What the file of a set held: values with their reputations (0 in a dataset)."""

    name: str
    rated: bool
    values: dict[bytes, int]


class Lookups:
    """All sets, by name. `refused` counts values that were not taken because their set was full."""

    def __init__(self, loaded: Iterable[Loaded] = ()) -> None:
        self._sets: dict[str, set[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._rated: dict[str, dict[bytes, int]] = {}
        self._loaded: set[str] = set()
        for one in loaded:
            self._loaded.add(one.name)
            if one.rated:
                self._rated[one.name] = one.values
            else:
                self._sets[one.name] = set(one.values)
                self._sizes[one.name] = sum(map(len, one.values)) + OVERHEAD * len(one.values)
        self.refused = 0

    def take_over(self, former: "Lookups") -> None:
        """Go on with the sets that another ruleset's rules have filled; those that are loaded from a file are as their file is now."""
        for name, have in former._sets.items():
            if name not in self._loaded and name not in former._loaded:
                self._sets[name], self._sizes[name] = have, former._sizes.get(name, 0)

    def holds(self, test: object, data: bytes) -> bool:
        """Return whether a test of a set holds for a value; `set` holds when the value is new, `unset` when it was there."""
        if isinstance(test, Datarep):
            return self._compares(test, data)
        if not isinstance(test, Dataset):
            return False
        have = self._sets.setdefault(test.name, set())
        value = value_of(test.type, data)
        if value is None:
            return False
        match test.cmd:
            case "isset":
                return value in have
            case "isnotset":
                return value not in have
            case "unset":
                return self._drop(test, have, value)
        return self._add(test, have, value)

    def _compares(self, test: Datarep, data: bytes) -> bool:
        value = value_of(test.type, data)
        found = self._rated.get(test.name, {}).get(value) if value is not None else None
        if found is None:
            return False
        return {"<": found < test.value, ">": found > test.value, "==": found == test.value}[test.op]

    def _add(self, test: Dataset, have: set[bytes], value: bytes) -> bool:
        if value in have:
            return False
        size = self._sizes.get(test.name, 0) + len(value) + OVERHEAD
        if len(have) >= MOST or (test.memcap and size > test.memcap):
            self.refused += 1
            return False
        have.add(value)
        self._sizes[test.name] = size
        return True

    def _drop(self, test: Dataset, have: set[bytes], value: bytes) -> bool:
        if value not in have:
            return False
        have.discard(value)
        self._sizes[test.name] -= len(value) + OVERHEAD
        return True
