"""How a job stands follows from facts and the time alone, and green takes a dated proof."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from analysis.backup_state import ORDER, standing
from contracts.subjects.backup import BackupDatabase, BackupJob

DAY_MS = 86_400_000
NOW = 1_795_280_000_000
GOOD = BackupJob(
    job="system",
    repository="/srv/b",
    at="02:15",
    late_s=36 * 3600.0,
    stale_s=7 * 86400.0,
    since_ms=NOW - 100 * DAY_MS,
    ran_ms=NOW - 1000,
    outcome="finished",
    snapshot="a" * 64,
    snapshot_ms=NOW - 1000,
    proved_ms=NOW - 500,
    checked_ms=NOW - 400,
)


def test_recent_restored_and_checked_is_ok() -> None:
    assert standing(GOOD, NOW).state == "ok"


def test_a_copy_that_is_not_whole_is_failing_however_good_all_is_here() -> None:
    found = standing(replace(GOOD, copies={"sftp://b//x": "no answer", "sftp://a//x": "torn"}), NOW)
    assert (found.state, found.detail) == ("failing", "the copy on sftp://a//x is not whole: torn")


def test_what_is_noted_beside_the_snapshots_is_said_with_every_state() -> None:
    found = standing(replace(GOOD, notes={"retire": "nothing is removed: unproved", "a": "can be destroyed"}), NOW)
    assert found.state == "ok"
    assert found.detail.endswith("ago; can be destroyed; nothing is removed: unproved")
    failed = standing(replace(GOOD, outcome="failed", detail="no room", notes={"a": "can be destroyed"}), NOW)
    assert (failed.state, failed.detail) == ("failing", "no room; can be destroyed"), "and with whatever else it is"


def test_what_was_never_restored_is_unproven_however_often_it_ran() -> None:
    found = standing(replace(GOOD, proved_ms=0), NOW)
    assert (found.state, found.detail) == ("unproven", "never restored")
    assert standing(replace(GOOD, proved_ms=NOW - 3 * DAY_MS), NOW).state == "unproven"
    assert standing(replace(GOOD, proved_ms=NOW + 1), NOW).state == "unproven", (
        "a proof from the future counts for nothing"
    )


def test_restored_but_never_checked_is_unverified() -> None:
    assert standing(replace(GOOD, checked_ms=0), NOW).state == "unverified"


def test_a_job_is_late_and_then_stale_also_one_that_never_ran() -> None:
    assert standing(replace(GOOD, snapshot_ms=NOW - 2 * DAY_MS), NOW).state == "late"
    assert standing(replace(GOOD, snapshot_ms=NOW - 8 * DAY_MS), NOW).state == "stale"
    never = BackupJob(job="x", repository="/r", at="02:15", late_s=3600.0, stale_s=7200.0, since_ms=NOW)
    assert standing(never, NOW).state == "unproven"
    assert standing(never, NOW + 3_600_000).state == "late"
    assert standing(never, NOW + 7_200_000).state == "stale"


def test_a_failed_run_proof_or_check_is_failing_with_its_reason() -> None:
    assert standing(replace(GOOD, outcome="failed", detail="no space"), NOW).detail == "no space"
    failed = replace(GOOD, proof_failed_ms=NOW - 100, proof_detail="etc/passwd differs")
    assert standing(failed, NOW).state == "failing"
    assert "etc/passwd" in standing(failed, NOW).detail
    assert standing(replace(GOOD, damaged_ms=NOW - 100, damage="data/ab"), NOW).state == "failing"


@given(
    st.builds(
        replace,
        st.just(GOOD),
        outcome=st.sampled_from(["never", "finished", "partial", "failed"]),
        snapshot_ms=st.integers(0, NOW + DAY_MS),
        proved_ms=st.integers(0, NOW + DAY_MS),
        checked_ms=st.integers(0, NOW + DAY_MS),
        proof_failed_ms=st.integers(0, NOW),
    )
)
def test_every_job_stands_somehow_and_ok_only_with_a_proof_that_holds(job: BackupJob) -> None:
    found = standing(job, NOW)
    assert found.state in ORDER
    assert found.detail
    if found.state == "ok":
        assert job.outcome != "failed"
        assert job.proved_ms <= NOW < job.proved_ms + job.proof_s * 1000
        assert NOW - job.snapshot_ms < job.late_s * 1000


def test_a_full_restore_is_asked_for_by_the_settings_alone_and_missed_only_after_its_time() -> None:
    asked = replace(GOOD, full_s=60 * 86400.0)
    assert standing(asked, NOW).state == "unverified", "configured 100 days ago, and never done"
    assert standing(replace(asked, since_ms=NOW - 59 * DAY_MS), NOW).state == "ok", "a new job has its time"
    assert standing(replace(asked, full_ms=NOW - 59 * DAY_MS), NOW).state == "ok"
    late = standing(replace(asked, full_ms=NOW - 61 * DAY_MS, full_postponed="no room"), NOW)
    assert (late.state, late.detail) == ("unverified", "all of it was restored 61 days ago: no room")


def test_a_full_restore_that_failed_or_took_longer_than_declared_is_failing() -> None:
    failed = replace(GOOD, full_ms=NOW - 9, full_failed_ms=NOW - 5, full_detail="/etc/passwd: damaged")
    assert standing(failed, NOW).state == "failing"
    assert "/etc/passwd" in standing(failed, NOW).detail
    slow = replace(GOOD, full_ms=NOW - 5, full_seconds=7300.0, rto_s=7200.0)
    found = standing(slow, NOW)
    assert (found.state, found.detail) == ("failing", "restoring all of it took 2.03 h, and its target (RTO) is 2 h")
    assert standing(replace(slow, full_seconds=7200.0), NOW).state == "ok"
    assert standing(replace(slow, rto_s=0.0), NOW).state == "ok", "nothing is declared"


def test_a_snapshot_older_than_its_target_is_late_before_it_is_late_by_itself() -> None:
    old = replace(GOOD, snapshot_ms=NOW - 26 * 3_600_000, rpo_s=24 * 3600.0)
    found = standing(old, NOW)
    assert (found.state, "its target (RPO) is 24 h" in found.detail) == ("late", True)
    assert standing(replace(old, rpo_s=27 * 3600.0), NOW).state == "ok"
    assert standing(replace(old, rpo_s=0.0), NOW).state == "ok"


def test_a_suspicion_comes_before_everything_else() -> None:
    job = replace(GOOD, suspected_ms=NOW, suspicion="12 files are not readable any more", outcome="failed")
    assert (ORDER[0], standing(job, NOW + 30 * DAY_MS).state) == ("suspected", "suspected")
    assert "12 files" in standing(job, NOW).detail


def test_a_database_that_is_not_dumped_or_does_not_restore_is_failing_by_name() -> None:
    bad = {"app": BackupDatabase(ran_ms=5), "shop": BackupDatabase(ran_ms=5, failure="the role may not connect")}
    found = standing(replace(GOOD, outcome="partial", databases=bad), NOW)
    assert found.state == "failing"
    assert found.detail == "the database shop could not be dumped: the role may not connect"
    bad = {"shop": BackupDatabase(proof_ms=5, proof_failure="it holds no table")}
    found = standing(replace(GOOD, databases=bad), NOW)
    assert (found.state, found.detail) == ("failing", "the database shop does not restore: it holds no table")
    assert standing(replace(GOOD, databases={"shop": BackupDatabase(ran_ms=5, proof_ms=5)}), NOW).state == "ok"
    assert "paths" not in standing(replace(GOOD, outcome="partial"), NOW).detail


def test_what_failed_in_the_same_moment_as_another_part_was_good_is_failing() -> None:
    """Events of one run bear one time: two snapshots that are proved together must not cancel out."""
    assert standing(replace(GOOD, proof_failed_ms=GOOD.proved_ms, proof_detail="x"), NOW).state == "failing"
    assert standing(replace(GOOD, damaged_ms=GOOD.checked_ms, damage="x"), NOW).state == "failing"
    full = replace(GOOD, full_s=86400.0, full_ms=NOW - 100, full_failed_ms=NOW - 100, full_detail="x")
    assert standing(full, NOW).state == "failing"
