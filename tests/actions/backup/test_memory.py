"""What the worker remembers of a job, and that nothing depends on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actions.backup.memory import MAX_HELD, MAX_PROVED, Memory, due, recall, remember
from host.linux import LinuxHost


def host(folder: Path) -> Any:
    real = LinuxHost()
    return SimpleNamespace(state=str(folder), files=real.files, write=real.write)


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    memory = Memory(bytes_total=5)
    memory.prove("ab", 7)
    remember(host(tmp_path), "etc", memory)
    assert recall(host(tmp_path), "etc") == memory
    assert recall(host(tmp_path), "other") == Memory()


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "etc.json").write_text("{")
    assert recall(host(tmp_path), "etc") == Memory()


def test_only_the_newest_proofs_are_kept() -> None:
    memory = Memory()
    for number in range(MAX_PROVED + 5):
        memory.prove(f"{number}", number)
    assert len(memory.proved) == MAX_PROVED
    assert "4" not in memory.proved
    assert "5" in memory.proved


def test_what_was_done_in_the_future_is_due_again() -> None:
    assert due(0, 10.0, 10**18)
    assert not due(10**18, 10.0, 10**18 + 9 * 10**9)
    assert due(10**18, 10.0, 10**18 + 10 * 10**9)
    assert due(10**18 + 1, 10.0, 10**18)


def test_what_the_fullest_dumps_held_is_remembered() -> None:
    memory = Memory()
    memory.hold({"a/x": 5, "b/y": 0})
    memory.hold({"a/x": 6})
    assert memory.held == {"a/x": 6, "b/y": 0}
    memory.hold({f"c/{number}": number + 7 for number in range(MAX_HELD)})
    assert len(memory.held) == MAX_HELD
    assert "b/y" not in memory.held
