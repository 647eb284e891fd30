"""The scan book: which files were found clean, as they were then, and with which signatures; one row a folder, 20 bytes a file.

A name is kept as 8 bytes of its digest and so is what `lstat` said (device, inode, size, times): enough to pass over what was scanned, and
of no use to whoever reads the book. What is not in it is scanned. A full disk only makes it forget: a scan goes on without it.
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from contracts.openings import Stamp

FILE = "scans.db"
VERSION = 1
_ENTRY = struct.Struct("<8s8sI")
_STAMP = struct.Struct("<QQqqq")


class Book:
    """One open book. For one thread."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._epochs = dict(database.execute("SELECT text, id FROM epoch"))
        self._folder: bytes | None = None
        self._known: dict[bytes, tuple[bytes, int]] = {}
        self._seen: dict[bytes, tuple[bytes, int] | None] = {}
        self._late: dict[bytes, dict[bytes, tuple[bytes, int]]] = {}
        self.trouble = ""
        """Why nothing more is noted, "" while it is."""
        self.damaged = False
        """Whether the file is, so that the next scan begins another one."""

    def epoch(self, text: str) -> int:
        """The number of these signatures (what clamd answers to VERSION), a new one where they were not met before."""
        if text not in self._epochs:
            self._epochs[text] = self._database.execute("SELECT coalesce(max(id), 0) + 1 FROM epoch").fetchone()[0]
            self._execute("INSERT INTO epoch (id, text) VALUES (?, ?)", (self._epochs[text], text))
            self._commit()
        return int(self._epochs[text])

    def scanned(self, path: bytes, stamp: Stamp) -> int:
        """The number of the signatures with which this file, as it is, was found clean; 0 for never."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._turn(folder)
        key, now = _short(name), _digest(stamp)
        entry = self._known.get(key)
        held = entry if entry is not None and entry[0] == now else None
        self._seen[key] = held
        return held[1] if held is not None else 0

    def clean(self, path: bytes, stamp: Stamp, epoch: int) -> None:
        """Note that a file was found clean; its folder may have been left meanwhile."""
        folder, _, name = path.rpartition(b"/")
        entry = (_digest(stamp), epoch)
        if folder == self._folder:
            self._seen[_short(name)] = entry
        else:
            self._late.setdefault(folder, {})[_short(name)] = entry

    def close(self) -> None:
        """Write what is left."""
        self._turn(None)
        self._flush_late()
        self._commit()

    def _turn(self, folder: bytes | None) -> None:
        """Leave a folder: what was not seen in it is not there any more."""
        if self._folder is not None:
            kept = {key: entry for key, entry in self._seen.items() if entry is not None}
            if kept != self._known:
                self._write(self._folder, kept)
        self._flush_late()
        self._folder, self._seen = folder, {}
        self._known = self._read(folder) if folder is not None else {}

    def _flush_late(self) -> None:
        for folder, entries in self._late.items():
            self._write(folder, self._read(folder) | entries)
        self._late.clear()

    def _read(self, folder: bytes) -> dict[bytes, tuple[bytes, int]]:
        try:
            row = self._database.execute("SELECT entries FROM folder WHERE path = ?", (folder,)).fetchone()
            return {key: (stamp, epoch) for key, stamp, epoch in _ENTRY.iter_unpack(row[0])} if row else {}
        except (sqlite3.DatabaseError, struct.error, TypeError) as error:
            self._spoiled(error)
            return {}

    def _write(self, folder: bytes, entries: dict[bytes, tuple[bytes, int]]) -> None:
        raw = b"".join(_ENTRY.pack(key, stamp, epoch) for key, (stamp, epoch) in entries.items())
        if raw:
            self._execute("INSERT OR REPLACE INTO folder (path, entries) VALUES (?, ?)", (folder, raw))
        else:
            self._execute("DELETE FROM folder WHERE path = ?", (folder,))

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        """Write; where that fails (a full disk) nothing more is written, and `trouble` says why: what is not noted is scanned again."""
        if not self.trouble:
            try:
                self._database.execute(statement, values)
            except sqlite3.OperationalError as error:
                self.trouble = _said(error)
            except sqlite3.DatabaseError as error:
                self._spoiled(error)

    def _spoiled(self, error: Exception) -> None:
        """The file is damaged: what it says counts for nothing, and everything is scanned."""
        self.damaged, self.trouble = True, f"the book of scans is damaged: {error}"

    def _commit(self) -> None:
        try:
            self._database.commit()
        except sqlite3.OperationalError as error:
            self.trouble = _said(error)
            self._database.rollback()
        except sqlite3.DatabaseError as error:
            self._spoiled(error)


@contextmanager
def opened(state: str) -> Iterator[Book]:
    """Open the book in this worker's folder; one that is damaged or of another version is begun anew: everything is scanned then.

    So it is where it cannot be opened now (a full disk, a lock): it stays as it is, and what is noted is forgotten with the end.
    """
    path, trouble = Path(state, FILE), ""
    try:
        database = _connect(path)
    except sqlite3.OperationalError as error:  # nothing is wrong with the file
        database, trouble = _connect(Path(":memory:")), _said(error)
    except sqlite3.DatabaseError:
        _remove(path)
        database = _connect(path)
    damaged = False
    try:
        book = Book(database)
        book.trouble = trouble
        try:
            yield book
        finally:
            book.close()
            damaged = book.damaged
    finally:
        database.close()
        if damaged:
            _remove(path)


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{FILE}-wal"), path.with_name(f"{FILE}-shm")):
        each.unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30.0)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS folder (path BLOB PRIMARY KEY, entries BLOB NOT NULL) WITHOUT ROWID"
        )
        database.execute("CREATE TABLE IF NOT EXISTS epoch (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)")
        database.execute("SELECT id, text FROM epoch").fetchall()  # read whole by each scan: damage shows here
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()
    except BaseException:
        database.close()
        raise
    return database


def _said(error: sqlite3.OperationalError) -> str:
    """What went wrong; SQLite calls it an I/O error where a full disk does not take even the index of the file."""
    code = getattr(error, "sqlite_errorcode", 0)
    return "the disk is full" if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE) else str(error)


def _short(name: bytes) -> bytes:
    return blake2b(name, digest_size=8).digest()


def _digest(stamp: Stamp) -> bytes:
    packed = _STAMP.pack(stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns)
    return blake2b(packed, digest_size=8).digest()
