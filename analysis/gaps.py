"""Judges whether the backup jobs cover what this host holds: states a gap when it appears, and when it is closed."""

from collections.abc import Mapping
from typing import ClassVar

from analysis.completeness import GAPS as GAP_STATES
from analysis.completeness import SAVED, Told, judge
from contracts.collector import Report
from contracts.event import Event, FieldType, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects.backup import SUBJECT as JOBS
from contracts.subjects.backup import BackupJob
from contracts.subjects.holdings import GAPS, SUBJECT, Gap, Holding

MOST = 20
"""More gaps than these at once are one event with the count."""

_FIELDS: Mapping[str, FieldType] = {"what": "str", "path": "str", "state": "str", "detail": "str"}
FOUND = Kind(
    name="backup.gap_found",
    meaning="This host holds something that no backup job covers as it should.",
    title="No backup covers {what}: {detail}",
    severity=Severity.MEDIUM,
    fields={**_FIELDS, "settings": "str", "paths": "list"},
    advice="See `holdfast backup coverage`: it names the settings that cover it; what needs no backup goes into backup.not_saved.",
    ocsf_class=2004,
)
CLOSED = Kind(
    name="backup.gap_closed",
    meaning="Something that no backup job covered is covered now, is gone, or is left out on purpose.",
    title="The backup's gap at {what} is closed: {detail}",
    severity=Severity.INFORMATIONAL,
    fields=_FIELDS,
    ocsf_class=6002,
)


class BackupGaps:
    """Every gap, stated once when it appears and once when it is closed."""

    name: ClassVar[str] = GAPS
    kinds: ClassVar[tuple[Kind, ...]] = (FOUND, CLOSED)
    subjects: ClassVar[Mapping[str, type[Record]]] = {SUBJECT: Holding, JOBS: BackupJob}
    row: type[Gap] = Gap
    every_s: ClassVar[float] = 0.0

    def judge(self, view: View, before: Snapshot[Gap]) -> Report[Gap]:
        """Conclude; before the first look, and without a job, nothing is said."""
        holdings = view.snapshots[SUBJECT]
        if holdings.first:
            return Report()
        jobs: Mapping[str, BackupJob] = view.snapshots[JOBS].rows
        told = judge(holdings.rows, {key: job.covers for key, job in sorted(jobs.items())})
        rows = {key: each.row(_since(before, key, each, view.now_ms)) for key, each in told.items() if _kept(each)}
        new = [key for key, row in rows.items() if row.state in GAP_STATES and not _was_gap(before, key)]
        closed = [key for key, row in before.rows.items() if row.state in GAP_STATES and not _is_gap(rows, key)]
        events = [*_found(rows, new), *(_closed(before.rows[key], told.get(key)) for key in closed if jobs)]
        return Report(events=tuple(events), changes=compare(before.rows, rows))


def _kept(told: Told) -> bool:
    return told.state not in (SAVED, "elsewhere")


def _since(before: Snapshot[Gap], key: str, told: Told, now_ms: int) -> int:
    former = before.rows.get(key)
    return former.since_ms if former is not None and former.state == told.state else now_ms


def _was_gap(before: Snapshot[Gap], key: str) -> bool:
    return _is_gap(before.rows, key)


def _is_gap(rows: Mapping[str, Gap], key: str) -> bool:
    return key in rows and rows[key].state in GAP_STATES


def _found(rows: Mapping[str, Gap], new: list[str]) -> list[Event]:
    if len(new) <= MOST:
        return [
            FOUND.event(
                key,
                what=rows[key].name,
                path=rows[key].path,
                state=rows[key].state,
                detail=rows[key].reason[:500],
                settings=rows[key].settings[:2000],
            )
            for key in new
        ]
    names = [rows[key].name for key in new]
    detail = "see `holdfast backup coverage`"
    return [FOUND.event("many", what=f"{len(new)} things", state="many", detail=detail, paths=names[:MOST])]


def _closed(former: Gap, told: Told | None) -> Event:
    detail = told.reason if told is not None else "it is not there any more"
    state = told.state if told is not None else "gone"
    return CLOSED.event(
        former.path or former.name, what=former.name, path=former.path, state=state, detail=detail[:500]
    )
