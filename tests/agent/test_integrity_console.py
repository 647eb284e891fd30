"""Challenges with a whole agent and a real console: files hold, a change is told of, and one that no notice told of is found out."""

import mmap

import pytest

from console.challenge_book import ChallengeBook, Standing
from tests.agent.both import Both
from tests.agent.test_end_to_end import folder

__all__ = ["folder"]


@pytest.fixture
def watched(folder):
    made = folder / "watched"
    made.mkdir()
    for number in range(3):
        (made / f"file{number}").write_text("as it was " * 100)
    return made


@pytest.fixture
def both(folder, watched):
    entry = f"{{enabled: true, profiles: [], watch: {{lab: {{paths: ['{watched}']}}}}}}"
    settings = {
        "agent.d/integrity.yaml": f"heartbeat: {{every: 1s}}\ncollectors: {{integrity: {entry}}}\n",
        "console.yaml": "challenges: {every: 1s, patience: 20s}\nheartbeats: {every: 0.5s}\n",
    }
    started = Both(folder, settings)
    try:
        yield started
    finally:
        started.close()


def standing(both):
    """How it stands with the one agent there is, as the console has written it down."""
    kept = both.state / "console" / "challenges"
    agents = [each.name for each in kept.glob("*") if not each.suffix] if kept.is_dir() else []
    return ChallengeBook(kept).read(agents[0]) if agents else Standing()


def findings(both):
    return both.rows("SELECT kind, detail FROM findings")


def test_files_hold_a_told_change_is_told_and_an_untold_one_is_a_finding(both, watched):
    def until(holds, seconds):
        both.until(holds, seconds, lambda: (standing(both), findings(both)))

    def stands(outcome, detail):
        now = standing(both)
        return now.outcome == outcome and detail in now.detail

    until(lambda: stands("held", "3 files hold what they held"), 60)
    (watched / "file0").write_text("changed as anybody would")
    until(lambda: stands("told", str(watched / "file0")), 60)
    assert [each for each in findings(both) if each[0] == "challenge_failed"] == []
    # No notice tells of a write through a memory map while the file stays open, and the next scan is hours away.
    with (watched / "file1").open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content[0:5] = b"other"
        content.flush()
        until(lambda: "challenge_failed" in {kind for kind, _ in findings(both)}, 60)
    (detail,) = {detail for kind, detail in findings(both) if kind == "challenge_failed"}
    assert str(watched / "file1") in detail and "file2" not in detail
