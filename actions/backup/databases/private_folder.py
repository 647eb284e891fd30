"""Directories for what nobody else should see and nothing should leave behind, not even a process that was killed."""

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_YOUNG_S = 60.0


@contextmanager
def private_folder(parent: str | None, prefix: str, owner: str = "") -> Iterator[Path]:
    """A new directory (0700) below `parent`, gone afterwards; OSError when there can be none, KeyError for an unknown `owner`.

    It is locked meanwhile; one of the same prefix that nobody locks any more belonged to a process that was killed, and is removed first.
    Root may give it to the user `owner`.
    """
    where = parent or tempfile.gettempdir()
    uid = pwd.getpwnam(owner).pw_uid if owner else os.geteuid()
    _sweep(where, prefix, {os.geteuid(), uid})
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if uid != os.geteuid():
                os.chown(folder, uid, -1)
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder)


def _sweep(where: str, prefix: str, owners: set[int]) -> None:
    """Remove what killed processes left; what cannot be looked at or removed is another's business."""
    with os.scandir(where) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(prefix)]
    for path in left:
        with suppress(OSError):
            _remove_if_left(path, owners)


def _remove_if_left(path: str, owners: set[int]) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(lock)
        private = stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid in owners
        if private and time.time() - status.st_mtime > _YOUNG_S:  # a younger one may not be locked yet
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(lock)
