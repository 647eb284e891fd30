"""What a replication has to do: two lists of files compared. Pure: nothing is read or written here.

Only what is missing is added, in an order in which the target is a whole repository at every moment: keys and config (who is who),
packs, the index files that name them, and the snapshots last. Locks are never copied.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from actions.backup.stores.store import FileType, Handle

ORDER = (FileType.KEY, FileType.CONFIG, FileType.PACK, FileType.INDEX, FileType.SNAPSHOT)
"""The order of writing."""

LISTING_ORDER = (FileType.SNAPSHOT, FileType.INDEX, FileType.PACK, FileType.KEY, FileType.CONFIG)
"""The order of looking at the source: what a listed snapshot needs was there before it, so it is in the lists made after."""

Listing = Mapping[FileType, Mapping[str, int]]
"""Size by name, by type; the config's name is empty."""


class Step(NamedTuple):
    """One file to copy, and its size at the source."""

    handle: Handle
    size: int


class Differing(NamedTuple):
    """A file that is on both sides with different sizes: one of them is torn or was changed."""

    handle: Handle
    source_size: int
    target_size: int


@dataclass(slots=True)
class Plan:
    """What is to be copied by type in the order of writing, what is there already, what differs, and what only the target has."""

    steps: dict[FileType, list[Step]] = field(default_factory=dict)
    there: list[Step] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    strangers: list[Step] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files are to be copied."""
        return sum(len(steps) for steps in self.steps.values())

    @property
    def bytes(self) -> int:
        """How many bytes are to be copied."""
        return sum(step.size for steps in self.steps.values() for step in steps)


def plan(source: Listing, target: Listing) -> Plan:
    """Compare what the source holds with what the target holds."""
    made = Plan()
    for type in ORDER:
        here, there = source.get(type, {}), target.get(type, {})
        made.steps[type] = [Step(Handle(type, name), here[name]) for name in sorted(here.keys() - there.keys())]
        for name in sorted(here.keys() & there.keys()):
            if here[name] == there[name]:
                made.there.append(Step(Handle(type, name), here[name]))
            else:
                made.differing.append(Differing(Handle(type, name), here[name], there[name]))
        made.strangers += [Step(Handle(type, name), there[name]) for name in sorted(there.keys() - here.keys())]
    return made


def sample(fresh: Iterable[Step], old: Iterable[Step], max_bytes: int) -> list[Step]:
    """Which files to read back: half of the bytes for what is new, the rest for the others; of each at least one, in the order given."""
    chosen = _some(fresh, max_bytes // 2)
    return chosen + _some(old, max_bytes - sum(step.size for step in chosen))


def _some(steps: Iterable[Step], max_bytes: int) -> list[Step]:
    chosen: list[Step] = []
    left = max_bytes
    for step in steps:
        if step.size <= left or not chosen:
            chosen.append(step)
            left -= step.size
    return chosen
