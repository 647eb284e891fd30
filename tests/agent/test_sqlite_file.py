"""Files of the agent: private, told apart, set aside in bounded number, replaced whole."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agent.sqlite_file import (
    KEPT_DAMAGED,
    FileBroken,
    FileDamaged,
    FileFull,
    is_alone,
    open_file,
    replace_file,
    set_aside,
    share,
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


ON_A_FULL_DISK = """
import contextlib, sqlite3, sys
from pathlib import Path
from agent.sqlite_file import is_alone, open_file, share

path, steps = Path(sys.argv[1]) / "x.db", (("CREATE TABLE a (x INTEGER)",),)
made = open_file(path, 77, steps, "FULL")
made.execute("INSERT INTO a VALUES (1)")
made.close()
ballast = path.with_name("ballast")
with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
    while True:
        file.write(bytes(4096))
db = open_file(path, 77, steps, "FULL")
assert is_alone(db), "there was room"
assert db.execute("SELECT x FROM a").fetchall() == [(1,)]
for _ in range(2):
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("INSERT INTO a VALUES (2)")
        raise AssertionError("a full disk took it")
assert not share(db) and is_alone(db)
assert db.execute("SELECT x FROM a").fetchall() == [(1,)], "a file that could not be shared is still read"
ballast.unlink()
db.execute("INSERT INTO a VALUES (3)")
assert share(db) and not is_alone(db)
other = sqlite3.connect(path)
assert other.execute("SELECT x FROM a").fetchall() == [(1,), (3,)]
other.execute("INSERT INTO a VALUES (4)")
other.commit()
assert db.execute("SELECT count(*) FROM a").fetchone() == (3,)
print("ok")
"""


def test_on_a_full_disk_what_is_there_is_opened_and_shared_again_once_there_is_room(tmp_path: Path) -> None:
    """A small file system in a mount namespace of its own."""
    command = f'mount -t tmpfs -o size=512k none "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, ON_A_FULL_DISK], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_a_file_is_shared_where_there_is_room(tmp_path: Path) -> None:
    db = open_file(tmp_path / "x.db", 77, STEPS, "FULL")
    assert not is_alone(db)
    assert share(db)
