"""The settings of backups: what is off is named with its place."""

from pathlib import Path

import pytest

from agent import wiring
from agent.config import load_agent
from settings.errors import ConfigErrors


def refused(tmp_path: Path, job: str) -> str:
    file = tmp_path / "agent.yaml"
    file.write_text(f"backup:\n  jobs:\n    etc:\n{job}\n")
    with pytest.raises(ConfigErrors) as caught:
        load_agent(file, wiring.vocabulary())
    return str(caught.value.items[0])


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("      paths: [/etc]", r"agent.yaml:4:7: backup.jobs.etc.repository: is required"),
        ("      repository: here", "backup.jobs.etc.repository"),
        ("      repository: /r\n      paths: [etc]", "backup.jobs.etc.paths[0]"),
        (
            "      repository: /r\n      excludes: ['[']",
            'agent.yaml:5:17: backup.jobs.etc.excludes: the pattern "[" is not valid',
        ),
        ("      repository: /r\n      exclude_if_present: ['a/b']", "backup.jobs.etc.exclude_if_present"),
        ("      repository: /r\n      password: hunter2", "is not a reference to a secret"),
        ("      repository: /r\n      at: '25:00'", "backup.jobs.etc.at"),
        ("      repository: /r\n      late_after: 8d", "stale_after"),
        ("      repository: /r\n      paths: []", "neither a path nor a database"),
        (
            "      repository: sftp://u@h/r\n      replicas: [{target: 'sftp://u@h/x'}]",
            "only a repository that is a directory",
        ),
        ("      repository: /r\n      keep: {within: yesterday}", "backup.jobs.etc.keep.within"),
        ("      repository: /r\n      proof: {check_data: 200%}", "backup.jobs.etc.proof.check_data"),
        ("      repository: /r\n      exlude: []", "did you mean"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, job: str, said: str) -> None:
    found = refused(tmp_path, job)
    assert said in found, found
    assert "hunter2" not in found


def test_a_job_needs_a_name_that_can_be_a_file_and_a_tag(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("backup: {jobs: {'../x': {repository: /r}}}")
    with pytest.raises(ConfigErrors, match="cannot name a job"):
        load_agent(file, wiring.vocabulary())


def test_the_shortest_job_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("backup: {jobs: {etc: {repository: /srv/b}}}")
    plan = wiring.plan(file)
    assert [job.job for job in plan.backups] == ["etc"]
    assert plan.timed["backup etc"].action == "backup"
    assert plan.deeds["backup"].deadline_s > 86400
    (worker,) = [spec for spec in plan.workers if spec.name == "backup"]
    assert (worker.on_demand, worker.capabilities) == (True, ("CAP_DAC_READ_SEARCH",))
    assert worker.actions == ("backup", "backup_acknowledge", "backup_canaries")


def test_switched_off_nothing_runs_at_its_time(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("backup: {enabled: false, jobs: {etc: {repository: /srv/b}}}")
    plan = wiring.plan(file)
    timed = [name for name, at in plan.timed.items() if at.action.startswith("backup") or name.startswith("backup")]
    assert (timed, plan.backups, "backup" in plan.deeds) == ([], (), False)
