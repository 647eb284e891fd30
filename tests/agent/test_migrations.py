"""Migrations go forward only, all or nothing per step, and never touch what is newer."""

import sqlite3
from pathlib import Path

import pytest

from agent import state
from agent.clock import SystemClock
from agent.migrations import migrate, refuse_newer, version
from agent.spool import spool
from agent.spool.schema import STEPS as SPOOL_STEPS
from agent.state import STEPS as STATE_STEPS
from contracts.errors import NewerData
from contracts.event import Lane

FIRST = ("CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)")


def second(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7")


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "x.db", isolation_level=None)


def test_a_new_file_takes_every_step(db: sqlite3.Connection, tmp_path: Path) -> None:
    assert migrate(db, (FIRST, second), tmp_path) == 0
    assert version(db) == 2
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 7)]


def test_an_older_file_takes_the_steps_it_lacks_and_keeps_its_data(db: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(db, (FIRST,), tmp_path)
    db.execute("INSERT INTO a VALUES (2)")
    assert migrate(db, (FIRST, second), tmp_path) == 1
    assert db.execute("SELECT x, y FROM a ORDER BY x").fetchall() == [(1, 7), (2, 7)]
    assert migrate(db, (FIRST, second), tmp_path) == 2


def test_a_step_that_fails_leaves_the_version_before_it(db: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (FIRST, ("CREATE TABLE b (x)", "NONSENSE")), tmp_path)
    assert version(db) == 1
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]


def test_newer_data_is_refused_with_what_to_do(db: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(db, (FIRST, second), tmp_path)
    with pytest.raises(NewerData, match=r"is in format 2.*install the newer version"):
        refuse_newer(db, 1, tmp_path / "x.db")


@pytest.mark.parametrize("steps", [SPOOL_STEPS, STATE_STEPS])
def test_formats_that_were_released_are_never_rewritten(steps: tuple) -> None:
    """A released step is data on people's disks: add a step instead, and raise this number with it."""
    assert len(steps) == 1


def test_a_spool_of_the_first_format_opens(tmp_path: Path) -> None:
    """Written statement by statement as version 1 does, independent of today's code."""
    first = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    for lane in ("critical", "normal", "bulk"):
        first.execute(
            f"CREATE TABLE {lane} (last INTEGER PRIMARY KEY, count INTEGER NOT NULL, "
            "at_ms INTEGER NOT NULL, chain BLOB NOT NULL, body BLOB NOT NULL)"
        )
    first.execute(
        "CREATE TABLE lanes (lane TEXT PRIMARY KEY, acked INTEGER NOT NULL, previous BLOB NOT NULL, floor INTEGER NOT NULL, "
        "floor_chain BLOB NOT NULL, lost INTEGER NOT NULL) WITHOUT ROWID"
    )
    first.execute(
        "CREATE TABLE losses (lane TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, "
        "chain BLOB NOT NULL, PRIMARY KEY (lane, first)) WITHOUT ROWID"
    )
    for lane in ("critical", "normal", "bulk"):
        first.execute("INSERT INTO lanes VALUES (?, 4, zeroblob(32), 4, zeroblob(32), 0)", (lane,))
    first.execute(f"PRAGMA application_id = {0x48465350}")
    first.execute("PRAGMA user_version = 1")
    first.close()
    opened, events = spool.Spool.open(tmp_path / "spool.db", "0" * 32, spool.SpoolLimits(), SystemClock())
    assert events == ()
    assert opened.positions()[Lane.NORMAL] == (4, 4)


def test_the_state_of_the_first_format_opens(tmp_path: Path) -> None:
    made, _ = state.State.open(tmp_path / "state.db", SystemClock())
    made.put("fact", b"kept")
    made.close()
    opened, events = state.State.open(tmp_path / "state.db", SystemClock())
    assert (events, opened.get("fact")) == ((), b"kept")
