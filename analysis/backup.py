"""Judges the backup jobs: states when one becomes late, stale or unproven, and when it is well again."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from analysis.backup_state import standing
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Event, FieldType, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects.backup import STATES, SUBJECT, BackupJob, JobState

_FIELDS: Mapping[str, FieldType] = {"job": "str", "detail": "str"}
LATE = Kind(
    name="backup.late",
    meaning="A backup job has made no snapshot for longer than its settings allow.",
    title="Backup {job} is late: {detail}",
    severity=Severity.MEDIUM,
    fields=_FIELDS,
    advice="See `holdfast backup status`, and run it with `holdfast backup run`.",
    ocsf_class=6008,
)
STALE = Kind(
    name="backup.stale",
    meaning="A backup job has made no snapshot for so long that a disaster would cost more than its settings accept.",
    title="Backup {job} is stale: {detail}",
    severity=Severity.HIGH,
    fields=_FIELDS,
    advice="See `holdfast backup status`, and run it with `holdfast backup run`.",
    ocsf_class=6008,
)
UNPROVEN = Kind(
    name="backup.unproven",
    meaning="A backup job makes snapshots, but none of them was restored lately: nobody knows whether they restore.",
    title="Backup {job} is unproven: {detail}",
    severity=Severity.LOW,
    fields=_FIELDS,
    advice="Restore a part of it: `holdfast backup prove`.",
    ocsf_class=6008,
)
WELL = Kind(
    name="backup.well_again",
    meaning="A backup job that was late, stale, failing or unproven is as it should be again.",
    title="Backup {job} is well again: {detail}",
    severity=Severity.INFORMATIONAL,
    fields=_FIELDS,
    ocsf_class=6002,
)
_BY_STATE = {"late": LATE, "stale": STALE, "unproven": UNPROVEN}


class BackupJobs:
    """Every job's state, each change stated once."""

    name: ClassVar[str] = STATES
    kinds: ClassVar[tuple[Kind, ...]] = (LATE, STALE, UNPROVEN, WELL)
    subjects: ClassVar[Mapping[str, type[Record]]] = {SUBJECT: BackupJob}
    row: type[JobState] = JobState
    every_s: ClassVar[float] = 60.0

    def judge(self, view: View, before: Snapshot[JobState]) -> Report[JobState]:
        """Conclude."""
        jobs: Mapping[str, BackupJob] = view.snapshots[SUBJECT].rows
        rows, events = {}, []
        for key, job in sorted(jobs.items()):
            former = before.rows.get(key)
            rows[key] = _row(job, former, view.now_ms)
            event = _event(job, former, rows[key])
            if event is not None:
                events.append(event)
        return Report(events=tuple(events), changes=compare(before.rows, rows), blind=tuple(_unseen(jobs.values())))


def _unseen(jobs: Iterable[BackupJob]) -> Iterator[Blind]:
    """What nobody knows of jobs that make snapshots: whether they could be opened when this host is gone."""
    for job in sorted(jobs, key=lambda each: each.job):
        if job.recovery_key:
            yield Blind(
                what=f"whether the backup {job.job} opens without this host",
                why=Why.OTHER,
                detail=job.recovery_key,
                fix="Make a recovery key and prove it: holdfast backup key recovery, then with --prove.",
            )


def _row(job: BackupJob, former: JobState | None, now_ms: int) -> JobState:
    found = standing(job, now_ms)
    same = former is not None and former.state == found.state
    since_ms = former.since_ms if same and former is not None else now_ms
    return JobState(job=job.job, state=found.state, detail=found.detail, since_ms=since_ms)


def _event(job: BackupJob, former: JobState | None, row: JobState) -> Event | None:
    """What to state of a change; that a run failed is stated by the run itself, and a job that is new has nothing to lose yet."""
    if former is not None and former.state == row.state:
        return None
    kind = _BY_STATE.get(row.state)
    if row.state == "unproven" and not job.snapshot_ms:
        kind = None
    if row.state == "ok" and former is not None:
        kind = WELL
    return None if kind is None else kind.event(job.job, job=job.job, detail=row.detail)
