"""SQLite's locks, as far as one takes part who may only read: shared ones need no more than a descriptor for reading.

They are open file description locks (`fcntl(2)`): they exclude SQLite's own and are not lost when another part of this process closes the
same file. Source: SQLite's src/os_unix.c and the page on the format of the WAL index, "Locks".
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable

from contracts.errors import HoldfastError

PENDING = 0x40000000
RESERVED = PENDING + 1
SHARED = (PENDING + 2, 510)
CHECKPOINT = 121
"""In the WAL index: whoever moves frames from the WAL into the database holds it alone."""
MASTER_SWITCH = 128
"""In the WAL index: everybody who has the database open in WAL mode shares it."""

_FLOCK = struct.Struct("hhqqi4x")
_STEP_S = 0.005
_BUSY = {errno.EACCES, errno.EAGAIN}


class Busy(HoldfastError):
    """Others hold a lock that excludes ours, for longer than we may wait."""

    permanent = False


def share_database(descriptor: int, deadline: float) -> None:
    """Take the SHARED lock of a database, as every reader does: writers can prepare, and write the file only after us. Raises Busy."""

    def attempt() -> bool:
        if not _share(descriptor, PENDING, 1):  # a writer waits for the readers to go: let it
            return False
        try:
            return _share(descriptor, *SHARED)
        finally:
            _free(descriptor, PENDING, 1)

    _patiently(attempt, deadline, "it is being written, or held by a program that wants it for itself alone")


def share_checkpoint(descriptor: int, deadline: float) -> None:
    """Keep everybody from moving frames out of the WAL; `descriptor` is the WAL index. Raises Busy."""
    _patiently(lambda: _share(descriptor, CHECKPOINT, 1), deadline, "a checkpoint of its WAL does not end")


def free_all(descriptor: int) -> None:
    """Give every lock back."""
    _free(descriptor, 0, 0)


def is_held(descriptor: int, byte: int) -> bool:
    """Whether anybody else holds a lock on this byte."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    kind, *_ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
    return bool(kind != fcntl.F_UNLCK)


def _patiently(attempt: Callable[[], bool], deadline: float, why: str) -> None:
    while not attempt():
        if time.monotonic() >= deadline:
            raise Busy(why, advice="back it up with its own program, or when it is at rest")
        time.sleep(_STEP_S)


def _share(descriptor: int, start: int, length: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def _free(descriptor: int, start: int, length: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, start, length, 0))
