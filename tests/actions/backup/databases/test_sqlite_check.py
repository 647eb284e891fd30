"""A private copy becomes one sound file, or is refused; what its schema names is not run."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases.sqlite_check import NotSound, open_private, settle
from actions.backup.databases.sqlite_copy import Copied


def made(path: Path, mode: str = "delete") -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE t(i INTEGER, x TEXT)")
    db.execute("CREATE INDEX i ON t(x)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"text {n}") for n in range(3000)])
    return db


def copied(path: Path, frames: int = 0) -> Copied:
    return Copied(path, path.stat(), frames)


def test_a_wal_is_taken_in_and_none_is_left(tmp_path: Path) -> None:
    db = made(tmp_path / "a", "wal")
    for ending in ("", "-wal"):
        (tmp_path / f"copy{ending}").write_bytes((tmp_path / f"a{ending}").read_bytes())
    frames = ((tmp_path / "a-wal").stat().st_size - 32) // (4096 + 24)
    assert settle(copied(tmp_path / "copy", frames), "x", time.monotonic() + 30) == []
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("copy")) == ["copy"]
    with closing(sqlite3.connect(f"file:{tmp_path}/copy?immutable=1", uri=True)) as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (3000,)
    db.close()


def test_a_wal_that_is_shorter_than_what_was_committed_is_refused(tmp_path: Path) -> None:
    db = made(tmp_path / "a", "wal")
    (tmp_path / "copy").write_bytes((tmp_path / "a").read_bytes())
    (tmp_path / "copy-wal").write_bytes((tmp_path / "a-wal").read_bytes()[:-5000])
    frames = ((tmp_path / "a-wal").stat().st_size - 32) // (4096 + 24)
    with pytest.raises(NotSound, match=f"its WAL had {frames} frames of committed changes"):
        settle(copied(tmp_path / "copy", frames), "x", time.monotonic() + 30)
    db.close()


def test_damage_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a").close()
    whole = (tmp_path / "a").read_bytes()
    refused = 0
    for page in range(1, len(whole) // 4096):
        broken = bytearray(whole)
        broken[page * 4096 : page * 4096 + 8] = os.urandom(8)
        (tmp_path / "copy").write_bytes(broken)
        with pytest.raises(NotSound):
            settle(copied(tmp_path / "copy"), "x", time.monotonic() + 30)
        refused += 1
    assert refused > 10
    (tmp_path / "copy").write_bytes(whole[:-4096])
    with pytest.raises(NotSound):
        settle(copied(tmp_path / "copy"), "x", time.monotonic() + 30)


def test_time_is_limited(tmp_path: Path) -> None:
    db = made(tmp_path / "a")
    db.execute("INSERT INTO t SELECT i, x FROM t, (SELECT i AS j FROM t LIMIT 40)")
    db.close()
    with pytest.raises(NotSound, match="interrupted"):
        settle(copied(tmp_path / "a"), "x", time.monotonic() - 1)


def test_a_schema_cannot_make_it_call_what_is_not_harmless(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a")) as db:
        db.execute("CREATE TABLE t(i)")
        db.execute("CREATE VIEW v AS SELECT load_extension('/tmp/evil')")
        db.commit()
    with closing(open_private(tmp_path / "a", time.monotonic() + 30)) as db:
        assert db.execute("PRAGMA trusted_schema").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError):
            db.execute("SELECT * FROM v").fetchall()
