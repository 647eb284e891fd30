"""`holdfast coverage`: every blind spot with reason and remedy; `--check` for scripts."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import coverage

BLIND = {"what": "legacy tables", "why": "permission", "detail": "needs CAP_NET_RAW", "fix": "Give it."}
PARTIAL = {"subject": "firewall", "state": "partial", "blind": [BLIND], "since_ms": 1, "last_ok_ms": 1, "rows": 2}
SEEN = {"subject": "ports", "state": "seen", "blind": [], "since_ms": 1, "last_ok_ms": 1, "rows": 2}


def run(monkeypatch: pytest.MonkeyPatch, sights: list[Any], *words: str) -> tuple[int, str]:
    monkeypatch.setattr(coverage, "ask", lambda path, verb: {"sights": sights})
    done = CliRunner().invoke(coverage.coverage, list(words), standalone_mode=False)
    return int(done.return_value or 0), done.output


def test_every_blind_spot_is_shown_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _, shown = run(monkeypatch, [PARTIAL, SEEN])
    assert "cannot see legacy tables: needs CAP_NET_RAW" in shown and "Give it." in shown


def test_check_fails_unless_everything_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, [PARTIAL, SEEN], "--check")[0] == 1
    assert run(monkeypatch, [SEEN], "--check")[0] == 0
    assert run(monkeypatch, [PARTIAL])[0] == 0


def test_json_and_an_agent_that_looks_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run(monkeypatch, [SEEN], "--json")[1]) == {"sights": [SEEN]}
    assert "Nothing is looked at" in run(monkeypatch, [])[1]
