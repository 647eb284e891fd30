"""When jobs run, read off the settings."""

from actions.backup.options import BackupOptions, FullProofOptions, JobOptions, ProofOptions
from agent.backup_plan import backup_plan, delayed


def test_every_job_has_a_time_of_day_and_a_row() -> None:
    options = BackupOptions(jobs={"etc": JobOptions(repository="/r", at="23:50", splay=0.0)})
    jobs, timed = backup_plan(options, "id")
    assert (jobs[0].job, jobs[0].at, jobs[0].late_s) == ("etc", "23:50", 129600.0)
    assert (timed["backup etc"].action, timed["backup etc"].arguments) == ("backup", {"job": "etc"})


def test_switched_off_or_not_there_nothing_runs() -> None:
    assert backup_plan(BackupOptions(enabled=False, jobs={"etc": JobOptions(repository="/r")}), "id") == ((), {})
    assert backup_plan(None, "id") == ((), {})


def test_the_splay_differs_by_host_stays_within_and_passes_midnight() -> None:
    times = {delayed("23:50", 1800.0, f"host{number}") for number in range(300)}
    assert len(times) == 31
    assert {"23:50", "00:20"} <= times
    assert "00:21" not in times
    assert delayed("02:15", 1800.0, "x") == delayed("02:15", 1800.0, "x")


def test_declared_targets_and_how_long_a_full_restore_counts_reach_the_row() -> None:
    full = FullProofOptions(every=86400.0, rto=3600.0, rpo=7200.0)
    options = BackupOptions(jobs={"etc": JobOptions(repository="/r", proof=ProofOptions(full=full))})
    ((row,), _) = backup_plan(options, "id")
    assert (row.full_s, row.rto_s, row.rpo_s) == (2 * 86400.0, 3600.0, 7200.0)
    off = BackupOptions(
        jobs={"etc": JobOptions(repository="/r", proof=ProofOptions(full=FullProofOptions(enabled=False)))}
    )
    assert backup_plan(off, "id")[0][0].full_s == 0.0
