"""`holdfast backup init|run|prove|status|list`: what a person sees, and restic's exit codes."""

import time
from pathlib import Path

import msgspec
import pytest

from actions.backup.crypto import ScryptParameters
from contracts.subjects.backup import BackupJob
from tests.agent.cli.backup_home import CHEAP, Home, home
from tests.agent.cli.test_firewall import Agent

__all__ = ["home"]
NOW_MS = round(time.time() * 1000)
JOB = BackupJob(
    job="etc", repository="/srv/b", at="02:15", late_s=129600.0, stale_s=604800.0, snapshot="ab" * 32,
    snapshot_ms=NOW_MS, ran_ms=NOW_MS, outcome="finished", files=3, bytes_total=2048, proved_ms=NOW_MS, checked_ms=NOW_MS,
)  # fmt: skip


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    def calibrate() -> ScryptParameters:
        return CHEAP

    monkeypatch.setattr("actions.backup.keys.calibrate", calibrate)


def test_init_makes_repository_and_password_for_the_workers_user(home: Home, cheap: None) -> None:
    from agent import privileges

    home.password.unlink()
    home.place.rename(home.folder / "former")
    said = home.call("init")
    assert said.code == 0, said.err
    made = home.password.read_text().strip()
    assert made in said.out
    assert home.password.stat().st_mode & 0o777 == 0o600
    owner = privileges.account("backup", "holdfast-backup").uid
    assert {path.stat().st_uid for path in (home.place, home.place / "data" / "ff", home.place / "config")} == {owner}
    assert home.call("list").out.strip() == "There is no snapshot."


def test_init_never_touches_what_is_there(home: Home, cheap: None) -> None:
    before = (home.place / "config").read_bytes()
    said = home.call("init", "etc")
    assert (said.code, "not empty" in said.err) == (1, True)
    assert (home.place / "config").read_bytes() == before
    assert "there is no backup job" in home.call("init", "other").err


def test_when_no_repository_comes_of_it_no_password_stays(home: Home, cheap: None) -> None:
    home.password.unlink()
    assert home.call("init").code == 1
    assert not home.password.exists()


def test_list_shows_the_oldest_first_and_restics_json(home: Home) -> None:
    assert [row["id"] for row in home.call("list", "--json").json] == home.ids
    lines = home.call("list").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [id[:8] for id in home.ids]
    assert home.call("list", "--host", "elsewhere").out.strip() == "There is no snapshot."


def test_wrong_password_no_repository_and_a_lock_have_restics_codes(home: Home, tmp_path: Path) -> None:
    home.password.write_text("wrong\n")
    assert home.call("list").code == 12
    home.password.write_text("correct horse\n")
    with home.repository.lock(exclusive=True):
        assert home.call("check").code == 11
    home.place.rename(tmp_path / "elsewhere")
    assert home.call("list").code == 10


def status(agent: Agent, home: Home, *words: str) -> tuple[int, str]:
    said = home.call("status", "--socket", agent.path, *words, bare=True)
    return said.code, said.out


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    made = Agent(tmp_path / "control.sock")
    made.verbs = {"status": {"work": []}, "subject": {"rows": {"etc": msgspec.to_builtins(JOB)}}}
    return made


def test_status_says_proved_jobs_from_unproven_ones(agent: Agent, home: Home) -> None:
    code, out = status(agent, home)
    assert (code, " ok " in out) == (0, True)
    agent.verbs["subject"] = {"rows": {"etc": msgspec.to_builtins(msgspec.structs.replace(JOB, proved_ms=0))}}
    code, out = status(agent, home)
    assert (code, "UNPROVEN" in out, "never restored" in out) == (0, True, True)
    agent.verbs["subject"] = {
        "rows": {"etc": msgspec.to_builtins(msgspec.structs.replace(JOB, outcome="failed", detail="x\x1b[2J"))}
    }
    code, out = status(agent, home)
    assert (code, "failing" in out, "\x1b[2J" in out) == (1, True, False)


def test_status_shows_what_runs_now(agent: Agent, home: Home) -> None:
    work = {
        "action": "backup",
        "key": "etc",
        "done": 1024.0,
        "total": 0.0,
        "unit": "bytes",
        "what": "3 files",
        "since_ms": 1,
    }
    agent.verbs["status"] = {"work": [work]}
    assert "running: 1 KiB, 3 files" in status(agent, home)[1]


def test_run_passes_on_the_agents_code_and_words(agent: Agent, home: Home) -> None:
    agent.verbs["do"] = {"ok": True, "outcome": {}, "summary": "etc: snapshot ab", "answer": {"code": 3}}
    said = home.call("run", "--socket", agent.path, "etc")
    assert (said.code, said.out.strip()) == (3, "etc: snapshot ab")
    agent.verbs["do"] = {"ok": False, "outcome": {"error": "no space"}, "summary": "", "answer": {"code": 1}}
    said = home.call("run", "--socket", agent.path)
    assert (said.code, "no space" in said.err) == (1, True)
    agent.verbs["do"] = {"ok": True, "outcome": {}, "summary": "proved", "answer": {"code": 0}}
    assert home.call("prove", "--socket", agent.path).out.strip() == "proved"
