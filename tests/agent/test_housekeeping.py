"""The daily reading of the agent's own files finds damage and nothing else."""

import sqlite3
from pathlib import Path

import pytest

from agent.housekeeping import STORAGE_DAMAGED, Housekeeping, examine
from contracts.event import Event


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE rows (key TEXT PRIMARY KEY, row BLOB)")
        db.executemany("INSERT INTO rows VALUES (?, ?)", [(f"{n}", bytes(500)) for n in range(2000)])
    db.close()
    return path


def test_a_whole_file_is_found_whole_and_left_as_it_was(file: Path) -> None:
    before = file.read_bytes()
    assert examine(file) == ""
    assert file.read_bytes() == before


def test_a_whole_file_is_found_whole_while_another_writes(file: Path) -> None:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO rows VALUES ('new', x'00')")
    assert examine(file) == ""
    db.execute("COMMIT")
    db.close()


@pytest.mark.parametrize("damage", ["pages", "header", "gone"])
def test_damage_is_an_event_that_names_the_file(file: Path, damage: str) -> None:
    if damage == "gone":
        file.unlink()
    else:
        with file.open("r+b") as raw:
            raw.seek(0 if damage == "header" else 4096 * 3)
            raw.write(b"\xa5" * 4096 * 20)
    found: list[Event] = []
    chore = Housekeeping([file], found.append)
    chore.run()
    chore.wait(60)
    assert [event.kind for event in found] == [STORAGE_DAMAGED.name]
    assert found[0].fields["file"] == str(file)
    assert found[0].fields["detail"]
