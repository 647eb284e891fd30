"""The file system that holds the agent's state: whether there is room, said before there is none, and a reserve for when there is none.

The reserve is a file that only takes up room. On a full disk it is given up, so that the fact itself can be stored and sent, and
whatever else must not wait; it is made again once there is room for it.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from agent.kinds import DISK_ROOM_AGAIN, DISK_SHORT
from contracts.event import Event

RESERVE_BYTES = 4 << 20
SHORT_BYTES = 16 << 20
"""Less than this is said; twice as much is enough again."""
SHORT_FILES = 64
"""So few files that can still be made are said, too."""
PART = 16
"""On a small file system the reserve is one such part of it, and short of room is twice that."""
EVERY_S = 5.0
"""The least time between two looks."""


class StateDisk:
    """Looks after the file system of `folder`; for the loop's thread."""

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self._folder, self._monotonic = folder, monotonic
        self._reserve = folder / "reserve"
        self._looked = -EVERY_S
        self.short = ""
        """What is short, empty while there is room."""

    def look(self) -> tuple[Event, ...]:
        """Look whether there is room, if it is time to; returns what has to be said of it."""
        now = self._monotonic()
        if now - self._looked < EVERY_S:
            return ()
        self._looked = now
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            return self._say(f"{self._folder} cannot be looked at: {(error.strerror or str(error)).lower()}", -1)
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        enough = min(SHORT_BYTES, 2 * total // PART) * (2 if self.short else 1)
        if free < enough:
            return self._say(f"the file system of {self._folder} has {free // 1024} KiB left", free)
        if found.f_files and found.f_favail < SHORT_FILES * (2 if self.short else 1):
            return self._say(f"the file system of {self._folder} has room for {found.f_favail} more files", free)
        self._make_reserve(min(RESERVE_BYTES, total // PART))
        if not self.short:
            return ()
        self.short = ""
        return (DISK_ROOM_AGAIN.event("state", free=free),)

    def ran_full(self) -> tuple[Event, ...]:
        """Something could not be stored: give up the reserve; returns what has to be said, once a time."""
        with contextlib.suppress(OSError):  # given up already, most likely
            self._reserve.unlink()
        return self._say(f"the file system of {self._folder} is full", 0)

    def _say(self, detail: str, free: int) -> tuple[Event, ...]:
        told = self.short
        # As it was said, so that it is not another fact every few seconds.
        self.short = told if told and free else detail
        return () if told else (DISK_SHORT.event("state", detail=detail, free=free),)

    def _make_reserve(self, size: int) -> None:
        if self._reserve.exists() or not size:
            return
        handle = -1
        try:
            handle = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.posix_fallocate(handle, 0, size)
        except OSError:  # no room for it after all, or a quota: the next look tries again
            with contextlib.suppress(OSError):
                self._reserve.unlink()
        finally:
            if handle >= 0:
                os.close(handle)
