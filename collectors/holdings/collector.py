"""Looks at what this host holds that a backup should have; which of it no job covers is for the judge `backup.gaps`."""

from collections.abc import Callable
from typing import ClassVar

from collectors.holdings import databases, mounts, places, volumes
from collectors.holdings.options import Options
from collectors.holdings.reading import Reading
from collectors.holdings.tagged import Tagged
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Unavailable
from contracts.event import Kind
from contracts.host import ReadOnlyHost
from contracts.snapshot import Snapshot, compare
from contracts.subjects.holdings import SUBJECT, UNKNOWN, Holding

_PARTS: tuple[tuple[str, Callable[[Reading], list[Holding]]], ...] = (
    (databases.PART, databases.look),
    (mounts.PART, mounts.look),
    (volumes.PART, volumes.look),
    (places.PART, places.look),
)


class HoldingsCollector:
    """Databases, file systems, volumes of containers, and the places where settings and data lie."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    row: type[Holding] = Holding
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Holding]) -> Report[Holding]:
        """Look at each part. Of one that was not wholly seen nothing that was known goes away, and a row says so."""
        after: dict[str, Holding] = {}
        blind: list[Blind] = []
        for part, look in _PARTS:
            reading = Reading(host, part)
            try:
                tagged = Tagged(reading, self._options.tags)
                found = [tagged.on(row) for row in look(reading)]
            except Unavailable as error:
                reading.miss(part, error)
                found = []
            after |= {row.key: row for row in found}
            if reading.blind:
                after |= {key: row for key, row in before.rows.items() if _keeps(row, part) and key not in after}
                unknown = _unknown(part, reading.blind)
                after[unknown.key] = unknown
                blind += reading.blind
        return Report(changes=compare(before.rows, after), blind=tuple(dict.fromkeys(blind)))


def _keeps(row: Holding, part: str) -> bool:
    return row.part == part and row.kind != UNKNOWN


def _unknown(part: str, blind: list[Blind]) -> Holding:
    more = f" (and {len(blind) - 1} more)" if len(blind) > 1 else ""
    return Holding(part=part, kind=UNKNOWN, name=part, detail=f"{blind[0].detail or blind[0].what}{more}")
