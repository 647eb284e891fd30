"""The table of backup jobs."""

import msgspec

from console.store.records import Agent, AgentDetail, State, Subject
from console.web.backup_view import STATES, backup_view
from contracts.subjects.backup import BackupJob, JobState
from contracts.subjects.holdings import Gap

NOW = 1_795_280_000_000
UP = AgentDetail(agent=Agent(id="a", name="a", state=State.UP))


def job(name="system", **fields):
    return BackupJob(
        **{
            "job": name,
            "repository": "/srv/b",
            "at": "02:15",
            "late_s": 1.0,
            "stale_s": 2.0,
            "snapshot": "a" * 64,
            **fields,
        }
    )


def subject(name, rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return Subject(agent="a", subject=name, revision=1, at_ms=NOW, rows=encoded)


def view(jobs, states, detail=UP):
    judged = {key: JobState(job=key, state=state, detail="why", since_ms=NOW) for key, state in states.items()}
    return backup_view(detail, subject("backup.jobs", jobs), subject("backup", judged))


def test_only_what_was_restored_is_green():
    for state in ("unverified", "unproven", "late", "failing", "stale"):
        assert view({"system": job()}, {"system": state}).rows[0].sign.tone in ("warn", "bad")
    shown = view({"system": job()}, {"system": "ok"})
    assert (shown.rows[0].sign.tone, shown.summary, shown.tone) == ("good", "1 of 1 job proved by restoring", "")


def test_unproven_is_said_in_capitals_and_the_worst_comes_first():
    shown = view({"a": job("a"), "b": job("b")}, {"a": "unproven", "b": "stale"})
    assert [(row.key, row.sign.word) for row in shown.rows] == [("b", "Stale"), ("a", "UNPROVEN")]
    assert shown.tone == "bad"


def test_a_silent_agents_proof_fades():
    silent = AgentDetail(agent=Agent(id="a", name="a", state=State.DOWN))
    assert view({"system": job()}, {"system": "ok"}, silent).rows[0].sign.word == "Was proved"


def test_a_state_that_is_newer_or_not_judged_is_never_good():
    assert view({"system": job()}, {"system": "splendid"}).rows[0].sign.tone == ""
    assert view({"system": job()}, {}).rows[0].sign.word == "Not known"


def test_no_jobs_not_told_and_not_understood_are_three_things():
    assert backup_view(UP, None, None).word == "Not known yet"
    assert view({}, {}).word == "None"
    assert view({"x": b'{"new":1}'}, {}).word == "Not understood"
    assert set(STATES) == {"suspected", "ok", "unverified", "unproven", "late", "failing", "stale"}


def test_the_restore_of_everything_and_the_recovery_key_are_told():
    whole = job(full_ms=NOW, full_seconds=300.0, rto_s=7200.0, recovery_key="there is no recovery key")
    row = view({"system": whole}, {"system": "ok"}).rows[0]
    assert row.whole.startswith("All of it restored in 5 min")
    assert row.whole.endswith("declared are 2 h")
    assert row.reminder == "there is no recovery key"
    put_off = view({"system": job(full_postponed="no room")}, {"system": "unverified"}).rows[0]
    assert (put_off.whole, put_off.reminder) == ("Never restored as a whole: no room", "")


def test_gaps_come_before_what_is_not_known_and_what_is_left_out_on_purpose():
    rows = {
        state: Gap(kind="data", name=state, state=state, reason="why", since_ms=1)
        for state in ("on purpose", "not known", "missing", "files only")
    }
    shown = backup_view(UP, None, None, subject("backup.gaps", rows))
    assert [row.name for row in shown.gaps] == ["files only", "missing", "not known", "on purpose"]
    assert (shown.gaps_summary, shown.tone) == ("2 gaps, 1 not known", "warn")
    assert backup_view(UP, None, None).gaps == ()
