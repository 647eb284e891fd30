"""Versions of an SQLite file: steps forward only, each in a transaction; data of a newer version is refused untouched."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.errors import NewerData

Step = Sequence[str] | Callable[[sqlite3.Connection], None]
"""From one version to the next: statements, or a function that runs them."""


def version(db: sqlite3.Connection) -> int:
    """Return the version of the data in `db`, 0 for a new file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(db: sqlite3.Connection, known: int, path: Path) -> None:
    """Raise `NewerData` when the file was written by a version that knows more steps; only reads."""
    found = version(db)
    if found > known:
        raise NewerData(
            f"{path} is in format {found}, and this version of Holdfast knows formats up to {known}; it was left untouched",
            advice="install the newer version again, or move the file away to start anew",
        )


def migrate(db: sqlite3.Connection, steps: Sequence[Step], path: Path) -> int:
    """Bring `db` to version `len(steps)` and return the version it had.

    `db` must be in autocommit mode (`isolation_level=None`). Each step and its version number are committed together, so an
    interrupted migration goes on where it stopped. Raises `NewerData`.
    """
    refuse_newer(db, len(steps), path)
    before = version(db)
    for number, step in enumerate(steps[before:], start=before + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            if callable(step):
                step(db)
            else:
                for statement in step:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    return before
