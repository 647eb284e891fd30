"""`holdfast integrity` asks the agent, shows what it hears, and says with its exit code whether something differs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import integrity as command
from contracts.errors import UsageError

CHANGE = {
    "path": "/etc/x\x1b[2J",
    "former": "/etc/y",
    "words": ["renamed", "mode"],
    "before": ["mode 0644"],
    "after": ["mode 0600"],
    "at_ms": 0,
    "process": "vim",
    "login": "anna",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = []

    def stream(path: Path, verb: str, order: dict[str, Any], patience: float) -> Any:
        orders.append(order)
        if order["action"] == "integrity_accept" and not order["arguments"]["reason"].strip():
            raise UsageError("why is not said")
        answers = {
            "integrity_diff": {"changes": [json.dumps(CHANGE)], "more": len(orders) < 2, "next": len(orders)},
            "integrity_scan": {"changes": 0, "files": 3, "folders": 1, "flaws": 0},
            "integrity_accept": {"count": 1},
        }
        yield {"ok": True, "answer": answers[order["action"]], "summary": "one change accepted"}

    monkeypatch.setattr(command, "stream", stream)
    return orders


def run(*words: str) -> Any:
    return CliRunner().invoke(command.integrity, [*words, "--socket", "/none"])


def test_differences_are_shown_page_by_page_and_cannot_drive_the_terminal(asked: list[dict[str, Any]]) -> None:
    done = run("diff", "/etc")
    assert done.exit_code == 1 and done.output.count("renamed, mode") == 2
    assert "\x1b" not in done.output and "by vim (login anna)" in done.output and "2 changes wait" in done.output
    assert [order["arguments"]["after"] for order in asked] == [0, 1]


def test_accepting_needs_a_reason_and_a_place(asked: list[dict[str, Any]]) -> None:
    assert run("accept", "/etc").exit_code == 2
    assert isinstance(run("accept", "--why", "x").exception, UsageError)
    assert isinstance(run("accept", "/etc", "--all", "--why", "x").exception, UsageError)
    assert run("accept", "/etc", "--why", "ticket 7").output == "One change accepted.\n"
    assert asked[-1]["arguments"] == {"path": "/etc", "key": "", "reason": "ticket 7"}
    assert run("accept", "--key", "AB 12", "--why", "as on their page").exit_code == 0
    assert asked[-1]["arguments"] == {"path": "", "key": "AB 12", "reason": "as on their page"}
    assert isinstance(run("accept", "--key", "AB", "--all", "--why", "x").exception, UsageError)


def test_a_scan_without_changes_ends_with_success(asked: list[dict[str, Any]]) -> None:
    assert run("scan", "--read-again", "--json").exit_code == 0
    assert asked[-1]["arguments"] == {"path": "", "read_again": True}


def test_a_host_that_watches_nothing_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(*_: Any) -> Any:
        raise UsageError('there is no action "integrity_diff"')

    monkeypatch.setattr(command, "stream", stream)
    done = run("diff")
    assert isinstance(done.exception, command.NotWatched) and "collectors.integrity.enabled" in str(done.exception)
