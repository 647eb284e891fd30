"""The command shows what fails with its fix, and says so with its exit code."""

import json
from pathlib import Path

import pytest

from agent import command, diagnose, wiring
from agent.diagnosis import Check

CHECKS = [
    Check(name="tool nft", state="ok", found="/usr/sbin/nft"),
    Check(name="time", state="noted", found="not in step", fix="run: x"),
    Check(name="disk /", state="failed", found="full", fix="free space"),
]


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    checks = list(CHECKS)
    monkeypatch.setattr(wiring, "vocabulary", lambda: None)
    monkeypatch.setattr(diagnose, "everything", lambda path, vocabulary: iter(checks))
    return checks


def test_what_fails_is_shown_with_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["diagnose"]) == 1
    assert capsys.readouterr().out == (
        "noted   time: not in step\n        fix: run: x\n"
        "FAILED  disk /: full\n        fix: free space\n"
        "3 checks: 1 in order, 1 noted, 1 failed\n"
    )


def test_all_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    command.run(["diagnose", "--all"])
    assert "ok      tool nft: /usr/sbin/nft\n" in capsys.readouterr().out


def test_without_failure_the_exit_code_is_zero(given: list[Check], capsys: pytest.CaptureFixture[str]) -> None:
    given.pop()
    assert command.run(["diagnose", "--json", "-c", str(Path("/x"))]) == 0
    assert [check["state"] for check in json.loads(capsys.readouterr().out)] == ["ok", "noted"]


def test_what_a_hostile_process_is_called_cannot_drive_the_terminal(
    given: list[Check], capsys: pytest.CaptureFixture[str]
) -> None:
    given.append(Check(name="view of ports", state="failed", found="1 (a\x1b[2J\nb)", fix="x\x9b31m"))
    command.run(["diagnose"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x9b" not in shown and "(a�[2J�b)" in shown
