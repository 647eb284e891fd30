"""What the agent tells of a backup, in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import command
from agent.cli import backup_told
from agent.cli.backup_told import progress_line


def test_progress_is_one_line_that_cannot_drive_the_terminal() -> None:
    line = progress_line({"done": 2048.0, "total": 4096.0, "unit": "bytes", "what": "3 files\x1b[2J"})
    assert line.startswith("2 KiB of about 4 KiB, 3 files")
    assert "\x1b" not in line
    assert progress_line({"done": 1.0, "total": 0.0, "what": "x"}) == "1 B, x"


def test_who_interrupts_hears_that_the_agent_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stream(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        yield {"progress": {"done": 1.0, "total": 0.0, "what": "x"}}
        raise KeyboardInterrupt

    monkeypatch.setattr(backup_told, "stream", stream)
    assert command.run(["backup", "run", "--socket", str(tmp_path / "socket")]) == 130
    assert "The agent goes on with it; see `holdfast backup status`." in capsys.readouterr().err
