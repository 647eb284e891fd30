"""The way of a backup: settings, a scheduled run in its own worker, durable events, the subject, and the stock restic that restores it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.state import State
from tests.agent.test_end_to_end import ROOT, Agent, folder

__all__ = ["folder"]
HOLDFAST = Path(sys.executable).with_name("holdfast")


class Home:
    """An agent with one backup job below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agent = Agent(folder)
        self.repository = folder / "repository"
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "letter").write_text("dear all")
        (self.source / "secret").write_text("closed to others")
        (self.source / "secret").chmod(0o600)
        (self.source / "core.o").write_text("object")
        self.configure()

    def configure(self, at: str = "02:15", more: str = "") -> None:
        job = (
            f"{{repository: {self.repository}, password: 'file:{self.folder}/keys/system', paths: [{self.source}],"
            f" excludes: ['*.o'], at: '{at}', splay: 0s{more}}}"
        )
        # Whoever else uses this machine now is nothing to wait for.
        self.agent.configure(f"backup: {{pressure: {{pause_at_most: 0s}}, jobs: {{system: {job}}}}}\n")

    def holdfast(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [str(HOLDFAST), "backup", *map(str, words)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def here(self, verb: str, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.holdfast(verb, "-c", self.agent.config, *words, code=code)

    def restic(self, *words: str | Path) -> str:
        environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(self.folder / "keys" / "system")}
        argv = ["restic", "--no-cache", "-r", str(self.repository), *map(str, words)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def missed(self) -> None:
        """Let the scheduler know of an occurrence two days ago, so that one was missed since."""
        state, _ = State.open(self.folder / "state" / "state.db", SystemClock())
        state.put("occurrence:timed:backup system", (datetime.now() - timedelta(days=2)).isoformat().encode())
        state.close()


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    made = Home(folder)
    try:
        yield made
    finally:
        if made.agent.process is not None:
            made.agent.stop(signal.SIGKILL)


def test_a_missed_run_is_caught_up_stated_shown_and_restored_by_the_stock_restic(home: Home) -> None:
    home.here("init")
    (home.folder / "state").mkdir(mode=0o700)
    home.missed()
    home.agent.start()
    finished = home.agent.event("backup.finished", 180)
    assert (finished["fields"]["files"], finished["fields"]["unreadable"]) == (2, 0)
    assert "backup.failed" not in home.agent.kinds()
    home.agent.until(lambda: home.agent.ask("subject", subject="backup.jobs")["rows"]["system"]["ran_ms"] > 0, 30)
    row = home.agent.ask("subject", subject="backup.jobs")["rows"]["system"]
    assert (row["outcome"], row["snapshot"]) == ("finished", finished["fields"]["snapshot"])
    assert home.agent.worker("backup")["uid"] not in (0, -1)
    home.agent.until(lambda: states(home).get("system") == "ok", 30)
    (proof,) = home.agent.ask("status")["proofs"]
    assert (proof["proof"]["subject"], proof["proof"]["verb"], proof["holds"]) == ("backup/system", "restored", True)
    proved = home.agent.event("backup.proved", 30)["fields"]
    assert (proved["files"], proved["same_as_source"]) == (2, 2)
    sheet = home.agent.event("backup.sheet_saved", 30)["fields"]["snapshot"]
    snapshots = json.loads(home.restic("snapshots", "--json"))
    assert [each["id"] for each in snapshots] == [sheet, finished["fields"]["snapshot"]], "the newest stays the files'"
    assert [each["tags"] for each in snapshots] == [["recovery-sheet", "system"], ["system"]]
    assert home.agent.event("backup.fully_proved", 60)["fields"]["files"] == 2
    home.restic("check", "--read-data")
    home.restic("restore", "latest", "--target", home.folder / "by-restic")
    home.here("restore", "latest", "--target", home.folder / "by-holdfast", "--verify")
    for place in ("by-restic", "by-holdfast"):
        restored = home.folder / place / home.source.relative_to("/")
        assert sorted(path.name for path in restored.iterdir()) == ["letter", "secret"]
        assert (restored / "secret").read_text() == "closed to others"
        assert (restored / "secret").stat().st_mode & 0o777 == 0o600


def states(home: Home) -> dict[str, str]:
    return {key: row["state"] for key, row in home.agent.ask("subject", subject="backup")["rows"].items()}


def test_a_person_runs_it_and_is_told_restics_codes(home: Home) -> None:
    home.agent.start()
    failed = home.here("run", code=1)
    assert "holdfast backup init" in failed.stderr
    assert home.agent.event("backup.failed", 30)["fields"]["job"] == "system"
    home.here("init")
    said = home.here("run", "system").stdout
    assert "2 files" in said
    assert "there is no backup job" in home.here("run", "other", code=2).stderr
    assert "system" in home.here("list").stdout
    (home.folder / "keys" / "system").write_text("another\n")
    assert "wrong password" in home.here("run", code=12).stderr
    (home.repository / "config").rename(home.folder / "config")
    assert home.here("run", code=12)


def test_the_recovery_key_is_asked_for_in_coverage_until_it_was_proved(home: Home) -> None:
    home.here("init")
    home.agent.start()
    home.here("run")
    said = home.agent.event("backup.recovery_key_unproved", 60)
    assert "no recovery key" in said["fields"]["detail"]
    home.agent.until(lambda: "without this host" in str(home.agent.ask("coverage")), 30)
    text = next(
        line.strip()
        for line in home.holdfast("key", "recovery", "-c", home.agent.config).stdout.splitlines()
        if line.startswith("    ")
    )
    argv = [str(HOLDFAST), "backup", "key", "recovery", "--prove", "-c", str(home.agent.config)]
    done = subprocess.run(argv, cwd=ROOT, input=text + "\n", capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "next run" in done.stderr) == (0, False), done
    home.agent.event("backup.recovery_key_proved", 30)
    home.agent.until(lambda: "without this host" not in str(home.agent.ask("coverage")), 30)
    sheet = home.restic("dump", "--tag", "system,recovery-sheet", "latest", "/recovery/sheet.txt")
    assert "RECOVERY SHEET" in sheet
    proved = home.here("prove", "--full", "--scratch", home.folder).stdout
    assert "Proved: all of" in proved
    home.agent.until(lambda: home.agent.ask("subject", subject="backup.jobs")["rows"]["system"]["full_ms"] > 0, 30)


def test_rights_that_the_backup_worker_lacks_are_in_coverage_after_its_first_run(home: Home) -> None:
    """It looks at nothing and ends when it is idle: what it may not read must be told all the same, and for as long as it is so."""
    home.here("init")
    home.agent.before = ("setpriv", "--bounding-set", "-dac_read_search")
    home.agent.start()
    assert "worker backup" not in [sight["subject"] for sight in home.agent.ask("coverage")["sights"]]
    assert "CAP_DAC_READ_SEARCH" in home.here("run", code=1).stderr, "not even its password"
    home.agent.until(lambda: "closed to other users" in str(home.agent.ask("coverage")), 30)
    sight = home.agent.sight("worker backup")
    assert sight["state"] == "partial"
    (closed,) = [spot for spot in sight["blind"] if "closed to other users" in spot["what"]]
    assert ("CAP_DAC_READ_SEARCH" in closed["detail"], bool(closed["fix"])) == (True, True)
    said = subprocess.run(
        [str(HOLDFAST), "coverage", "-c", str(home.agent.config)], capture_output=True, text=True, timeout=60
    )
    assert "closed to other users" in said.stdout, said
