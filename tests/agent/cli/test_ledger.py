"""`holdfast ledger`: a table of costs, or the rows as JSON."""

import json
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from agent.cli import ledger
from agent.ledger import LedgerRow

FIELDS = {"day": "2026-01-31", "name": "ports", "runs": 12, "read_bytes": 2048, "cpu_s": 0.5}


def rows() -> list[dict[str, Any]]:
    blank = {field.name: "" if field.type is str else 0 for field in msgspec.structs.fields(LedgerRow)}
    return [msgspec.to_builtins(msgspec.convert({**blank, **FIELDS}, LedgerRow))]


def test_costs_are_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ask", lambda path, verb, arguments: rows())
    shown = CliRunner().invoke(ledger.ledger, []).output.splitlines()
    assert shown[0].split()[:3] == ["day", "name", "runs"]
    assert shown[1].split()[:3] == ["2026-01-31", "ports", "12"]
    assert "2 KiB" in shown[1]


def test_the_day_is_passed_on_and_an_empty_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(ledger, "ask", lambda path, verb, arguments: asked.append(arguments) or [])
    assert "Nothing ran on 2026-01-30." in CliRunner().invoke(ledger.ledger, ["--day", "2026-01-30"]).output
    assert asked == [{"day": "2026-01-30"}]
    assert json.loads(CliRunner().invoke(ledger.ledger, ["--json"]).output) == []
