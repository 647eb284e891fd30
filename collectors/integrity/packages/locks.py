"""Whether a package tool is at work: its locks, asked of the kernel by file, and by number where the file may not be opened."""

import fcntl
import os
import struct
from collections.abc import Iterable

from contracts.errors import Unavailable
from contracts.host import Files

_FLOCK = "@hhqqi4x"
"""`struct flock`: type, whence, start, length, process."""


def is_any_held(files: Files, paths: Iterable[str]) -> bool:
    """Say whether some process holds a lock on one of the files (fcntl(2)); a file that is not there is held by none."""
    named = list(paths)
    if any(_is_locked(path) for path in named):
        return True
    try:
        held = files.read("/proc/locks").decode("ascii", "replace")
    except Unavailable:
        return False
    inodes = set()
    for path in named:
        try:
            inodes.add(str(files.stat(path).inode))
        except Unavailable:
            continue
    return any(word.rpartition(":")[2] in inodes for line in held.splitlines() for word in line.split()[5:6])


def _is_locked(path: str) -> bool:
    """Say whether another process holds a lock on a file (F_GETLK); on overlayfs the numbers of /proc/locks are not those of stat(2)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False  # /proc/locks is asked besides
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0]
        return kind != fcntl.F_UNLCK
    except OSError:
        return False
    finally:
        os.close(descriptor)
