"""The judge of backup jobs states each change once."""

from msgspec.structs import replace

from analysis.backup import BackupJobs
from contracts.collector import Report
from contracts.judge import View
from contracts.snapshot import Snapshot, apply
from contracts.subjects.backup import SUBJECT, BackupJob, JobState
from tests.analysis.test_backup_state import DAY_MS, GOOD, NOW


def judged(job: BackupJob, before: dict[str, JobState], now_ms: int = NOW) -> Report[JobState]:
    view = View(snapshots={SUBJECT: Snapshot(subject=SUBJECT, rows={job.job: job})}, accepted={}, now_ms=now_ms)
    return BackupJobs().judge(view, Snapshot(subject="backup", rows=before))


def rows(report: Report[JobState], before: dict[str, JobState]) -> dict[str, JobState]:
    return apply(before, report.changes)


def test_late_stale_and_well_again_are_each_stated_once() -> None:
    report = judged(GOOD, {})
    assert report.events == ()
    state = rows(report, {})
    told = []
    for now_ms in (NOW + 2 * DAY_MS, NOW + 2 * DAY_MS + 1000, NOW + 8 * DAY_MS, NOW + 9 * DAY_MS):
        report = judged(replace(GOOD, proved_ms=now_ms), state, now_ms)
        state = rows(report, state)
        told += [event.kind for event in report.events]
    later = NOW + 9 * DAY_MS
    report = judged(replace(GOOD, snapshot_ms=later, proved_ms=later, checked_ms=later), state, later)
    told += [event.kind for event in report.events]
    assert told == ["backup.late", "backup.stale", "backup.well_again"]


def test_a_new_job_is_no_alarm_and_a_snapshot_that_nobody_restored_is() -> None:
    new = BackupJob(job="system", repository="/r", at="02:15", late_s=1e6, stale_s=1e7, since_ms=NOW)
    report = judged(new, {})
    assert report.events == ()
    ran = replace(GOOD, proved_ms=0)
    assert [event.kind for event in judged(ran, {}).events] == ["backup.unproven"]


def test_since_when_it_stands_so_is_kept() -> None:
    state = rows(judged(GOOD, {}), {})
    again = rows(judged(GOOD, state, NOW + 5000), state)
    assert again["system"].since_ms == NOW


def test_a_job_that_is_gone_leaves_no_row() -> None:
    view = View(snapshots={SUBJECT: Snapshot(subject=SUBJECT)}, accepted={}, now_ms=NOW)
    state = rows(judged(GOOD, {}), {})
    assert rows(BackupJobs().judge(view, Snapshot(subject="backup", rows=state)), state) == {}


def test_a_recovery_key_that_nobody_proved_is_a_blind_spot_until_it_is() -> None:
    (blind,) = judged(replace(GOOD, recovery_key="there is no recovery key"), {}).blind
    assert (blind.what, blind.detail) == (
        "whether the backup system opens without this host",
        "there is no recovery key",
    )
    assert "holdfast backup key recovery" in blind.fix
    assert judged(GOOD, {}).blind == ()
