"""The ledger adds up per day in UTC."""

import sqlite3

from agent import ledger
from contracts.outcome import Cost, Ok, Run

NOON_MS = 1_763_726_400_000  # 2025-11-21 12:00 UTC


def test_days_are_utc_and_rows_add_up() -> None:
    db = sqlite3.connect(":memory:")
    db.execute(ledger.SCHEMA)
    for hours in (-13, 0, 11):
        ledger.add(
            db,
            Run(name="ports", started_ms=NOON_MS + hours * 3_600_000, outcome=Ok(), cost=Cost(cpu_s=0.5), rows=hours),
        )
    newest, oldest = ledger.read(db, "")
    assert (newest.day, newest.runs, newest.ok, newest.cpu_s, newest.rows) == ("2025-11-21", 2, 2, 1.0, 11)
    assert (oldest.day, oldest.runs) == ("2025-11-20", 1)
    ledger.forget(db, NOON_MS)
    assert ledger.read(db, "") == [newest]
    assert ledger.read(db, "2025-11-20") == []
