"""Files of the agent: private, told apart, set aside in bounded number, replaced whole."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from agent.sqlite_file import (
    KEPT_DAMAGED,
    FileBroken,
    FileDamaged,
    FileFull,
    open_file,
    replace_file,
    set_aside,
    translate,
)
from contracts.errors import NewerData

STEPS = (("CREATE TABLE a (x INTEGER)",),)


def test_a_new_file_is_private_and_marked(tmp_path: Path) -> None:
    db = open_file(tmp_path / "x.db", 77, STEPS, "FULL")
    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
    assert db.execute("PRAGMA application_id").fetchone() == (77,)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_applications_file_is_damage_not_ours_to_write(tmp_path: Path) -> None:
    open_file(tmp_path / "x.db", 77, STEPS, "FULL").close()
    with pytest.raises(FileDamaged, match="another kind of file"):
        open_file(tmp_path / "x.db", 78, STEPS, "FULL")


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileBroken, match="cannot be opened"):
        open_file(tmp_path / "none" / "x.db", 77, STEPS, "FULL")


@pytest.mark.parametrize("ahead", [1, 99, 999, 999_999])
def test_data_of_a_newer_version_is_refused_untouched_however_far_ahead(tmp_path: Path, ahead: int) -> None:
    path = tmp_path / "x.db"
    open_file(path, 77, STEPS, "FULL").close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + ahead}")
    before = path.read_bytes()
    with pytest.raises(NewerData, match="install the newer version again"):
        open_file(path, 77, STEPS, "FULL")
    assert path.read_bytes() == before


def test_a_torn_header_is_damage_not_a_newer_version(tmp_path: Path) -> None:
    open_file(tmp_path / "x.db", 77, STEPS, "FULL").close()
    content = bytearray((tmp_path / "x.db").read_bytes())
    content[60:64] = b"\x7f\x01\x02\x03"
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(FileDamaged):
        open_file(tmp_path / "x.db", 77, STEPS, "FULL")


def test_files_set_aside_are_kept_in_bounded_number(tmp_path: Path) -> None:
    for number in range(KEPT_DAMAGED + 3):
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"x.db{suffix}").write_text(str(number))
        set_aside(tmp_path / "x.db")
    left = sorted(
        file.read_text() for file in tmp_path.glob("x.db.damaged-*") if not file.name.endswith(("-wal", "-shm"))
    )
    assert left == ["3", "4", "5"]
    assert len(list(tmp_path.iterdir())) == 3 * KEPT_DAMAGED


def test_a_replaced_file_is_whole_and_private(tmp_path: Path) -> None:
    replace_file(tmp_path / "f", b"one")
    replace_file(tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["f"]


def test_sqlite_errors_become_conditions() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    garbage = sqlite3.DatabaseError("file is not a database")
    garbage.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    kinds = [type(translate(error, Path("/x/y"))) for error in (full, garbage, locked)]
    assert kinds == [FileFull, FileDamaged, FileBroken]
