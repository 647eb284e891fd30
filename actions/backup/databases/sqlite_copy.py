"""A copy of an SQLite database as of one moment, made by one who may read its files and write none of them, while others write.

Opening it read-only is not enough: without write access to the WAL index SQLite refuses or shows an older state, and `immutable=1`
leaves the WAL out. So the files are copied under SQLite's own shared locks, and SQLite puts the private copy together:

* The SHARED lock on the database keeps every writer of a rollback journal out, the mode of the journal as it is, and the WAL from being
  deleted. A journal of a crashed writer is copied too, and rolled back in the copy.
* In WAL mode writers append to the WAL and go on. A shared lock on the WAL index keeps checkpoints out, so the database file stands still
  until it is copied. A writer may still begin the WAL anew once, if all of it was in the database before: its header tells, and it is read
  again. What was committed last is in the copy: SQLite recovers it up to the last whole commit.
* With nobody there to hold a WAL index, files are compared before and after, and copied again when they moved: a lock would keep
  somebody who opens the database after a crash from recovering it.

Sources: SQLite's "File Locking And Concurrency", "WAL-mode File Format", src/wal.c, src/pager.c.
"""

import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actions.backup.databases.sqlite_locks import (
    MASTER_SWITCH,
    RESERVED,
    Busy,
    is_held,
    share_checkpoint,
    share_database,
)
from contracts.errors import HoldfastError

MAGIC = b"SQLite format 3\0"
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_WAL_HEADER = 32
_INDEX_HEADER = struct.Struct("=IIIBBHII8s8s8s")
_PIECE = 16 << 20
_SETTLED_NS = 50_000_000
_ATTEMPTS = 50
_PATIENCE_S = 120.0
_PAUSE_S = 0.05
_CANNOT = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class NotSqlite(HoldfastError):
    """The file is not an SQLite database."""


class Unsettled(HoldfastError):
    """No copy as of one moment could be made."""

    permanent = False


class _Moved(Exception):
    """The files are not what they were when the copy began: begin again."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A private copy. `status` is the database's. `frames` is how many frames of the WAL must be in it at least."""

    path: Path
    status: os.stat_result
    frames: int = 0


def copy_database(path: bytes, target: Path, deadline: float) -> Copied:
    """Copy the database at `path` to `target` (with `-wal` or `-journal` beside it where it needs them) within a private directory.

    Raises NotSqlite, Busy, Unsettled, and OSError as reading and writing do. `deadline` is on the monotonic clock.
    """
    path = os.path.realpath(path)
    for _ in range(_ATTEMPTS):
        try:
            with ExitStack() as held:
                return _Attempt(path, target, deadline, held).run()
        except _Moved:
            for ending in ("", "-wal", "-journal"):
                target.with_name(target.name + ending).unlink(missing_ok=True)
            time.sleep(_PAUSE_S)
        if time.monotonic() >= deadline:
            break
    raise Unsettled(
        "its files changed under every copy: it is written by something that takes no locks",
        advice="back it up with its own program",
    )


