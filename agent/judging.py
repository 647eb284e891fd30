"""Runs the judges: builds each one's view from the stored snapshots and gives back what it concluded, in the form of a look.

Judges are pure and small, so they run in the core; the same central execute as in a worker makes one outcome of every run.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from agent import execute
from agent.clock import Clock
from agent.stamping import check_kinds, stamp
from agent.supervision import Look
from contracts.collector import Report
from contracts.event import Event
from contracts.judge import Judge, View
from contracts.outcome import Cost
from contracts.record import Record
from contracts.snapshot import Snapshot, decode, encode


class Store(Protocol):
    """The stored rows, as judges need them (`State`)."""

    def revision(self, subject: str) -> int:
        """Return the subject's revision."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return its rows."""

    def at_ms(self, subject: str) -> int:
        """Return when they were last seen to hold."""

    def accepted(self, subject: str) -> tuple[int, dict[str, bytes]]:
        """Return the accepted baseline and the revision it was taken at, 0 when there is none."""


class Judging:
    """The judges, by name; `judge` runs one, `concerned` says which a changed subject calls for."""

    def __init__(self, judges: Sequence[Judge[Any]], store: Store, clock: Clock) -> None:
        self._judges = {judge.name: judge for judge in judges}
        self._store, self._clock = store, clock

    def names(self) -> tuple[str, ...]:
        """Return the names of all judges."""
        return tuple(self._judges)

    def subjects(self, name: str) -> tuple[str, ...]:
        """Return what the judge looks at."""
        return tuple(self._judges[name].subjects)

    def every_s(self, name: str) -> float:
        """Return how often the judge wants to conclude without a change, 0 for never."""
        return self._judges[name].every_s

    def concerned(self, subject: str) -> tuple[str, ...]:
        """Return the judges that look at `subject`."""
        return tuple(name for name, judge in self._judges.items() if subject in judge.subjects)

    def judge(self, name: str) -> Look:
        """Let the judge `name` conclude."""
        judge = self._judges[name]
        started_ms, started = self._clock.now_ms(), self._clock.monotonic()

        def conclude() -> tuple[Report[Any], tuple[Event, ...]]:
            before = self._before(judge)
            view = View(
                snapshots={subject: self._snapshot(subject, row) for subject, row in judge.subjects.items()},
                accepted={subject: self._accepted(subject, row) for subject, row in judge.subjects.items()},
                now_ms=started_ms,
            )
            report = judge.judge(view, before)
            check_kinds(report.events, judge.kinds)
            return report, stamp(report.events, name, before.revision, started_ms)

        outcome, said = execute.settle(conclude, None)
        cost = Cost(wall_s=self._clock.monotonic() - started)
        if said is None:
            return Look(id=0, subject=name, outcome=outcome, cost=cost, started_ms=started_ms)
        report, events = said
        return Look(
            id=0,
            subject=name,
            outcome=outcome,
            cost=cost,
            events=events,
            changes=encode(report.changes),
            blind=report.blind,
            started_ms=started_ms,
        )

    def _snapshot(self, subject: str, row: type[Record]) -> Snapshot[Any]:
        rows = decode(self._store.rows(subject), row)
        return Snapshot(
            subject=subject, revision=self._store.revision(subject), rows=rows, at_ms=self._store.at_ms(subject)
        )

    def _accepted(self, subject: str, row: type[Record]) -> Snapshot[Any]:
        revision, rows = self._store.accepted(subject)
        return Snapshot(subject=subject, revision=revision, rows=decode(rows, row))

    def _before(self, judge: Judge[Any]) -> Snapshot[Any]:
        try:
            return self._snapshot(judge.name, judge.row)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Conclusions of another version: conclude anew, and state what holds once more.
            return Snapshot(subject=judge.name)
