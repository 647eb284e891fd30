"""rpm's own database, read as it lies on the disk: copied first, so that nothing is written or locked where it lies.

Format: `lib/backend/sqlite.cc` of rpm: a table `Packages` of numbers and headers. The other two formats, ndb and Berkeley's, are named.
"""

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from analysis.integrity.rpm_header import MOST_BYTES
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost

FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
LOCK = ".rpm.lock"
SQLITE = "rpmdb.sqlite"
_OTHERS = {"Packages.db": "ndb", "Packages": "Berkeley DB"}
_COPY = "rpmdb-"
_STALE_S = 3600
_PIECE = 4 << 20
MOST_DATABASE = 2 << 30
LEFT_BYTES = 64 << 20
"""What a copy leaves free on the disk."""
_ROOM = "Free space where the agent keeps its state."
MOST_PACKAGES = 200_000
READ_TRIES = 5
Stamp = tuple[int, ...]


def folder_of(host: ReadOnlyHost) -> str:
    """Return where rpm's database lies, "" where there is none."""
    for folder in FOLDERS:
        for name in (SQLITE, *_OTHERS):
            if _stamp(host, f"{folder}/{name}"):
                return folder
    return ""


def _stamp(host: ReadOnlyHost, path: str) -> Stamp:
    try:
        found = host.files.stat(path)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return ()
        raise
    return found.mtime_ns, found.ctime_ns, found.inode, found.size


class SqliteCopy:
    """A copy of a database of SQLite with what is in its write-ahead log. For one thread. `place` is a folder of our own."""

    def __init__(self, host: ReadOnlyHost, path: str, place: Path) -> None:
        self._host, self._path, self._place = host, path, place
        self._base: sqlite3.Connection | None = None
        self.held: Stamp = ()
        """The mark of the database when it was copied."""

    def stamp(self) -> Stamp:
        """Return a mark of the database as it lies there, another one after each change; () where there is none."""
        return (*_stamp(self._host, self._path), *_stamp(self._host, f"{self._path}-wal"))

    def refresh(self) -> bool:
        """Copy it again if it has changed; says whether it had. Raises `Unavailable`."""
        for _ in range(READ_TRIES):
            stamp = self.stamp()
            if self._base is not None and stamp == self.held:
                return False
            self.close()
            self._copy()
            if self.stamp() == stamp:
                self.held = stamp
                return True
        self.close()
        raise Unavailable(Why.OTHER, f"{self._path} changed whenever it was to be read")

    def rows(self, query: str, *values: object) -> Iterator[tuple[object, ...]]:
        """Yield what a query finds in the copy; raises `Unavailable` for a damaged database."""
        if self._base is None:
            raise Unavailable(Why.OTHER, f"{self._path} was not read yet")
        try:
            yield from self._base.execute(query, values)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise Unavailable(Why.MALFORMED, f"{self._path}: {error}") from error

    def close(self) -> None:
        """Let go of the copy, which has no name any more."""
        if self._base is not None:
            self._base.close()
        self._base, self.held = None, ()

    def _copy(self) -> None:
        """Copy it, and take the copy's name away once it is open: whatever becomes of this process, nothing of it stays on the disk."""
        self._clear()
        self._ask_for_room()
        folder = Path(tempfile.mkdtemp(prefix=_COPY, dir=self._place))
        try:
            copy = folder / SQLITE
            self._take(self._path, copy)
            if _stamp(self._host, f"{self._path}-wal"):
                self._take(f"{self._path}-wal", Path(f"{copy}-wal"))
            self._base = self._opened(copy)
        except OSError as error:
            raise Unavailable(Why.OTHER, f"{self._path} cannot be copied: {error.strerror}", advice=_ROOM) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _opened(self, copy: Path) -> sqlite3.Connection:
        base = sqlite3.connect(f"file:{quote(str(copy))}?mode=rw", uri=True, isolation_level=None)
        try:
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
            base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            orders = (
                "trusted_schema=OFF",
                "cell_size_check=ON",
                "temp_store=MEMORY",
                "journal_mode=OFF",
                "query_only=ON",
            )
            for order in (*orders, "cache_size=-2048"):
                base.execute(f"PRAGMA {order}").fetchall()
            base.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.Error as error:
            base.close()
            raise Unavailable(Why.MALFORMED, f"{self._path}: {error}") from error
        return base

    def _ask_for_room(self) -> None:
        """Raise `Unavailable` where a copy would leave others too little of the disk."""
        held = sum(
            found[3] for found in (_stamp(self._host, self._path), _stamp(self._host, f"{self._path}-wal")) if found
        )
        free = shutil.disk_usage(self._place).free
        if free < held + LEFT_BYTES:
            detail = f"{self._path} is not read: a copy takes {held >> 20} MiB, and {free >> 20} MiB are free"
            raise Unavailable(Why.OTHER, detail, advice=_ROOM)

    def _take(self, path: str, copy: Path) -> None:
        """Copy one file in pieces."""
        with copy.open("xb") as file:
            while True:
                _, piece = self._host.files.part(path, file.tell(), _PIECE)
                if not piece:
                    return
                file.write(piece)
                if file.tell() > MOST_DATABASE:
                    raise Unavailable(Why.TOO_LARGE, f"{path} is larger than {MOST_DATABASE >> 20} MiB")

    def _clear(self) -> None:
        """Remove copies that a process left that was killed."""
        for left in self._place.glob(f"{_COPY}*"):
            with contextlib.suppress(FileNotFoundError):  # another thread's, just removed
                if time.time() - left.stat().st_mtime > _STALE_S:
                    shutil.rmtree(left, ignore_errors=True)


