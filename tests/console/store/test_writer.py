"""Writes that come together are committed together; one that fails is told so alone."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from console.store.writer import Group, Writer
from contracts.errors import Unreachable


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    engine = create_engine(f"sqlite:///{tmp_path / 'w.db'}", connect_args={"check_same_thread": False, "timeout": 0.3})
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)"))
    commits: list[int] = []
    one = Writer(engine, lambda _group: None, lambda _group: None, lambda _group: commits.append(1))
    one.commits = commits  # type: ignore[attr-defined]
    one.rows = lambda: [  # type: ignore[attr-defined]
        row[0] for row in engine.connect().execute(text("SELECT n FROM t ORDER BY n"))
    ]
    yield one
    one.close()


def put(number: int) -> Any:
    def work(group: Group) -> int:
        group.connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
        return number

    return work


def test_a_thousand_writes_are_a_few_commits(writer: Any) -> None:
    async def run() -> list[int]:
        return list(await asyncio.gather(*(writer.do(put(number)) for number in range(1000))))

    assert asyncio.run(run()) == list(range(1000))
    assert writer.rows() == list(range(1000))
    assert len(writer.commits) < 100
    assert writer.group_size() > 10


def test_only_the_write_that_fails_is_told_so(writer: Any) -> None:
    async def run() -> list[Any]:
        works = [put(number) for number in (1, 2, 2, 3)]
        return list(await asyncio.gather(*(writer.do(work) for work in works), return_exceptions=True))

    results = asyncio.run(run())
    assert results[:2] == [1, 2]
    assert isinstance(results[2], Unreachable)
    assert results[3] == 3
    assert writer.rows() == [1, 2, 3]


def test_after_closing_nothing_is_taken(writer: Any) -> None:
    async def run() -> None:
        await writer.do(put(1))
        writer.close()
        with pytest.raises(Unreachable):
            await writer.do(put(2))

    asyncio.run(run())
    assert writer.rows() == [1]


def test_a_locked_database_is_told_to_all_at_once(writer: Any, tmp_path: Path) -> None:
    """Trying each write alone would make the last of them wait as many times as there are writes."""
    other = sqlite3.connect(tmp_path / "w.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(writer.do(put(n)) for n in range(50)), return_exceptions=True))

    began = time.monotonic()
    results = asyncio.run(run())
    assert time.monotonic() - began < 10  # each alone would wait for 0.3 s, fifty times
    assert {type(result) for result in results} == {Unreachable}
    assert "locked" in results[0].message
    other.rollback()
    assert asyncio.run(writer.do(put(1))) == 1
