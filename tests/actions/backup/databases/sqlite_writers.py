"""Processes that write to an SQLite database as another user, with what must always hold: a constant total and a counter that grows."""

import multiprocessing
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

ACCOUNTS = 200
TOTAL = ACCOUNTS * 1000
WRITER = 65534
_fork = multiprocessing.get_context("fork")


def create(path: Path, mode: str, *, filler_bytes: int = 0, uid: int = WRITER) -> None:
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] == mode
        db.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, note TEXT)")
        db.execute("CREATE INDEX by_amount ON account(amount)")
        db.execute("CREATE TABLE counter(n INTEGER)")
        db.execute("CREATE TABLE filler(data BLOB)")
        db.execute("BEGIN")
        db.executemany("INSERT INTO account VALUES(?, 1000, '')", [(n,) for n in range(ACCOUNTS)])
        db.execute("INSERT INTO counter VALUES(0)")
        for _ in range(filler_bytes >> 20):
            db.execute("INSERT INTO filler VALUES(randomblob(1048576))")
        db.execute("COMMIT")
    Path(f"{path}-journal").unlink(missing_ok=True)  # empty, and of another user
    os.chown(path.parent, uid, uid)
    os.chown(path, uid, uid)
    path.chmod(0o644)


def write(path: Path, stop: Event, started: Event, seed: int, pause: float, checkpoint: str, mode: str) -> None:
    os.setgid(WRITER)
    os.setgroups([])
    os.setuid(WRITER)
    db = sqlite3.connect(path, isolation_level=None, timeout=60)
    if mode:
        db.execute(f"PRAGMA journal_mode={mode}").fetchone()
    number = seed
    while not stop.is_set():
        number = (number * 1103515245 + 12345) & 0x7FFFFFFF
        try:
            db.execute("BEGIN IMMEDIATE")
            for step in range(1 + number % 7):
                one, other = (number >> step) % ACCOUNTS, (number >> step + 3) % ACCOUNTS
                db.execute("UPDATE account SET amount = amount - 7, note = ? WHERE id = ?", ("x" * (number % 700), one))
                db.execute("UPDATE account SET amount = amount + 7 WHERE id = ?", (other,))
            db.execute("UPDATE counter SET n = n + 1")
            db.execute("COMMIT" if number % 11 else "ROLLBACK")
            if checkpoint and number % 5 == 0:
                db.execute(f"PRAGMA wal_checkpoint({checkpoint})").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
        started.set()
        time.sleep(pause)
    db.close()


@contextmanager
def writers(
    path: Path, count: int = 2, *, pause: float = 0.0005, checkpoint: str = "", mode: str = ""
) -> Iterator[None]:
    """So many processes that write until the end of the context; all of them must end well."""
    stop = _fork.Event()
    running = []
    for seed in range(1, count + 1):
        started = _fork.Event()
        one = _fork.Process(target=write, args=(path, stop, started, seed * 7919, pause, checkpoint, mode))
        one.start()
        running.append(one)
        assert started.wait(60)
    try:
        yield
    finally:
        stop.set()
        for one in running:
            one.join(90)
    assert [one.exitcode for one in running] == [0] * count


def counter(path: Path) -> int:
    """The counter as a proper reader sees it."""
    with closing(sqlite3.connect(path, timeout=60)) as db:
        return int(db.execute("SELECT n FROM counter").fetchone()[0])


def look(content: bytes, folder: Path) -> int:
    """Check what must hold in a copy; returns its counter."""
    copy = folder / "looked at.db"
    copy.write_bytes(content)
    with closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*), sum(amount) FROM account").fetchone() == (ACCOUNTS, TOTAL)
        found = int(db.execute("SELECT n FROM counter").fetchone()[0])
    copy.unlink()
    return found
