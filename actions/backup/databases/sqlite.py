"""SQLite files: found by their header, copied as of one moment into a private directory, checked, and saved from there."""

import errno
import fnmatch
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO

from actions.backup.databases.options import SqliteOptions
from actions.backup.databases.private_folder import private_folder
from actions.backup.databases.source import Dump, DumpFailed, Listing, Owner, Reading
from actions.backup.databases.sqlite_check import settle
from actions.backup.databases.sqlite_copy import MAGIC, copy_database
from contracts.coverage import Blind
from contracts.errors import HoldfastError
from contracts.host import Host

_VANISHED = {errno.ENOENT, errno.ENOTDIR}


class Sqlite:
    """`Source` of SQLite files. In the snapshot they lie below the source's folder by their whole path."""

    product = "sqlite"

    def __init__(self, options: SqliteOptions) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """What its options call it."""
        return self.options.name

    def dumps(self, host: Host) -> Listing:
        """Look for the files."""
        listing = Listing()
        seen = set()
        for path in find_databases(self.options.paths, self.options.exclude, listing.failed):
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            try:
                listing.dumps.append(self._dump(host, real))
            except OSError as error:
                listing.failed.append(_failed(real, error))
        return listing

    def _dump(self, host: Host, path: bytes) -> Dump:
        status = os.stat(path)  # noqa: PTH116 (a path of bytes)
        owner = Owner(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), status.st_mtime_ns)

        @contextmanager
        def open() -> Iterator[Reading]:
            try:
                with private_copy(path, self.options.scratch or host.state or None, self.options.timeout) as (
                    file,
                    blind,
                ):
                    yield _Reading(file, blind)
            except OSError as error:
                raise _failed(path, error) from error

        return Dump(path.lstrip(b"/"), open, owner)


@contextmanager
def private_copy(path: bytes, scratch: str | None, timeout_s: float) -> Iterator[tuple[FileIO, list[Blind]]]:
    """The content of a database as one file, sound and as of one moment, and what could not be looked at.

    The copy lies below `scratch` in a directory of its own (0700) and is gone afterwards. DumpFailed, or OSError of reading and writing.
    """
    what = os.fsdecode(path)
    with private_folder(scratch, "holdfast-sqlite-") as folder:
        began = time.monotonic()
        try:
            copied = copy_database(path, folder / "copy", began + timeout_s)
            blind = settle(copied, what, began + timeout_s)
        except HoldfastError as error:
            raise DumpFailed(what, error.message, advice=error.advice) from error
        with copied.path.open("rb", buffering=0) as file:
            yield file, blind


def find_databases(paths: Sequence[str], exclude: Sequence[str], failed: list[DumpFailed]) -> Iterator[bytes]:
    """Every SQLite file at or below `paths`, by its first sixteen bytes; links are not followed below them.

    A path given by name that is none, and what cannot be looked into, goes to `failed`.
    """
    patterns = [os.fsencode(pattern).rstrip(b"/") for pattern in exclude]
    for path in map(os.fsencode, paths):
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 (a path of bytes)
                yield from _below(path, patterns, failed)
            elif is_sqlite(path):
                yield path
            else:
                advice = "take it out of `paths`; an encrypted database needs its own program"
                failed.append(DumpFailed(os.fsdecode(path), "it is not an SQLite database", advice=advice))
        except OSError as error:
            failed.append(_failed(path, error))


def _below(top: bytes, patterns: Sequence[bytes], failed: list[DumpFailed]) -> Iterator[bytes]:
    def trouble(error: OSError) -> None:
        if error.errno not in _VANISHED:
            failed.append(_failed(os.fsencode(error.filename or top), error))

    for folder, folders, names in os.walk(top, onerror=trouble):
        folders[:] = sorted(name for name in folders if not _excluded(os.path.join(folder, name), patterns))  # noqa: PTH118
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 (bytes)
            if _excluded(path, patterns):
                continue
            try:
                if stat.S_ISREG(os.lstat(path).st_mode) and is_sqlite(path):
                    yield path
            except OSError as error:
                trouble(error)


def is_sqlite(path: bytes) -> bool:
    """Whether the file begins as an SQLite database does; OSError when it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(descriptor, len(MAGIC), 0) == MAGIC
    finally:
        os.close(descriptor)


def _excluded(path: bytes, patterns: Sequence[bytes]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _failed(path: bytes, error: OSError) -> DumpFailed:
    advice = "check who may read it" if isinstance(error, PermissionError) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "make room for a copy of the database where `scratch` points to"
    return DumpFailed(os.fsdecode(path), error.strerror or str(error), advice=advice)


class _Reading:
    """A checked copy."""

    def __init__(self, file: FileIO, blind: Sequence[Blind]) -> None:
        self._file = file
        self._blind = blind

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end."""
        return self._file.readinto(buffer) or 0

    def finish(self) -> Sequence[Blind]:
        """It was checked before the first byte."""
        return self._blind
