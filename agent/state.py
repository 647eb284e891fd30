"""What the agent remembers: snapshots by subject and revision, accepted baselines, the ledger, and small facts.

SQLite in WAL mode with synchronous=NORMAL, unlike the spool: the file cannot tear, but the last moments may be missing after a power
cut. That is enough, because the core spools the events of a look first and stores its snapshot after. A snapshot that went missing
makes the next look state the same changes again, with the same dedup keys, and the spool collapses them.

Every row carries the revision that last touched it, and a removed row stays as a tombstone, so that the console gets only what changed
since the revision it holds. Tombstones are forgotten in the end; a console that is older than this horizon gets everything anew.
A fresh file gives the console everything anew, too: revision numbers of two files say nothing of one another (`base_held`).

All methods may be called from any thread.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent import ledger, state_parts
from agent.clock import Clock
from agent.ledger import LedgerRow
from agent.sqlite_file import FileBroken, FileDamaged, is_alone, open_file, set_aside, share, translate
from contracts.errors import HoldfastError
from contracts.event import Event, Kind, Severity
from contracts.outcome import Run
from contracts.snapshot import EncodedChanges
from contracts.wire import SubjectPart

APPLICATION = 0x48465354  # "HFST"
MAX_TOMBSTONES = 10_000
"""How many removed rows of a subject are remembered."""

STEPS = (
    (
        # horizon: the highest revision whose removals may be forgotten. held: the revision the console acknowledged out of this very file.
        """CREATE TABLE subjects (
            subject TEXT PRIMARY KEY,
            revision INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            horizon INTEGER NOT NULL,
            held INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE rows (
            subject TEXT NOT NULL,
            key TEXT NOT NULL,
            revision INTEGER NOT NULL,
            row BLOB,
            PRIMARY KEY (subject, key)
        )""",
        "CREATE INDEX tombstones ON rows (subject, revision) WHERE row IS NULL",
        """CREATE TABLE baselines (
            subject TEXT NOT NULL,
            key TEXT NOT NULL,
            row BLOB NOT NULL,
            who TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            PRIMARY KEY (subject, key)
        )""",
        """CREATE TABLE acceptances (
            subject TEXT PRIMARY KEY,
            revision INTEGER NOT NULL,
            who TEXT NOT NULL,
            at_ms INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        ledger.SCHEMA,
    ),
)
"""One entry per version of the format."""

STATE_SET_ASIDE = Kind(
    name="agent.state_set_aside",
    meaning="The agent's memory of what it saw last was damaged; it begins anew, so changes since the last look cannot be named.",
    title="the agent's state was set aside: {reason}",
    severity=Severity.HIGH,
    fields={"reason": "str", "file": "str"},
    advice="Check the disk; accept the baselines again once you have looked at the present state.",
    ocsf_class=6008,
)

KINDS = (STATE_SET_ASIDE,)


