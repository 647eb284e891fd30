"""The reminder of the recovery key: at once, weekly while nothing changes, and its end when the key was proved."""

import time
from pathlib import Path
from typing import Any

import pytest

from actions.backup.key_reminder import EVERY_S, reminder, why_unproved
from actions.backup.memory import Memory
from actions.backup.recovery_key import RecoveryState, make_recovery_key, prove, save_states
from actions.backup.repository import Repository
from contracts.errors import Unavailable
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP

FILES: Any = LinuxHost().files


def said(repository: Repository, memory: Memory, path: Path) -> list[tuple[str, str]]:
    events = reminder("etc", repository, memory, FILES, str(path))
    return [(event.kind, str(event.fields.get("detail", ""))) for event in events]


def test_from_no_key_to_one_that_was_proved(repository: Repository, tmp_path: Path) -> None:
    memory, states = Memory(), tmp_path / "recovery.json"
    ((kind, detail),) = said(repository, memory, states)
    assert (kind, "no recovery key" in detail) == ("backup.recovery_key_unproved", True)
    assert said(repository, memory, states) == [], "not every day"
    memory.reminded_ns -= round(EVERY_S * 1e9)
    assert len(said(repository, memory, states)) == 1, "but every week"
    made = make_recovery_key(repository, cost=CHEAP)
    save_states(states, {repository.config.id: RecoveryState(made.key_id, time.time_ns())})
    ((kind, detail),) = said(repository, memory, states)
    assert (kind, "never been proved" in detail) == ("backup.recovery_key_unproved", True), (
        "at once, when it is another reason"
    )
    state = prove(repository.store, made.text.lower(), time.time_ns(), RecoveryState(made.key_id, 1))
    save_states(states, {repository.config.id: state})
    assert [kind for kind, _ in said(repository, memory, states)] == ["backup.recovery_key_proved"]
    assert said(repository, memory, states) == []
    assert why_unproved(repository, FILES, str(states)) == ""


def test_a_key_file_that_went_is_missed(repository: Repository, tmp_path: Path) -> None:
    states = tmp_path / "recovery.json"
    save_states(states, {repository.config.id: RecoveryState("ab" * 32, 1, time.time_ns())})
    assert "no more among the keys" in why_unproved(repository, FILES, str(states))


def test_a_damaged_file_never_passes_for_proved(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "recovery.json").write_text("{")
    with pytest.raises(Unavailable, match=r"recovery\.json"):
        why_unproved(repository, FILES, str(tmp_path / "recovery.json"))
