"""Small facts are known at once and stored when there is space."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.patient_memory import PatientMemory
from agent.sqlite_file import FileFull
from agent.state import State


class WaitingIntake:
    """Holds what it is given until told that there is space."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def put(self, events: Sequence[Any], stored: Callable[[], None]) -> None:
        self.waiting.append(stored)

    def release(self) -> None:
        waiting, self.waiting = self.waiting, []
        for stored in waiting:
            stored()


def test_the_scheduler_remembers_at_once_and_stores_when_there_is_space(tmp_path: Path) -> None:
    state, _ = State.open(tmp_path / "state.db", SystemClock())
    intake = WaitingIntake()
    memory = PatientMemory(state, intake)  # type: ignore[arg-type]
    memory.put("ran:backup", b"1")
    memory.put("ran:backup", b"2")
    assert (memory.get("ran:backup"), state.get("ran:backup")) == (b"2", None)
    intake.release()
    assert (memory.get("ran:backup"), state.get("ran:backup")) == (b"2", b"2")
    assert memory.get("never") is None
    state.close()


def test_a_store_that_fails_is_left_to_the_intake_to_repeat(tmp_path: Path) -> None:
    class FullState:
        def put(self, name: str, value: bytes) -> None:
            raise FileFull("no space")

        def get(self, name: str) -> bytes | None:
            return None

    intake = WaitingIntake()
    memory = PatientMemory(FullState(), intake)  # type: ignore[arg-type]
    memory.put("x", b"1")
    with pytest.raises(FileFull):
        intake.release()
    assert memory.get("x") == b"1"
