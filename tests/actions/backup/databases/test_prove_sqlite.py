"""A restored SQLite file is opened alone, checked, counted and asked."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.prove_sqlite import restored_sqlite
from actions.backup.databases.throwaway import ProofFailed

OPTIONS = ProveOptions(scratch="/tmp")


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("PRAGMA journal_mode=wal")
        db.execute('CREATE TABLE "o""dd"(i INTEGER PRIMARY KEY AUTOINCREMENT, x)')
        db.execute("CREATE TABLE empty(i)")
        db.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
        db.executemany('INSERT INTO "o""dd"(x) VALUES (?)', [(os.urandom(100),) for _ in range(200)])
        db.execute("INSERT INTO words VALUES ('hello world')")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return (tmp_path / "a.db").read_bytes()


def test_tables_are_counted_and_questions_answered(content: bytes) -> None:
    with restored_sqlite(OPTIONS, [content[:5000], content[5000:]]) as one:
        counts = one.counts()
        assert (counts['o"dd'], counts["empty"]) == (200, 0)
        assert "sqlite_sequence" not in counts
        assert one.ask('SELECT count(*), NULL, 1.5 FROM "o""dd"') == "200\t\t1.5"
        assert one.ask("SELECT text FROM words WHERE words MATCH 'world'") == "hello world"
        with pytest.raises(ProofFailed, match="no such table"):
            one.ask("SELECT * FROM nonsense")


def test_one_that_is_not_sound_is_refused_and_wiped(content: bytes, entered: Path) -> None:
    broken = bytearray(content)
    broken[4096 : 4096 + 100] = os.urandom(100)
    for bad in (bytes(broken), content[:-4096], b"hello"):
        with pytest.raises(ProofFailed), restored_sqlite(ProveOptions(scratch=str(entered)), [bad]):
            pass
    assert list(entered.iterdir()) == []
