"""`holdfast backup coverage`: the table, the settings that close a gap, and the exit code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from agent.cli import backup_coverage
from contracts.subjects.backup import BackupJob, Covers
from contracts.subjects.holdings import Holding

JOB = BackupJob(job="system", repository="/r", at="02:15", late_s=1.0, stale_s=2.0, covers=Covers(paths=("/etc",)))
ETC = Holding(part="places", kind="settings", name="/etc", path="/etc")
SHOP = Holding(part="places", kind="data", name="/srv/shop\x1b[2J", path="/srv/shop")
UNKNOWN = Holding(part="mounts", kind="unknown", name="mounts", detail="may not be read")


def run(monkeypatch: pytest.MonkeyPatch, *words: str, rows: tuple[Holding, ...] = (ETC,), jobs: bool = True) -> Any:
    def ask(_: Path, __: str, arguments: Mapping[str, Any]) -> Any:
        held = {row.key: row for row in rows} if arguments["subject"] == "holdings" else {"system": JOB} if jobs else {}
        return {"revision": int(bool(rows)), "at_ms": 1, "rows": msgspec.to_builtins(held)}

    monkeypatch.setattr(backup_coverage, "ask", ask)
    return CliRunner().invoke(backup_coverage.coverage, list(words), standalone_mode=False)


def test_a_gap_is_shown_with_the_settings_that_close_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, rows=(ETC, SHOP))
    assert said.return_value == 1
    assert "no job saves it" in said.output
    assert "      paths: [/etc, /srv/shop]" in said.output
    assert "1 things are covered, 1 are not" in said.output
    assert "\x1b" not in said.output


def test_nothing_missing_is_0_and_something_not_known_is_3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch).return_value == 0
    said = run(monkeypatch, rows=(ETC, UNKNOWN))
    assert (said.return_value, "1 not known" in said.output) == (3, True)
    assert run(monkeypatch, rows=(ETC, SHOP, UNKNOWN)).return_value == 1
    assert "/etc" in run(monkeypatch, "--all").output


def test_no_job_and_no_look_are_not_all_well(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, jobs=False)
    assert (said.return_value, "nothing of 1 things" in said.output) == (1, True)
    assert run(monkeypatch, "--json", jobs=False).return_value == 1
    assert "nobody has looked" in str(run(monkeypatch, rows=()).exception)


def test_json_holds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    told = msgspec.json.decode(run(monkeypatch, "--json", rows=(ETC, SHOP)).output)
    assert (told["code"], {each["state"] for each in told["holdings"]}) == (1, {"saved", "missing"})
