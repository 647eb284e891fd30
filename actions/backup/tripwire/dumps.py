"""Dumps: whether what a database gave this time is out of line with what it gave before: emptied, shrunk by far, grown by far, gone."""

import time

import msgspec

from actions.backup import kinds
from actions.backup.databases.saving import Report
from actions.backup.hold import SUSPECTED_TAG
from actions.backup.snapshot import Snapshot
from actions.backup.tripwire.book import MAX_DUMP_RUNS, MAX_DUMPS, Book, kept, measured, suspected
from actions.backup.tripwire.options import TripwireOptions
from analysis.tripwire import Finding, dump_finding
from contracts.event import Event
from contracts.host import Host
from contracts.text import escape


class DumpWatch:
    """Made for one run of a job: `judge` before the snapshot of a source is published, `settle` after that."""

    def __init__(self, host: Host, name: str, options: TripwireOptions, book: Book) -> None:
        self._host, self._name, self._options = host, name, options
        self.book = book
        self._findings: tuple[Finding, ...] = ()

    def judge(self, report: Report) -> list[str]:
        """Judge what the source gave; the tags that its snapshot is to bear on account of it."""
        self._findings = ()
        if self._options.enabled:
            limits = self._options.limits()
            sizes = _sizes(report).items()
            found = (dump_finding(name, size, self.book.dumps.get(name, ()), limits) for name, size in sizes)
            self._findings = tuple(finding for finding in found if finding is not None)
        return [SUSPECTED_TAG] if self._findings else []

    def settle(self, report: Report, before: tuple[str, Snapshot] | None) -> list[Event]:
        """The snapshot is published: keep what was found, and state it. `before` is the last one of the source."""
        if not self._options.enabled or not report.snapshot:
            return []
        told = self._unknown_suspicion(before)
        if self._findings:
            told.append(self._suspect(report.snapshot, _good(self.book, before)))
        elif self.book.standing is None:
            self.book = msgspec.structs.replace(self.book, dumps=_learnt(self.book, _sizes(report)))
        return told + kept(self._host, self._name, self.book)

    def _suspect(self, snapshot: str, good: tuple[str, ...]) -> Event:
        self.book = suspected(self.book, time.time_ns(), snapshot, good, self._findings)
        assert self.book.standing is not None
        return kinds.ANOMALY_SUSPECTED.event(
            self._name,
            job=self._name,
            snapshot=snapshot,
            good=list(self.book.standing.good),
            detail="; ".join(finding.says for finding in self._findings)[:500],
            measures=list(measured(self._findings)),
            paths=[],
        )

    def _unknown_suspicion(self, before: tuple[str, Snapshot] | None) -> list[Event]:
        """The source's last snapshot is marked as suspected, and nobody stated it: the run that made it was cut off in between."""
        if before is None or self.book.standing is not None:
            return []
        id, snapshot = before
        if SUSPECTED_TAG not in snapshot.tags or id in self.book.cleared:
            return []
        says = "the snapshot before is marked as suspected, and the run that made it was cut off"
        found = (Finding(name="marked", value=1, limit=0, says=says),)
        self.book = suspected(self.book, snapshot.time_ns, id, (), found)
        event = kinds.ANOMALY_SUSPECTED.event(
            self._name, job=self._name, snapshot=id, good=[], detail=says, measures=[], paths=[]
        )
        return [event]


def _sizes(report: Report) -> dict[str, int]:
    """Bytes of each dump by `SOURCE/FILE`, and of all together by `SOURCE` where none of them failed, so that one that is gone shows."""
    sizes = {f"{report.name}/{escape(dumped.file)}": dumped.size for dumped in report.dumped}
    if not report.failed:
        sizes[report.name] = sum(dumped.size for dumped in report.dumped)
    return sizes


def _good(book: Book, before: tuple[str, Snapshot] | None) -> tuple[str, ...]:
    """The source's last snapshot, unless that is suspected itself."""
    marked = book.standing.marked if book.standing is not None else ()
    return (before[0],) if before is not None and before[0] not in marked else ()


def _learnt(book: Book, sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    dumps = {**book.dumps, **{name: (*book.dumps.get(name, ()), size)[-MAX_DUMP_RUNS:] for name, size in sizes.items()}}
    largest = sorted(dumps, key=lambda name: dumps[name][-1], reverse=True)[:MAX_DUMPS]
    return {name: dumps[name] for name in sorted(largest)}
