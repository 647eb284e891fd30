"""The renewal's child process: at most one, never waited for, and what it says is passed on."""

import sys
import time
from pathlib import Path

from agent.renewal import MAX_RUN_S, Ended, Renewal


def ended(renewal: Renewal) -> Ended:
    for _ in range(6000):
        found = renewal.poll(1.0)
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError("the child never ended")


def with_child(tmp_path: Path, code: str) -> Renewal:
    renewal = Renewal(tmp_path)
    renewal._argv = [sys.executable, "-c", code]
    return renewal


def test_an_agent_that_is_not_enrolled_is_told_so(tmp_path: Path) -> None:
    renewal = Renewal(tmp_path)
    assert renewal.start(0.0) is None
    assert renewal.running
    assert "not enrolled" in ended(renewal).error
    assert not renewal.running


def test_success_is_silent(tmp_path: Path) -> None:
    renewal = with_child(tmp_path, "pass")
    renewal.start(0.0)
    assert ended(renewal) == Ended()


def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    renewal = with_child(tmp_path, "import time; time.sleep(100)")
    renewal.start(0.0)
    assert renewal.poll(MAX_RUN_S - 1) is None
    assert renewal.poll(MAX_RUN_S + 1).error


def test_a_child_that_cannot_start_is_said_and_one_may_be_abandoned(tmp_path: Path) -> None:
    renewal = Renewal(tmp_path)
    renewal._argv = [str(tmp_path / "none")]
    assert "cannot be started" in renewal.start(0.0).error
    renewal = with_child(tmp_path, "import time; time.sleep(100)")
    renewal.start(0.0)
    renewal.abandon()
    assert not renewal.running
