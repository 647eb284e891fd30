"""The ledger: what the runs of each collector, judge and action cost, added up per day."""

import sqlite3
from datetime import UTC, datetime

from contracts.outcome import Ok, Run, Unavailable
from contracts.record import Record

SCHEMA = """CREATE TABLE ledger (
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    runs INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    unavailable INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    wall_s REAL NOT NULL,
    cpu_s REAL NOT NULL,
    read_bytes INTEGER NOT NULL,
    peak_bytes INTEGER NOT NULL,
    events INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (day, name)
) WITHOUT ROWID"""

_ADD = """INSERT INTO ledger VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, name) DO UPDATE SET
    runs = runs + 1, ok = ok + excluded.ok, unavailable = unavailable + excluded.unavailable, failed = failed + excluded.failed,
    wall_s = wall_s + excluded.wall_s, cpu_s = cpu_s + excluded.cpu_s, read_bytes = read_bytes + excluded.read_bytes,
    peak_bytes = max(peak_bytes, excluded.peak_bytes), events = events + excluded.events, rows = excluded.rows,
    last_ms = max(last_ms, excluded.last_ms)"""


class LedgerRow(Record):
    """One name on one day (UTC, `YYYY-MM-DD`): sums, except `peak_bytes` (highest), `rows` and `last_ms` (of the last run)."""

    day: str
    name: str
    runs: int
    ok: int
    unavailable: int
    failed: int
    wall_s: float
    cpu_s: float
    read_bytes: int
    peak_bytes: int
    events: int
    rows: int
    last_ms: int


def add(db: sqlite3.Connection, run: Run) -> None:
    """Add one run to its day."""
    ok, unavailable = isinstance(run.outcome, Ok), isinstance(run.outcome, Unavailable)
    cost = run.cost
    counts = (ok, unavailable, not ok and not unavailable)
    sums = (cost.wall_s, cost.cpu_s, cost.read_bytes, cost.peak_bytes, run.events, run.rows, run.started_ms)
    db.execute(_ADD, (day_of(run.started_ms), run.name, *counts, *sums))


def read(db: sqlite3.Connection, day: str) -> list[LedgerRow]:
    """Return the rows of `day`, or of all days when it is empty; newest day first."""
    names = ", ".join(LedgerRow.__struct_fields__)
    query = f"SELECT {names} FROM ledger WHERE ? IN ('', day) ORDER BY day DESC, name"
    return [LedgerRow(**dict(zip(LedgerRow.__struct_fields__, row, strict=True))) for row in db.execute(query, (day,))]


def forget(db: sqlite3.Connection, before_ms: int) -> None:
    """Remove the days before the one of `before_ms`."""
    db.execute("DELETE FROM ledger WHERE day < ?", (day_of(before_ms),))


def day_of(at_ms: int) -> str:
    """Return the UTC day of a Unix time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
