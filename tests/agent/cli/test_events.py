"""`holdfast events`: one line or one JSON object per event, and what --since means."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import events
from contracts.errors import UsageError

ENVELOPE = {
    "id": "i",
    "event": {"kind": "ports.listener_opened", "severity": 4, "observed_ms": 1, "repeats": 2, "key": "k"},
    "text": "Port 22\x1b[2J opened",
}


def test_an_event_is_one_line_that_cannot_drive_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ask", lambda path, verb, arguments: [ENVELOPE])
    shown = CliRunner().invoke(events.events, []).output
    assert "high" in shown and "ports.listener_opened" in shown and "(and 2 more like it)" in shown
    assert "\x1b" not in shown and shown.count("\n") == 1


def test_json_is_one_object_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ask", lambda path, verb, arguments: [ENVELOPE, ENVELOPE])
    lines = CliRunner().invoke(events.events, ["--json"]).output.splitlines()
    assert [json.loads(line) for line in lines] == [ENVELOPE, ENVELOPE]


def test_following_waits_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stream(path: object, verb: str, arguments: Any, timeout_s: float | None) -> list[Any]:
        asked.append((arguments["follow"], arguments["kind"], timeout_s))
        return [ENVELOPE]

    monkeypatch.setattr(events, "stream", stream)
    assert CliRunner().invoke(events.events, ["--follow", "--kind", "ports.*"]).exit_code == 0
    assert asked == [(True, "ports.*", None)]


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("30s", 70_000), ("1m", 40_000), ("1970-01-01T00:01:00+00:00", 60_000)]
)
def test_since_is_a_span_or_a_time(text: str, expected: int) -> None:
    assert events.moment(text, now=100.0) == expected


def test_since_that_is_neither_is_refused() -> None:
    with pytest.raises(UsageError, match='"soon" is not a time'):
        events.moment("soon")


def test_nothing_is_said_to_be_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ask", lambda path, verb, arguments: [])
    said = CliRunner().invoke(events.events, ["--kind", "nope"])
    assert (said.stdout, said.stderr) == ("", "No event that this agent still holds matches.\n")