class _Attempt:
    """One try. Descriptors, and with them the locks, are closed by `held`."""

    def __init__(self, path: bytes, target: Path, deadline: float, held: ExitStack) -> None:
        self._path = path
        self._target = target
        self._deadline = deadline
        self._held = held
        self._index: int | None = None

    def run(self) -> Copied:
        main = self._open(b"")
        if main is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        share_database(main, self._patience())
        header = os.pread(main, 100, 0)
        if header[: len(MAGIC)] != MAGIC:
            raise NotSqlite("it does not begin as an SQLite database does (an encrypted one does not, either)")
        hot = self._hot_journal(main)
        if hot is not None:
            self._copy(hot, "-journal")
        frames = self._wal_mode(main) if 2 in header[18:20] else self._rollback_mode(main)
        return Copied(self._target, os.fstat(main), frames)

    def _rollback_mode(self, main: int) -> int:
        before = _mark(main)
        self._copy(main, "")
        self._still(main, before)
        return 0

    def _wal_mode(self, main: int) -> int:
        self._index = self._open(b"-shm")
        if not self._live():
            self._index = None
            return self._at_rest(main)
        assert self._index is not None
        share_checkpoint(self._index, self._patience())
        if not self._live():
            raise _Moved
        salt, frames = _committed(self._index)
        before = _mark(main)
        self._copy(main, "")
        copied_salt = self._copy_wal()
        self._still(main, before)
        return frames if salt == copied_salt else 0

    def _at_rest(self, main: int) -> int:
        """Nobody has it open: the files must be the same before and after."""
        # A write in the same tick would not show; beside a time in the future (the clock was set back) every write shows.
        while 0 <= time.time_ns() - os.fstat(main).st_mtime_ns < _SETTLED_NS:
            time.sleep(_SETTLED_NS / 1e9)
        before = _mark(main), self._wal_mark()
        self._copy(main, "")
        self._copy_wal()
        self._still(main, before[0])
        index = self._open(b"-shm")
        if self._wal_mark() != before[1] or (index is not None and is_held(index, MASTER_SWITCH)):
            raise _Moved
        return 0

    def _copy_wal(self) -> bytes:
        """Copy the WAL until its header stays the same meanwhile; returns its salt. It cannot be deleted while we share the database."""
        for _ in range(_ATTEMPTS):
            wal = self._open(b"-wal")
            if wal is None:
                return b""
            self._copy(wal, "-wal")
            with self._beside("-wal").open("rb") as copy:
                header = copy.read(_WAL_HEADER)
            if header == os.pread(wal, _WAL_HEADER, 0):
                return header[16:24]
        raise _Moved

    def _hot_journal(self, main: int) -> int | None:
        """The journal that a crashed writer left, as SQLite judges it (`hasHotJournal`)."""
        journal = self._open(b"-journal")
        if journal is None or is_held(main, RESERVED) or not os.fstat(main).st_size:
            return None
        size = os.fstat(journal).st_size
        if not size or os.pread(journal, 1, 0) in (b"", b"\0"):
            return None
        if size > 16 and os.pread(journal, 8, size - 8) == _SUPER_JOURNAL:
            raise Unsettled(
                "a program crashed within a transaction over several databases, which only it can undo",
                advice="open the database once with the program it belongs to",
            )
        return journal

    def _patience(self) -> float:
        return min(self._deadline, time.monotonic() + _PATIENCE_S)

    def _live(self) -> bool:
        """Whether anybody has the database open in WAL mode."""
        return self._index is not None and is_held(self._index, MASTER_SWITCH)

    def _still(self, main: int, before: tuple[int, ...]) -> None:
        try:
            there = os.stat(self._path)  # noqa: PTH116 (a path of bytes)
        except FileNotFoundError as error:
            raise _Moved from error
        if _mark(main) != before or (there.st_dev, there.st_ino) != before[:2]:
            raise _Moved

    def _wal_mark(self) -> tuple[int, ...] | None:
        wal = self._open(b"-wal")
        return None if wal is None else _mark(wal)

    def _open(self, ending: bytes) -> int | None:
        """One of the database's files, closed with the attempt; None when it is not there."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path + ending, flags)
        except FileNotFoundError:
            return None
        self._held.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotSqlite(f"{os.fsdecode(self._path + ending)} is not a regular file")
        return descriptor

    def _beside(self, ending: str) -> Path:
        return self._target.with_name(self._target.name + ending)

    def _copy(self, source: int, ending: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        target = os.open(self._beside(ending), flags, 0o600)
        try:
            copy_bytes(source, target, os.fstat(source).st_size, self._watch)
        finally:
            os.close(target)

    def _watch(self) -> None:
        """Between two pieces: time is limited, and a lock on the WAL index is for live databases alone."""
        if time.monotonic() >= self._deadline:
            raise Busy("the copy is not done in time", advice="raise `timeout`")
        if self._index is not None and not self._live():
            raise _Moved


def copy_bytes(source: int, target: int, size: int, between: Callable[[], None]) -> None:
    """Copy the first `size` bytes, sharing them where the file system can; OSError when they cannot all be read."""
    at = 0
    within_kernel = True
    while at < size:
        between()
        want = min(_PIECE, size - at)
        if within_kernel:
            try:
                count = os.copy_file_range(source, target, want, at, at)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                within_kernel = False
                continue
        else:
            count = os.pwrite(target, os.pread(source, want, at), at)
        if not count:
            raise OSError(errno.EIO, f"it ended after {at} of {size} bytes")
        at += count


def _mark(descriptor: int) -> tuple[int, ...]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _committed(index: int) -> tuple[bytes, int]:
    """The salt of the WAL, and how many frames of it are committed by now; nothing when the index cannot be read just now."""
    for _ in range(_ATTEMPTS):
        both = os.pread(index, 2 * _INDEX_HEADER.size, 0)
        if len(both) == 2 * _INDEX_HEADER.size and both[: _INDEX_HEADER.size] == both[_INDEX_HEADER.size :]:
            _, _, _, ready, _, _, frames, _, _, salt, _ = _INDEX_HEADER.unpack_from(both)
            return (salt, frames) if ready else (b"", 0)
        time.sleep(0.001)
    return b"", 0
