"""Named sets of values that rules fill and ask: datasets and reputations of values, kept in memory and bounded."""

from collections.abc import Iterable

from collectors.traffic.rules.language.rule import Datarep, Dataset
from collectors.traffic.rules.lists import KEPT_BYTES, OVERHEAD, entries, size_of, value_of, written
from contracts.record import Record

MOST = 1_000_000
"""Values that rules may put into one set; what would be one more is not taken, so that the rule does not match."""


class Loaded(Record):
    """What the file of a set held: values with their reputations (0 in a dataset).

    `kept`: it is kept between runs; `lasting`: and begins with what was kept; `filled`: by rules alone, no file is read for it anew.
    """

    name: str
    rated: bool
    values: dict[bytes, int]
    type: str = ""
    kept: bool = False
    lasting: bool = False
    filled: bool = False


class Lookups:
    """All sets, by name. `refused` counts values that were not taken because their set was full."""

    def __init__(self, loaded: Iterable[Loaded] = ()) -> None:
        self._sets: dict[str, set[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._rated: dict[str, dict[bytes, int]] = {}
        self._loaded: set[str] = set()
        self._kept: dict[str, str] = {}
        self._changed: set[str] = set()
        self._lasting: set[str] = set()
        for one in loaded:
            if one.kept:
                self._kept[one.name] = one.type
            if one.lasting:
                self._lasting.add(one.name)
            if not one.filled:
                self._loaded.add(one.name)
            if one.rated:
                self._rated[one.name] = one.values
            else:
                self._sets[one.name] = set(one.values)
                self._sizes[one.name] = size_of(one.values)
        self.refused = 0

    def take_over(self, former: "Lookups") -> None:
        """Go on with the sets that another ruleset's rules have filled; those that are loaded from a file are as their file is now."""
        for name, have in former._sets.items():
            if name not in self._loaded and name not in former._loaded:
                self._sets[name], self._sizes[name] = have, former._sizes.get(name, 0)
                if name in former._changed and name in self._kept:
                    self._changed.add(name)

    @property
    def lasting(self) -> frozenset[str]:
        """Return the sets that begin with what was kept of them."""
        return frozenset(self._lasting)

    def restore(self, name: str, content: bytes) -> None:
        """Go on with a set as it was kept, besides what has been added since; raises `ValueError` for what is no list of its type."""
        values = {value for value, _ in entries(content, self._kept[name], rated=False)}
        if size_of(values) > KEPT_BYTES:
            raise ValueError(f"it is larger than {KEPT_BYTES >> 20} MiB")
        fresh = self._sets.get(name, set()) if name in self._changed else set()
        self._sets[name] = values | fresh
        self._sizes[name] = size_of(self._sets[name])

    def changed(self) -> list[tuple[str, bytes]]:
        """Return the sets that are kept and have changed since the last time, each as the list that `restore` takes."""
        found = [
            (name, b"".join(written(self._kept[name], value) + b"\n" for value in sorted(self._sets[name])))
            for name in sorted(self._changed)
        ]
        self._changed.clear()
        return found

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
        most = min(test.memcap or KEPT_BYTES, KEPT_BYTES) if test.name in self._kept else test.memcap
        if len(have) >= MOST or (most and size > most):
            self.refused += 1
            return False
        have.add(value)
        self._sizes[test.name] = size
        self._change(test.name)
        return True

    def _drop(self, test: Dataset, have: set[bytes], value: bytes) -> bool:
        if value not in have:
            return False
        have.discard(value)
        self._sizes[test.name] -= len(value) + OVERHEAD
        self._change(test.name)
        return True

    def _change(self, name: str) -> None:
        if name in self._kept:
            self._changed.add(name)