class RpmDatabase:
    """The headers of installed packages, as they were when last refreshed. For one thread."""

    def __init__(self, host: ReadOnlyHost, folder: str, place: Path) -> None:
        self._host, self.folder = host, folder
        self._copy = SqliteCopy(host, f"{folder}/{SQLITE}", place)

    def stamp(self) -> Stamp:
        """Return a mark of the database, another one after each change."""
        return self._copy.stamp()

    def held(self) -> Stamp:
        """Return the mark of what is held here, which may not be the newest."""
        return self._copy.held

    def refresh(self) -> bool:
        """Read it again if it has changed; says whether it had. Raises `Unavailable`, also for a format that is not read."""
        if not self._copy.stamp():
            for name, what in _OTHERS.items():
                if _stamp(self._host, f"{self.folder}/{name}"):
                    raise Unavailable(
                        Why.INCOMPATIBLE,
                        f"rpm's database {self.folder}/{name} is of the format {what}, which is not read",
                        advice="rpmdb --rebuilddb with %_db_backend sqlite turns it into one that is read (rpm 4.16 and later).",
                    )
            raise Unavailable(Why.NOT_PRESENT, f"there is no database of rpm below {self.folder}")
        if not self._copy.refresh():
            return False
        kinds = [row[0] for row in self._copy.rows("SELECT type FROM sqlite_master WHERE name = 'Packages'")]
        if kinds != ["table"]:
            self._copy.close()
            raise Unavailable(Why.MALFORMED, f"{self.folder}/{SQLITE} has no table of packages")
        return True

    def blobs(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and header of each package; raises `Unavailable`."""
        rows = self._copy.rows("SELECT hnum, blob FROM Packages ORDER BY hnum LIMIT ?", MOST_PACKAGES)
        for number, blob in rows:
            yield _number(number), blob if isinstance(blob, bytes) else b""

    def blob(self, number: int) -> bytes:
        """Return one header, b"" for none."""
        rows = self._copy.rows("SELECT blob FROM Packages WHERE hnum = ?", number)
        return next((blob for (blob,) in rows if isinstance(blob, bytes)), b"")

    def close(self) -> None:
        """Let go of it."""
        self._copy.close()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
