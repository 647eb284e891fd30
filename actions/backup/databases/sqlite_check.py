"""Putting a private copy of an SQLite database together, and checking it: WAL and journal taken in, every page and index looked at."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from actions.backup.databases.sqlite_copy import Copied
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Why

_UNKNOWN = ("no such collation sequence", "no such module", "no such function", "unknown tokenizer")
_SHOWN = 5
_STEPS = 100_000


class NotSound(HoldfastError):
    """SQLite finds fault with the copy."""


def open_private(path: Path, deadline: float) -> sqlite3.Connection:
    """A connection to a file that nobody else uses; nothing that its schema names is run. It gives up at `deadline` (monotonic)."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, timeout=0)
    connection.set_progress_handler(lambda: int(time.monotonic() >= deadline), _STEPS)
    for setting in (
        "locking_mode=EXCLUSIVE",
        "trusted_schema=OFF",
        "cell_size_check=ON",
        "synchronous=OFF",
        "mmap_size=0",
    ):
        connection.execute(f"PRAGMA {setting}").fetchall()
    return connection


def settle(copied: Copied, what: str, deadline: float) -> list[Blind]:
    """Make one whole file of a copy and check it. Returns what could not be looked at; raises NotSound."""
    try:
        with closing(open_private(copied.path, deadline)) as connection:
            _take_in(connection, copied)
            found = _check(connection, what)
    except sqlite3.Error as error:
        raise NotSound(f"SQLite cannot read it: {error}", advice="check the database with its own program") from error
    for ending in ("-wal", "-journal"):
        if copied.path.with_name(copied.path.name + ending).exists():
            raise NotSound(f"its copy could not be made one file: {ending} is left")
    return found


def _take_in(connection: sqlite3.Connection, copied: Copied) -> None:
    """Recover the journal or the WAL, and bring everything into the database file."""
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    busy, frames, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if busy or frames != done:
        raise NotSound(f"only {done} of {frames} frames of its WAL could be taken in")
    if max(0, frames) < copied.frames:
        raise NotSound(f"its WAL had {copied.frames} frames of committed changes, the copy has {max(0, frames)}")


def _check(connection: sqlite3.Connection, what: str) -> list[Blind]:
    """Ask for the integrity; where an index needs code of its program, for as much as goes without."""
    unknown = ""
    for check in ("integrity_check", "quick_check"):
        try:
            faults = [str(row[0]) for row in connection.execute(f"PRAGMA {check}({_SHOWN})")]
        except sqlite3.OperationalError as error:
            if not str(error).startswith(_UNKNOWN):
                raise
            unknown = str(error)
            continue
        if faults != ["ok"]:
            raise NotSound(f"{check} says: {'; '.join(faults[:_SHOWN])}", advice="mend the database, and look why")
        break
    if not unknown:
        return []
    fix = "Check it with the program it belongs to."
    return [Blind(what=f"whether the indexes of {what} are sound", why=Why.INCOMPATIBLE, detail=unknown, fix=fix)]
