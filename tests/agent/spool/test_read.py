"""Reading the spool: parts are whole and checked; what does not fit the chain is damage, never handed on."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from agent.clock import SystemClock
from agent.spool import read
from agent.spool.spool import Spool, SpoolLimits
from agent.sqlite_file import FileDamaged
from contracts.event import Event, Lane, Severity


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made, _ = Spool.open(tmp_path / "spool.db", "0" * 32, SpoolLimits(), SystemClock())
    made.append([Event(kind="a.b", key=str(n), severity=Severity.LOW, dedup=str(n)) for n in range(10)])
    return made


def other(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "spool.db", isolation_level=None)


def test_a_part_begins_within_a_bundle_where_the_console_stopped(spool: Spool) -> None:
    spool.acknowledge(Lane.NORMAL, 4)
    part = spool.pending(Lane.NORMAL, 1)
    assert [item.seq for item in part.items] == [5]
    assert part.previous == read.chain_at(spool._db, spool._books[Lane.NORMAL], 4)


def test_an_altered_record_is_damage(spool: Spool, tmp_path: Path) -> None:
    db = other(tmp_path)
    bodies = msgspec.msgpack.decode(db.execute("SELECT body FROM normal").fetchone()[0], type=list[bytes])
    bodies[3] = bodies[3].replace(b"a.b", b"a.c")
    db.execute("UPDATE normal SET body = ?", (msgspec.msgpack.encode(bodies),))
    with pytest.raises(FileDamaged, match="do not fit the chain"):
        read.pending(db, spool._books[Lane.NORMAL], 1000)


def test_a_missing_record_is_damage(spool: Spool, tmp_path: Path) -> None:
    spool.append([Event(kind="a.b", key="x", severity=Severity.LOW)])
    db = other(tmp_path)
    db.execute("DELETE FROM normal WHERE last = 10")
    with pytest.raises(FileDamaged, match="do not follow"):
        read.pending(db, spool._books[Lane.NORMAL], 1000)


def test_what_does_not_decode_is_damage(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(FileDamaged):
        read.decoded(b"\xc1")
    with pytest.raises(FileDamaged):
        read.decoded(msgspec.msgpack.encode([b"\xc1"]))


def test_everything_in_memory_is_rebuilt_from_the_file(spool: Spool, tmp_path: Path) -> None:
    spool.acknowledge(Lane.NORMAL, 4)
    books, newest, keys = read.load(other(tmp_path), 6)
    assert books == spool._books
    assert newest == max(one.id for one in spool.recent(10))
    assert keys == [str(n).encode() for n in range(4, 10)]
    assert read.author(spool._db, Lane.NORMAL) == "0" * 32
    assert read.author(spool._db, Lane.BULK) == ""


def test_a_new_agent_id_begins_new_chains_with_what_waits(spool: Spool, tmp_path: Path) -> None:
    spool.acknowledge(Lane.NORMAL, 8)
    spool.close()
    again, _ = Spool.open(tmp_path / "spool.db", "1" * 32, SpoolLimits(), SystemClock())
    part = again.pending(Lane.NORMAL, 1 << 20)
    found = [msgspec.msgpack.decode(item.body) for item in part.items]
    assert {one["agent"] for one in found} == {"1" * 32}
    assert [one["event"]["key"] for one in found] == ["normal", "8", "9"]
