"""SQLite files that a process holds open are found by the locks of real connections, without looking into the process."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.holdings import sqlite_open
from collectors.holdings.reading import Reading
from collectors.holdings.sqlite_open import held_open
from host.linux import LinuxHost

HOLD = """import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute('PRAGMA journal_mode=' + sys.argv[2])
held.execute('CREATE TABLE IF NOT EXISTS t (x)')
held.execute('BEGIN IMMEDIATE' if sys.argv[2] == 'DELETE' else 'SELECT 1 FROM t').fetchall()
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "app").mkdir()
    monkeypatch.setattr(sqlite_open, "PLACES", (str(tmp_path),))
    return tmp_path / "app"


@pytest.fixture(params=["WAL", "DELETE"])
def held(place: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = place / "shop.db"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path, request.param], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield path
    process.communicate()


def test_a_database_that_is_held_open_is_found(held: Path) -> None:
    reading = Reading(LinuxHost(), "databases")
    assert held_open(reading) == [str(held)]
    assert reading.blind == []


def test_one_that_nobody_holds_is_not(place: Path) -> None:
    sqlite3.connect(place / "quiet.db").execute("CREATE TABLE t (x)").connection.close()
    assert held_open(Reading(LinuxHost(), "databases")) == []


def test_where_too_much_lies_below_it_is_said(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (held.parent / f"a{number}").write_text("")
    monkeypatch.setattr(sqlite_open, "_MOST", 10)
    reading = Reading(LinuxHost(), "databases")
    held_open(reading)
    assert "only the first 10 entries" in reading.blind[0].detail
