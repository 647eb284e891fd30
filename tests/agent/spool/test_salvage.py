"""Salvage: everything that still reads and was not acknowledged, nothing that was altered."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from agent.clock import SystemClock
from agent.spool.salvage import rows
from agent.spool.spool import Spool, SpoolLimits
from contracts.event import Envelope, Event, Lane, Severity


@pytest.fixture
def file(tmp_path: Path) -> Path:
    spool, _ = Spool.open(tmp_path / "spool.db", "0" * 32, SpoolLimits(), SystemClock())
    for number in range(100):
        spool.append(
            [Event(kind="a.b", key=str(number * 2 + one) + "x" * 300, severity=Severity.LOW) for one in (0, 1)]
        )
    spool.acknowledge(Lane.NORMAL, 51)
    spool.close()
    return tmp_path / "spool.db"


def keys(file: Path) -> list[int]:
    return [int(msgspec.msgpack.decode(body, type=Envelope).event.key.rstrip("x")) for body in rows(file, Lane.NORMAL)]


def test_a_whole_file_gives_what_was_not_acknowledged(file: Path) -> None:
    assert keys(file) == list(range(51, 200))
    assert list(rows(file, Lane.BULK)) == []


def test_an_altered_bundle_is_left_out(file: Path) -> None:
    db = sqlite3.connect(file)
    body = db.execute("SELECT body FROM normal WHERE last = 100").fetchone()[0]
    db.execute("UPDATE normal SET body = ? WHERE last = 100", (body.replace(b"a.b", b"a.c"),))
    db.commit()
    db.close()
    assert keys(file) == [n for n in range(51, 200) if n not in (98, 99)]


def test_a_page_that_does_not_read_costs_only_what_it_held(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    file.write_bytes(content)
    found = keys(file)
    assert found == sorted(set(found))
    assert 100 < len(found) < 149


def test_garbage_and_absence_give_nothing(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"\x00\xff" * 5000)
    assert list(rows(tmp_path / "garbage", Lane.NORMAL)) == []
    assert list(rows(tmp_path / "absent", Lane.NORMAL)) == []
