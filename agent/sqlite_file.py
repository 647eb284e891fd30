"""Opening the agent's SQLite files: private, checked, never of a newer version, and set aside when damaged."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from agent.migrations import Step, migrate, version
from contracts.errors import HoldfastError, NewerData

KEPT_DAMAGED = 3
"""How many damaged files are kept; older ones are removed so that they never fill the disk."""
IMPLAUSIBLE = 1 << 20
"""A format that many versions ahead is a torn header, which may hold any number, and not a newer Holdfast."""
_HEADER_MAGIC = b"SQLite format 3\0"
_COMPANIONS = ("", "-wal", "-shm")


class FileDamaged(HoldfastError):
    """The file is not what was written: torn pages, garbage, or another kind of file."""


class FileFull(HoldfastError):
    """The file cannot grow: the disk is full, or a quota or limit is reached."""

    permanent = False


class FileBroken(HoldfastError):
    """The file cannot be used for another reason, such as permissions or an I/O error."""

    permanent = False


def translate(error: sqlite3.Error, path: Path) -> HoldfastError:
    """Return the condition behind an SQLite error, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return FileDamaged(f"{path} is damaged: {error}")
    if primary == sqlite3.SQLITE_FULL or code in (
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    ):
        return FileFull(
            f"{path} cannot be written: {error}", advice=f"free space on the file system that holds {path.parent}"
        )
    if code == sqlite3.SQLITE_IOERR_SHORT_READ or (code is None and isinstance(error, sqlite3.DatabaseError)):
        return FileDamaged(f"{path} is damaged: {error}")
    return FileBroken(
        f"{path} cannot be used: {error}", advice=f"check that this user may read and write {path.parent}"
    )


def open_file(path: Path, application: int, steps: Sequence[Step], synchronous: str) -> sqlite3.Connection:
    """Open or create the file and bring it to the newest version.

    Where the disk has no room even for the index that connections share (`-shm`), the file is opened for this process alone, with the index
    in memory (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory"): what is there can be read, and written once there is
    room. `share` ends that. Raises `FileDamaged`, `FileFull`, `FileBroken`, or `NewerData` before anything was written.
    """
    _refuse_newer_header(path, len(steps))
    try:
        return _open(path, application, steps, ("NORMAL", synchronous))
    except FileFull:
        return _open(path, application, steps, ("EXCLUSIVE", synchronous))


def is_alone(db: sqlite3.Connection) -> bool:
    """Say whether the file was opened for this process alone."""
    return bool(db.execute("PRAGMA locking_mode").fetchone()[0] == "exclusive")


def share(db: sqlite3.Connection) -> bool:
    """Let other connections in again, as usual; False where there is still no room for it. Not within a transaction."""
    try:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()  # only outside of WAL the index can move
        db.execute("PRAGMA locking_mode = NORMAL").fetchone()
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the lock goes with the next access
        return bool(db.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")
    except sqlite3.OperationalError:
        db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        return False


def _open(path: Path, application: int, steps: Sequence[Step], modes: tuple[str, str]) -> sqlite3.Connection:
    """Open the file with these modes of locking and of synchronising."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=32)
    except OSError as error:
        raise FileBroken(
            f"{path} cannot be opened: {error.strerror}", advice=f"check that this user may write {path.parent}"
        ) from error
    except sqlite3.Error as error:
        raise translate(error, path) from error
    try:
        _prepare(db, path, application, steps, modes)
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.close()
        raise
    return db


def _prepare(
    db: sqlite3.Connection, path: Path, application: int, steps: Sequence[Step], modes: tuple[str, str]
) -> None:
    locking, synchronous = modes
    try:
        db.execute(f"PRAGMA locking_mode = {locking}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("PRAGMA cache_size = -1024")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute("PRAGMA journal_size_limit = 8388608")
        found = db.execute("PRAGMA application_id").fetchone()[0]
        if found == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            db.execute(f"PRAGMA application_id = {application}")
        elif found != application:
            raise FileDamaged(f"{path} is another kind of file (application id {found:#x})")
        if not 0 <= version(db) < len(steps) + IMPLAUSIBLE:
            raise FileDamaged(f"{path} is damaged: its header names format {version(db)}")
        migrate(db, steps, path)
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise translate(error, path) from error
    if verdict != "ok":
        raise FileDamaged(f"{path} is damaged: {verdict.splitlines()[-1]}")


def _refuse_newer_header(path: Path, known: int) -> None:
    """Look at the version in the first page without SQLite, because opening alone may already write."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return  # absent or unreadable: opening says so with its own reason
    if len(head) < 72 or not head.startswith(_HEADER_MAGIC):
        return
    found = int.from_bytes(head[60:64])
    # A torn header may hold any number; only a plausible one is a newer version.
    if known < found < known + IMPLAUSIBLE:
        raise NewerData(
            f"{path} is in format {found}, and this version of Holdfast knows formats up to {known}; it was left untouched",
            advice="install the newer version again, or move the file away to start anew",
        )


def set_aside(path: Path) -> Path:
    """Rename the file with its companions to `NAME.damaged-TIME` and return the new name; keeps the newest few of such files."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in _COMPANIONS:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    _forget_oldest(path)
    sync_directory(path.parent)
    return target


def _forget_oldest(path: Path) -> None:
    damaged = [
        found for found in path.parent.glob(f"{path.name}.damaged-*") if not found.name.endswith(("-wal", "-shm"))
    ]
    for old in sorted(damaged, key=lambda found: found.stat().st_ctime_ns)[:-KEPT_DAMAGED]:
        for suffix in _COMPANIONS:
            old.with_name(old.name + suffix).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` atomically and durably; its temporary file is never readable by others. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