class State:
    """The agent's memory. Made by `open`."""

    def __init__(self, path: Path, clock: Clock, db: sqlite3.Connection, ledger_days: float) -> None:
        self.path = path
        self._clock = clock
        self._db = db
        self._thread_lock = threading.RLock()
        self._ledger_days = ledger_days
        self._day = ""
        self._alone = is_alone(db)

    @classmethod
    def open(cls, path: Path, clock: Clock, ledger_days: float = 30.0) -> tuple["State", tuple[Event, ...]]:
        """Open or create the file; the events say that a damaged one was set aside. Raises `NewerData` or `FileBroken`."""
        try:
            return cls(path, clock, open_file(path, APPLICATION, STEPS, "NORMAL"), ledger_days), ()
        except FileDamaged as damage:
            aside = _aside(path)
            event = STATE_SET_ASIDE.event("state", reason=damage.message, file=aside.name, observed_ms=clock.now_ms())
            return cls(path, clock, open_file(path, APPLICATION, STEPS, "NORMAL"), ledger_days), (event,)

    def close(self) -> None:
        """Release the file."""
        with self._thread_lock:
            self._db.close()

    def revision(self, subject: str) -> int:
        """Return the subject's revision, 0 when it was never looked at."""
        return self._head(subject)[0]

    def at_ms(self, subject: str) -> int:
        """Return when the subject was last looked at, 0 for never."""
        return self._head(subject)[1]

    def subjects(self) -> dict[str, int]:
        """Return the revision of every subject."""
        with self._using() as db:
            return dict(db.execute("SELECT subject, revision FROM subjects").fetchall())

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return the rows as MessagePack by key."""
        with self._using() as db:
            query = "SELECT key, row FROM rows WHERE subject = ? AND row IS NOT NULL ORDER BY key"
            return dict(db.execute(query, (subject,)).fetchall())

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        """Store `changes` as seen at `at_ms`; returns the new revision (the same one when there are none, but at least 1)."""
        with self._changing() as db:
            revision, _, horizon = self._head(subject)
            if revision and not changes.put and not changes.removed:
                db.execute("UPDATE subjects SET at_ms = ? WHERE subject = ?", (at_ms, subject))
                return revision
            revision += 1
            upsert = """INSERT INTO rows VALUES (?, ?, ?, ?)
                ON CONFLICT (subject, key) DO UPDATE SET revision = excluded.revision, row = excluded.row"""
            gone = "UPDATE rows SET revision = ?, row = NULL WHERE subject = ? AND key = ? AND row IS NOT NULL"
            db.executemany(gone, [(revision, subject, key) for key in changes.removed])
            db.executemany(upsert, [(subject, key, revision, row) for key, row in changes.put.items()])
            if changes.removed:
                horizon = _forget_tombstones(db, subject, horizon)
            stored = """INSERT INTO subjects VALUES (?, ?, ?, ?, 0) ON CONFLICT (subject) DO UPDATE
                SET revision = excluded.revision, at_ms = excluded.at_ms, horizon = excluded.horizon"""
            db.execute(stored, (subject, revision, at_ms, horizon))
            return revision

    def touch(self, subject: str, at_ms: int) -> None:
        """Note a look that found nothing changed; a first look that found nothing makes revision 1."""
        self.apply(subject, EncodedChanges(), at_ms)

    def part(self, subject: str, base: int, max_bytes: int, after: str | None = None) -> SubjectPart | None:
        """Return what the console, which holds revision `base`, lacks; None when it is up to date.

        Everything (`base` 0 in the answer) when `base` is ahead, or older than the removals that are remembered. When the part says `more`,
        ask again with `after` set to its highest key; pages belong together only while `base` and `revision` stay the same.
        """
        with self._using() as db:
            return state_parts.page(db, subject, base, max_bytes, after, self._head(subject))

    def base_held(self, subject: str) -> int:
        """Return the revision that the console acknowledged out of this file, 0 for none: only then may changes build on it."""
        with self._using() as db:
            row = db.execute("SELECT held FROM subjects WHERE subject = ?", (subject,)).fetchone()
            return row[0] if row else 0

    def hold(self, subject: str, revision: int) -> None:
        """Note what the console acknowledged."""
        with self._changing() as db:
            db.execute("UPDATE subjects SET held = ? WHERE subject = ?", (revision, subject))

    def accept(self, subject: str, who: str, at_ms: int, keys: Sequence[str] | None = None) -> int:
        """Take the present rows, or those of `keys`, as accepted; returns the revision they were taken at.

        A key without a row now is struck from the baseline. Raises `HoldfastError` for a subject that was never looked at.
        """
        with self._changing() as db:
            revision = self._head(subject)[0]
            if not revision:
                raise HoldfastError(
                    f"nothing is known of {subject} yet", advice="wait for the first look, then accept", permanent=False
                )
            if keys is None:
                db.execute("DELETE FROM baselines WHERE subject = ?", (subject,))
                copy = "INSERT INTO baselines SELECT subject, key, row, ?, ? FROM rows WHERE subject = ? AND row IS NOT NULL"
                db.execute(copy, (who, at_ms, subject))
            else:
                _accept_keys(db, subject, who, at_ms, keys)
            db.execute("INSERT OR REPLACE INTO acceptances VALUES (?, ?, ?, ?)", (subject, revision, who, at_ms))
            return revision

    def accepted(self, subject: str) -> tuple[int, dict[str, bytes]]:
        """Return the revision at which the baseline was last accepted, 0 for never, and its rows."""
        with self._using() as db:
            row = db.execute("SELECT revision FROM acceptances WHERE subject = ?", (subject,)).fetchone()
            query = "SELECT key, row FROM baselines WHERE subject = ? ORDER BY key"
            return (row[0] if row else 0), dict(db.execute(query, (subject,)).fetchall())

    def acceptance(self, subject: str) -> tuple[str, int]:
        """Return who accepted the baseline last, and when; "" and 0 for never."""
        with self._using() as db:
            row = db.execute("SELECT who, at_ms FROM acceptances WHERE subject = ?", (subject,)).fetchone()
            return (row[0], row[1]) if row else ("", 0)

    def record(self, run: Run) -> None:
        """Add a run to the ledger; days past its retention go when a new day begins."""
        with self._changing() as db:
            ledger.add(db, run)
            today = ledger.day_of(self._clock.now_ms())
            if today != self._day:
                self._day = today
                ledger.forget(db, self._clock.now_ms() - int(self._ledger_days * 86_400_000))

    def ledger(self, day: str = "") -> list[LedgerRow]:
        """Return the ledger of `day` (`YYYY-MM-DD`, UTC), or all of it, newest day first."""
        with self._using() as db:
            return ledger.read(db, day)

    def get(self, name: str) -> bytes | None:
        """Return a small fact."""
        with self._using() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return row[0] if row else None

    def put(self, name: str, value: bytes) -> None:
        """Keep a small fact."""
        with self._changing() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _head(self, subject: str) -> tuple[int, int, int]:
        with self._using() as db:
            query = "SELECT revision, at_ms, horizon FROM subjects WHERE subject = ?"
            row = db.execute(query, (subject,)).fetchone()
            return (row[0], row[1], row[2]) if row else (0, 0, 0)

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._thread_lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise translate(error, self.path) from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block does, or nothing of it."""
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._alone = self._alone and not share(db)  # opened on a full disk: now there is room


def _aside(path: Path) -> Path:
    try:
        return set_aside(path)
    except OSError as error:
        raise FileBroken(f"{path} is damaged and cannot be renamed: {error.strerror}") from error


def _accept_keys(db: sqlite3.Connection, subject: str, who: str, at_ms: int, keys: Sequence[str]) -> None:
    for key in keys:
        db.execute("DELETE FROM baselines WHERE subject = ? AND key = ?", (subject, key))
        copy = "INSERT INTO baselines SELECT subject, key, row, ?, ? FROM rows WHERE subject = ? AND key = ? AND row IS NOT NULL"
        db.execute(copy, (who, at_ms, subject, key))


def _forget_tombstones(db: sqlite3.Connection, subject: str, horizon: int) -> int:
    """Drop the oldest tombstones beyond the limit and return the horizon."""
    query = "SELECT revision FROM rows WHERE subject = ? AND row IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?"
    row = db.execute(query, (subject, MAX_TOMBSTONES)).fetchone()
    if row is None:
        return horizon
    db.execute("DELETE FROM rows WHERE subject = ? AND row IS NULL AND revision <= ?", (subject, row[0]))
    return max(horizon, int(row[0]))
