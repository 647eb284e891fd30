"""Reads one file's content and extended attributes by descriptor, and makes hashes of them, for one thread."""

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

from contracts.trees import CHANGED, Node, TreePlan
from host.direct_read import Direct
from host.turns import Turns

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
CHUNK = 1 << 19
"""Bytes read at once: large enough to keep the disk and the hash busy, small enough to stay in the processor's cache."""
LARGE = 1 << 16
"""Reading and hashing more than this takes long enough that another thread may have the turn, however fast the processor hashes."""
READ_AHEAD = 1 << 23
"""So much of a file on a slow disk is asked for before it is read."""
MORE_AHEAD = 1 << 21
"""In such pieces what follows is."""
LONG_S = 50e-6
"""Hashing that takes longer than this is worth a change of turns."""
HUGE = 1 << 23
"""Reading and hashing more than this takes so long that nothing is held back meanwhile."""
TRIES = 2
CAPABILITY = "security.capability"
_SAMPLE = bytes(1 << 14)
_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS, where a long has 64 bits; the kernel writes 32 of them."""
_FLAGS = struct.Struct("Ixxxx")
_HOLDING = 0x10 | 0x20
"""FS_IMMUTABLE_FL, FS_APPEND_FL."""


class Reader:
    """Makes nodes, with what only opening tells. One for each thread: it holds the buffer.

    With `turns`, it has the turn whenever it is called, and steps aside while it reads a large file, or one that is not in memory.
    `before_huge` is called before a file that takes long even so. `direct` reads large files that are not in memory, where it can.
    """

    def __init__(
        self,
        plan: TreePlan,
        turns: Turns | None = None,
        *,
        before_huge: Callable[[], None] = lambda: None,
        is_slow: Callable[[], bool] | None = None,
        direct: Direct | None = None,
    ) -> None:
        self.plan = plan
        self._turns = turns
        self._before_huge = before_huge
        self._direct = direct
        self._blank = _blank(plan.hash_name)
        self._is_slow = is_slow or (turns.is_slow if turns is not None else lambda: False)
        self.large = min(LARGE, _bytes_in(LONG_S, plan.hash_name))
        """Hashing more than so many bytes takes long enough that another thread may have the turn."""
        self._buffer = memoryview(bytearray(CHUNK))
        self._whole = (self._buffer,)
        self._flags = FILE | (os.O_NOATIME if os.geteuid() == 0 else 0)

    def wanted(self, mode: int, size: int) -> bool:
        """Say whether the content of such a file is to be hashed."""
        return self._blank is not None and stat.S_ISREG(mode) and size <= self.plan.hash_below

    def complete(self, name: bytes, found: os.stat_result, folder: int) -> Node:
        """Return the node of a name of an open folder, of which `lstat` found this, with link target, attributes and content."""
        if stat.S_ISREG(found.st_mode):
            return self._file(name, found, folder)
        target, flaw = b"", ""
        if stat.S_ISLNK(found.st_mode):
            try:
                target = os.readlink(name, dir_fd=folder)
            except OSError as error:
                flaw = why(error)
        attributes, capabilities, unread = _attributes(_by_folder(folder, name), follow=False)
        return _node(name, found, attributes, capabilities, flaw=flaw or unread, target=target)

    def _file(self, name: bytes, found: os.stat_result, folder: int) -> Node:
        try:
            descriptor = self.open(name, folder)
        except OSError as error:
            attributes, capabilities, _ = _attributes(_by_folder(folder, name), follow=False)
            return _node(name, found, attributes, capabilities, flaw=why(error))
        try:
            return self._opened(name, descriptor, os.fstat(descriptor))
        except OSError as error:
            return _node(name, found, flaw=why(error))
        finally:
            os.close(descriptor)

    def open(self, name: bytes, folder: int) -> int:
        """Open a file of an open folder, no link and no FIFO that waits; raises `OSError`."""
        return os.open(name, self._flags, dir_fd=folder)

    def finish(self, name: bytes, found: os.stat_result, descriptor: int) -> Node:
        """Return the node of a file that `open` has opened, of which `fstat` said this, and close it."""
        try:
            return self._opened(name, descriptor, found)
        except OSError as error:
            return _node(name, found, flaw=why(error))
        finally:
            os.close(descriptor)

    def _opened(self, name: bytes, descriptor: int, opened: os.stat_result) -> Node:
        """Return the node of an open file that was like this when it was opened; one that goes on changing says so."""
        for left in reversed(range(TRIES)):
            size = opened.st_size
            if not stat.S_ISREG(opened.st_mode):
                return _node(name, opened, flaw=CHANGED)
            attributes, capabilities, flaw = _attributes(descriptor, follow=True)
            if self._blank is None or size > self.plan.hash_below:
                return _node(name, opened, attributes, capabilities, flaw=flaw)
            content, read = self._digest(descriptor, size)
            after = os.fstat(descriptor) if size or read else opened
            if read == size and not _moved(opened, after):
                return _node(name, opened, attributes, capabilities, content, flaw)
            if left:
                opened = after
        return _node(name, opened, attributes, capabilities, content, CHANGED)

    def _digest(self, descriptor: int, size: int) -> tuple[bytes, int]:
        """Return hash and number of bytes read, of at most one buffer more than `size` says: a file that grows must not hold us."""
        digest = self._blank.copy()
        if size > self.large:
            if size > HUGE:
                self._before_huge()
            return self._aside(descriptor, size, digest, 0)
        try:
            count = os.preadv(descriptor, self._whole, 0, os.RWF_NOWAIT)
        except OSError:  # it is not in memory, or its file system does not say
            return self._aside(descriptor, size, digest, 0)
        digest.update(self._buffer[:count])
        if count >= size:  # the common case: one read, one hash
            return digest.digest(), count
        return self._aside(descriptor, size, digest, count)

    def _aside(self, descriptor: int, size: int, digest: Any, total: int) -> tuple[bytes, int]:
        """Read and hash what comes after `total` bytes, while others have the turn."""
        if self._turns is None:
            return self._rest(descriptor, size, digest, total)
        self._turns.end()
        try:
            return self._rest(descriptor, size, digest, total)
        finally:
            self._turns.begin()

    def _rest(self, descriptor: int, size: int, digest: Any, total: int) -> tuple[bytes, int]:
        if self._direct is not None and not total:
            total = self._direct.read(descriptor, size, digest)
            if total >= size:
                return digest.digest(), total
            ask(descriptor, total, READ_AHEAD)
        buffer, whole = self._buffer, self._whole
        asked = total + READ_AHEAD if self._is_slow() else size
        while count := os.preadv(descriptor, whole, total):
            if asked < min(size, total + READ_AHEAD):
                ask(descriptor, asked, MORE_AHEAD)
                asked += MORE_AHEAD
            digest.update(buffer[:count] if count < CHUNK else buffer)
            total += count
            if total >= size:
                break  # whether there is more now is what `fstat` says after it
        return digest.digest(), total


def _blank(name: str) -> Any:
    """Return a hash of nothing yet, None for none: to copy one takes half the time of making one."""
    if name == "sha256":
        return sha256()
    if name == "blake3":
        from blake3 import blake3

        return blake3()
    if not name:
        return None
    raise ValueError(f"no hash is called {name!r}: sha256, blake3")


@cache
def _bytes_in(seconds: float, name: str) -> int:
    """Return how much this processor hashes in a time: with instructions for SHA-256 five times as much as without."""
    blank, best_s = _blank(name), float("inf")
    if blank is None:
        return LARGE
    for _ in range(3):
        start = time.perf_counter()
        blank.copy().update(_SAMPLE)
        best_s = min(best_s, time.perf_counter() - start)
    return int(len(_SAMPLE) * seconds / best_s)


def ask(descriptor: int, start: int, size: int) -> bool:
    """Have the kernel begin to read a part of a file; returns whether it does."""
    try:
        os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_WILLNEED)
    except OSError:
        return False  # of another kind by now: to read it says so
    return True


def _by_folder(folder: int, name: bytes) -> bytes:
    return b"/proc/self/fd/%d/%s" % (folder, name)


def _attributes(place: int | bytes, follow: bool) -> tuple[bytes, bytes, str]:
    """Return digest, file capabilities and flaw."""
    try:
        names = os.listxattr(place) if follow else os.listxattr(place, follow_symlinks=False)
        held = _held(place) if isinstance(place, int) else b""
        if not names and not held:
            return b"", b"", ""
        pairs = [(name, os.getxattr(place, name, follow_symlinks=follow or isinstance(place, int))) for name in names]
        pairs += [("", held)] * bool(held)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOENT, errno.ENODATA):
            return b"", b"", ""
        return b"", b"", "extended attributes: " + why(error)
    return xattr_digest(pairs), dict(pairs).get(CAPABILITY, b""), ""


def _held(descriptor: int) -> bytes:
    """Return a mark for a file that its inode flags make immutable or append-only (ioctl_iflags(2)), b"" for others."""
    try:
        flags = _FLAGS.unpack(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_FLAGS.size)))[0] & _HOLDING
    except OSError:
        return b""  # its file system has no such flags
    return b"%d" % flags if flags else b""


def xattr_digest(pairs: list[tuple[str, bytes]]) -> bytes:
    """Return 16 bytes that stand for extended attributes, whatever the order in which the kernel names them."""
    digest = sha256()
    for key, value in sorted(pairs):
        raw = os.fsencode(key)
        digest.update(len(raw).to_bytes(4, "big") + raw + len(value).to_bytes(4, "big") + value)
    return digest.digest()[:16]


def _moved(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)


def _node(
    name: bytes,
    found: os.stat_result,
    attributes: bytes = b"",
    capabilities: bytes = b"",
    content: bytes = b"",
    flaw: str = "",
    target: bytes = b"",
) -> Node:
    mode = found.st_mode
    return Node(
        name,
        mode,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_dev,
        found.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0,
        target,
        attributes,
        capabilities,
        content,
        flaw,
    )


def why(error: OSError) -> str:
    """Return what went wrong, in the system's words."""
    return os.strerror(error.errno) if error.errno else str(error)
