"""Hears from the kernel which folders change: inotify(7), read as it is, with its overflow and its limits said.

Not by watchdog: its reader drops `IN_Q_OVERFLOW`, keeps notices back for half a second and makes several objects of each. A watch is set
by descriptor (`/proc/self/fd`), so that it stands on the very folder that is listed afterwards, whatever its path means by then.
"""

import ctypes
import errno
import os
import select
import struct
import threading
from collections.abc import Collection, Iterator

from contracts.errors import Unavailable, Why
from contracts.trees import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    DELETE_SELF,
    MODIFY,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    Notice,
    Place,
    Stopping,
)

_WANTED = (
    MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
) | 0x0100_0000  # IN_ONLYDIR
_Q_OVERFLOW, _IGNORED = 0x4000, 0x8000
_DONT_FOLLOW = 0x0200_0000
_INIT_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_HEAD = struct.Struct("iIII")
BUFFER = 256 << 10
LIMIT = "/proc/sys/fs/inotify/max_user_watches"
INSTANCES = "fs.inotify.max_user_instances"

_libc = ctypes.CDLL(None, use_errno=True)


class LinuxNotices:
    """Implements `contracts.trees.Notices`; raises `Unavailable` where the kernel gives no more instances."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(_INIT_FLAGS)
        if self._fd < 0:
            raise _unavailable(ctypes.get_errno())
        self._lock = threading.Lock()
        self._places: dict[int, Place] = {}
        self._numbers: dict[bytes, int] = {}

    def watch(self, place: Place, descriptor: int) -> bool:
        """Hear of changes in an open folder; False when the limit is reached; raises `OSError` for anything else."""
        with self._lock:  # a notice of this watch must not be read before its place is known
            number = _add(self._fd, b"/proc/self/fd/%d" % descriptor, _WANTED)
            if (
                number == -errno.EACCES
            ):  # a process that is not dumpable and lacks the capability may not look there (proc(5))
                number = _add(self._fd, place.path, _WANTED | _DONT_FOLLOW)
            if number == -errno.ENOSPC:
                return False
            if number < 0:
                raise OSError(-number, os.strerror(-number))
            former = self._places.get(number)
            if former is not None and former.path != place.path and self._numbers.get(former.path) == number:
                del self._numbers[former.path]
            other = self._numbers.get(place.path)
            if other is not None and other != number:  # another folder stands under this path now
                del self._places[other]
                _libc.inotify_rm_watch(self._fd, other)
            self._places[number] = place
            self._numbers[place.path] = number
        return True

    def drop(self, prefixes: Collection[bytes]) -> None:
        """Hear no more of these folders and of all below them."""
        below = tuple(prefix + b"/" for prefix in prefixes)
        with self._lock:
            gone = [path for path in self._numbers if path.startswith(below) or path in prefixes]
            numbers = [self._numbers.pop(path) for path in gone]
            for number in numbers:
                del self._places[number]
        for number in numbers:
            _libc.inotify_rm_watch(self._fd, number)  # EINVAL: the folder is gone, and the watch with it

    def move(self, former: bytes, path: bytes) -> None:
        """Call a folder, and all below it, by its new path from now on."""
        with self._lock:
            for number, place in list(self._places.items()):
                if place.path == former or place.path.startswith(former + b"/"):
                    moved = Place(path + place.path[len(former) :], place.device, place.inode)
                    if self._numbers.get(place.path) == number:
                        del self._numbers[place.path]
                    self._places[number] = moved
                    self._numbers[moved.path] = number

    def place(self, path: bytes) -> Place | None:
        """Return a watched folder as it was when the watch began."""
        with self._lock:
            number = self._numbers.get(path)
            return self._places[number] if number is not None else None

    def wait(self, stop: Stopping, timeout_s: float) -> None:
        """Wait for notices, the end, or for so long."""
        select.select([self._fd, stop], [], [], timeout_s)

    def read(self, stop: Stopping, timeout_s: float) -> tuple[list[Notice], bool]:
        """Wait for notices and return them in their order, with whether the kernel had to drop some."""
        ready = select.select([self._fd, stop], [], [], timeout_s)[0]
        if self._fd not in ready:
            return [], False
        notices: list[Notice] = []
        overflown = False
        with self._lock:
            try:
                raw = os.read(self._fd, BUFFER)  # closed meanwhile: -1, and not what has its number by now
            except BlockingIOError:
                return [], False
            for number, mask, cookie, name in _split(raw):
                if mask & _Q_OVERFLOW:
                    overflown = True
                    continue
                place = self._places.get(number)
                if place is None:
                    continue
                if mask & _IGNORED:
                    del self._places[number]
                    if self._numbers.get(place.path) == number:
                        del self._numbers[place.path]
                    continue
                notices.append((place.path, name, mask, cookie))
        return notices, overflown

    def waits(self) -> bool:
        """Say whether the kernel holds notices that were not read."""
        return bool(select.select([self._fd], [], [], 0)[0])

    def count(self) -> int:
        """Return how many folders are watched."""
        return len(self._numbers)

    def limit(self) -> int:
        """Return how many this user may watch in all, 0 where the kernel does not say."""
        try:
            with open(LIMIT, "rb") as file:  # noqa: PTH123  # kept small: no pathlib in a worker
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        """End; the kernel forgets every watch."""
        with self._lock:
            descriptor, self._fd = self._fd, -1
        os.close(descriptor)


def _split(raw: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield watch, mask, cookie and name of each notice in what one read gave (`struct inotify_event`)."""
    at, unpack, size = 0, _HEAD.unpack_from, _HEAD.size
    while at < len(raw):
        number, mask, cookie, length = unpack(raw, at)
        at += size
        yield number, mask, cookie, raw[at : at + length].rstrip(b"\0")
        at += length


def _add(fd: int, path: bytes, mask: int) -> int:
    """Return the watch, or the negative error."""
    number: int = _libc.inotify_add_watch(fd, path, ctypes.c_uint32(mask))
    return number if number >= 0 else -ctypes.get_errno()


def _unavailable(number: int) -> Unavailable:
    if number == errno.EMFILE:
        return Unavailable(
            Why.OTHER, "the kernel gives this user no more inotify instances", advice=f"Raise {INSTANCES} (sysctl)."
        )
    return Unavailable(Why.OTHER, f"inotify cannot be used: {os.strerror(number)}")
