"""Our locks exclude SQLite's own, and end with the descriptor alone."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actions.backup.databases import sqlite_locks as locks
from actions.backup.databases.sqlite_locks import Busy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t(i)")
        db.commit()
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_a_shared_database_can_be_read_and_prepared_but_not_written(path: Path, descriptor: int) -> None:
    locks.share_database(descriptor, time.monotonic() + 5)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (1)")
        assert locks.is_held(descriptor, locks.RESERVED)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            db.execute("COMMIT")
        locks.free_all(descriptor)
        db.execute("COMMIT")
    assert not locks.is_held(descriptor, locks.RESERVED)


def test_the_lock_survives_that_somebody_here_closes_the_same_file(path: Path, descriptor: int) -> None:
    """Locks of processes, which SQLite itself uses, would be lost."""
    locks.share_database(descriptor, time.monotonic() + 5)
    path.read_bytes()
    with (
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        db.execute("INSERT INTO t VALUES (1)")


def test_an_exclusive_holder_is_waited_for(path: Path, descriptor: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(Busy) as caught:
            locks.share_database(descriptor, time.monotonic() + 0.3)
        assert 0.25 < time.monotonic() - began < 30
        assert caught.value.advice
        db.execute("COMMIT")
    locks.share_database(descriptor, time.monotonic() + 5)


def test_a_shared_checkpoint_lock_keeps_frames_in_the_wal(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=wal")
        db.execute("INSERT INTO t VALUES (1)")
        index = os.open(f"{path}-shm", os.O_RDONLY)
        assert locks.is_held(index, locks.MASTER_SWITCH)
        locks.share_checkpoint(index, time.monotonic() + 5)
        before = path.read_bytes()
        assert db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 1
        db.execute("INSERT INTO t VALUES (2)")
        assert path.read_bytes() == before
        os.close(index)
        assert db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
        assert path.read_bytes() != before
