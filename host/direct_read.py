"""Reads large files past the page cache (`O_DIRECT`, open(2)), so that looking at everything does not push out what services have there.

It costs no copy and no bookkeeping of pages either, about a sixth of the processor time of hashing a large file. What is in memory, or
on a file system that does not do this, is read as ever.
"""

import fcntl
import mmap
import os
import time
from typing import Any

from host.turns import blocks

PIECE = 1 << 20
"""Bytes read at once: the disk has to be kept busy without the kernel's reading ahead."""
QUIET_S = 600
"""What was written within this time is read as ever: to read past the cache, the kernel first writes what waits there, and writers wait."""
_PAGE = 4096


class Devices:
    """Knows of which devices files can be read like this. For any thread: two that find out at once find the same."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}

    def allow(self, descriptor: int, device: int) -> bool:
        """Say whether files of the device of an open one can be read past the page cache."""
        known = self._known.get(device)
        if known is None:
            known = self._known[device] = _works(descriptor)
        return known


class Direct:
    """Reads and hashes, for one thread: it holds the memory, which has to lie where a page begins. Raises `OSError` without memory."""

    def __init__(self) -> None:
        self._pages = memoryview(mmap.mmap(-1, PIECE))
        self._probe = (self._pages[:_PAGE],)

    def read(self, descriptor: int, size: int, digest: Any) -> int:
        """Hash an open file of `size` bytes from its beginning, as far as it can be read like this; returns how many bytes that were.

        What is left, if anything, is to be read as ever, which also says what is wrong with it. None of it is read like this where its
        beginning is in memory, or it was written a moment ago.
        """
        if time.time() - os.fstat(descriptor).st_mtime < QUIET_S:
            return 0
        if self._is_in_memory(descriptor) or not _switch(descriptor, on=True):
            return 0
        pages, whole, total = self._pages, (self._pages,), 0
        try:
            while total < size and (count := os.preadv(descriptor, whole, total)):
                digest.update(pages[:count])
                total += count
        except OSError:
            return total  # it went on where no block begins, its file system does it for some files only, or the disk fails
        finally:
            _switch(descriptor, on=False)
            if total:  # the page for which the probe asked: else the next scan takes it for a file in use
                os.posix_fadvise(descriptor, 0, _PAGE, os.POSIX_FADV_DONTNEED)
        return total

    def _is_in_memory(self, descriptor: int) -> bool:
        """Say whether the first page of a file is in memory; if not, the kernel begins to read it, and with this advice no more.

        A disk may answer before the question has ended: what made this thread ask a disk was not in memory.
        """
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
            before = blocks()
            try:
                return os.preadv(descriptor, self._probe, 0, os.RWF_NOWAIT) > 0 and blocks() == before
            finally:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_NORMAL)
        except BlockingIOError:
            return False
        except OSError:  # its file system does not say: to read it as ever is never wrong
            return True


def _works(descriptor: int) -> bool:
    """Say whether an open file can be read past the page cache, by reading its first page."""
    if not _switch(descriptor, on=True):
        return False
    try:
        with mmap.mmap(-1, _PAGE) as page:
            os.preadv(descriptor, (page,), 0)
    except OSError:
        return False
    finally:
        _switch(descriptor, on=False)
    return True


def _switch(descriptor: int, *, on: bool) -> bool:
    """Have an open file read past the page cache, or not any more; returns whether that is done."""
    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return True
