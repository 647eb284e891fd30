"""Challenges with a whole agent and a real console: files hold, a change is told of, and one that no notice told of is found out."""

import json
import mmap
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from console.challenge_book import ChallengeBook, Standing
from tests.agent.test_end_to_end import ROOT, folder

__all__ = ["folder"]


class Both:
    """A console and an agent in a network namespace of their own, as `make run` starts them."""

    def __init__(self, folder):
        self.state, self.watched = folder / "var", folder / "watched"
        self.watched.mkdir()
        for number in range(3):
            (self.watched / f"file{number}").write_text("as it was " * 100)
        (self.state / "etc" / "agent.d").mkdir(parents=True)
        (self.state / "etc" / "agent.d" / "integrity.yaml").write_text(
            "heartbeat: {every: 1s}\n"
            f"collectors: {{integrity: {{enabled: true, profiles: [], watch: {{lab: {{paths: ['{self.watched}']}}}}}}}}\n"
        )
        console = self.state / "etc" / "console.yaml"
        console.write_text("challenges: {every: 1s, patience: 8s}\nheartbeats: {every: 0.5s}\n")
        console.chmod(0o600)
        command = 'ip link set lo up && exec "$0" tools/run_local.py --state "$1" --json'
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", command, sys.executable, str(self.state)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (folder / "log").read_text()
        self.pids = json.loads(line)

    def standing(self):
        """How it stands with the one agent there is, as the console has written it down."""
        kept = self.state / "console" / "challenges"
        agents = [each.name for each in kept.glob("*") if not each.suffix] if kept.is_dir() else []
        return ChallengeBook(kept).read(agents[0]) if agents else Standing()

    def findings(self):
        (path,) = (self.state / "console").glob("*.db")
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return base.execute("SELECT kind, detail FROM findings").fetchall()
        finally:
            base.close()

    def until(self, holds, seconds):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, (self.standing(), self.findings())
            time.sleep(0.05)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def both(folder):
    started = Both(folder)
    try:
        yield started
    finally:
        started.close()


def test_files_hold_a_told_change_is_told_and_an_untold_one_is_a_finding(both):
    both.until(lambda: both.standing().outcome == "held", 60)
    assert "3 files hold what they held" in both.standing().detail
    (both.watched / "file0").write_text("changed as anybody would")
    both.until(lambda: both.standing().outcome == "told", 40)
    assert str(both.watched / "file0") in both.standing().detail
    assert both.findings() == []
    # No notice tells of a write through a memory map while the file stays open, and the next scan is hours away.
    with (both.watched / "file1").open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content[0:5] = b"other"
        content.flush()
        both.until(lambda: "challenge_failed" in {kind for kind, _ in both.findings()}, 60)
    (detail,) = {detail for kind, detail in both.findings() if kind == "challenge_failed"}
    assert str(both.watched / "file1") in detail and "file2" not in detail
