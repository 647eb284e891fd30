"""The judge of gaps states each once when it appears and once when it is closed."""

import msgspec

from analysis.gaps import BackupGaps
from contracts.subjects.backup import SUBJECT as JOBS
from contracts.subjects.backup import BackupJob, Covers
from contracts.subjects.holdings import SUBJECT, Holding
from tests.analysis.conftest import Court

JOB = BackupJob(job="system", repository="/r", at="02:15", late_s=1.0, stale_s=2.0, covers=Covers(paths=("/etc",)))


def rows(*paths: str) -> dict[str, Holding]:
    made = [Holding(part="places", kind="data", name=path, path=path) for path in paths]
    return {row.key: row for row in made}


def test_a_gap_is_stated_once_and_closed_once() -> None:
    court = Court(BackupGaps())
    world = {SUBJECT: rows("/etc", "/srv/shop"), JOBS: {"system": JOB}}
    assert court.judge(world) == ["backup.gap_found"]
    assert court.judge(world, now_ms=2_000) == []
    assert court.before.rows["places data /srv/shop"].since_ms == 1_000
    covered = msgspec.structs.replace(JOB, covers=Covers(paths=("/etc", "/srv")))
    assert court.judge({**world, JOBS: {"system": covered}}) == ["backup.gap_closed"]
    assert court.before.rows == {}


def test_a_pattern_taken_for_a_purpose_closes_it_and_keeps_the_row() -> None:
    court = Court(BackupGaps())
    court.judge({SUBJECT: rows("/srv/shop"), JOBS: {"system": JOB}})
    purpose = msgspec.structs.replace(JOB, covers=Covers(paths=("/etc",), not_saved={"/srv/shop": "a mirror"}))
    assert court.judge({SUBJECT: rows("/srv/shop"), JOBS: {"system": purpose}}) == ["backup.gap_closed"]
    assert [row.state for row in court.before.rows.values()] == ["on purpose"]


def test_something_that_is_gone_closes_its_gap() -> None:
    court = Court(BackupGaps())
    court.judge({SUBJECT: rows("/srv/shop"), JOBS: {"system": JOB}})
    assert court.judge({SUBJECT: rows("/etc"), JOBS: {"system": JOB}}) == ["backup.gap_closed"]
    assert court.events[-1].fields["state"] == "gone"


def test_before_a_look_and_without_a_job_nothing_is_said() -> None:
    court = Court(BackupGaps())
    assert court.judge({SUBJECT: None, JOBS: {"system": JOB}}) == []
    assert court.judge({SUBJECT: rows("/srv/shop"), JOBS: {}}) == []


def test_when_the_jobs_go_no_gap_is_called_closed() -> None:
    court = Court(BackupGaps())
    court.judge({SUBJECT: rows("/srv/shop"), JOBS: {"system": JOB}})
    assert court.judge({SUBJECT: rows("/srv/shop"), JOBS: {}}) == []


def test_many_at_once_are_one_event_with_the_count() -> None:
    court = Court(BackupGaps())
    many = rows(*(f"/srv/{number}" for number in range(30)))
    assert court.judge({SUBJECT: many, JOBS: {"system": JOB}}) == ["backup.gap_found"]
    assert court.events[0].fields["what"] == "30 things"
    assert len(court.before.rows) == 30


def test_what_is_not_known_is_a_row_and_no_alarm() -> None:
    court = Court(BackupGaps())
    unknown = Holding(part="mounts", kind="unknown", name="mounts", detail="may not be read")
    assert court.judge({SUBJECT: {unknown.key: unknown}, JOBS: {"system": JOB}}) == []
    assert [row.state for row in court.before.rows.values()] == ["not known"]
