"""A configuration of its own below a temporary folder, and the deeds on its history, done on the real machine."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actions.history import deeds
from actions.history.options import HistoryOptions
from contracts.action import Command, Result
from contracts.event import Event
from host.linux import LinuxHost


class TimedHost(LinuxHost):
    """The machine, with a clock that moves a second with each look."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self.state = str(state)
        self.ticks = 0

    def now(self) -> datetime:
        self.ticks += 1
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.ticks)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


@pytest.fixture
def options(etc: Path) -> HistoryOptions:
    return HistoryOptions(enabled=True, paths=(str(etc),), exclude=("*.swp",), hidden=("*shadow*",), file_below=1000)


@pytest.fixture
def do(options: HistoryOptions, tmp_path: Path) -> Callable[..., Result]:
    state = tmp_path / "state"
    state.mkdir()
    host = TimedHost(state)

    def run(name: str, dry_run: bool = False, event: Event | None = None, **arguments: Any) -> Result:
        action = getattr(deeds, name)(options)
        told = {key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()}
        command = Command(id="1", action=action.name, arguments=told, who="ada", dry_run=dry_run, event=event)
        return action.do(host, command, lambda *_: None)

    return run
