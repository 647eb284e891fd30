"""How a command reaches the watch at work in the same process: a person's wish for a scan, and how far it is."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.errors import HoldfastError, Unavailable, Why

_DOORS: dict[Path, "Requests"] = {}
_LOCK = threading.Lock()


class Request:
    """A scan that somebody asked for: of everything (`whole`) or of one path. `wait` is the asker's, the rest the watch's."""

    def __init__(self, number: str, path: bytes, read_again: bool) -> None:
        self.id, self.path, self.read_again = number, path, read_again
        self.whole = not path
        self.done: dict[str, Any] = {}
        self.error = ""
        self.so_far = (0, 0)
        self._ended = threading.Event()

    def progress(self, folders: int, files: int) -> None:
        """Say how far it is."""
        self.so_far = (folders, files)

    def finish(self, folders: int, files: int, changes: int, flaws: int) -> None:
        """Say that it has ended."""
        self.done = {"folders": folders, "files": files, "changes": changes, "flaws": flaws}
        self._ended.set()

    def fail(self, error: str) -> None:
        """Say why it cannot be done."""
        self.error = error
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; returns whether it came. Raises `HoldfastError` when it failed."""
        ended = self._ended.wait(seconds)
        if self.error:
            raise HoldfastError(self.error)
        return ended


class Rest:
    """A wish that everything the kernel has told of by now is looked at and written down, names too that change all the time."""

    def __init__(self) -> None:
        self.done = False
        self.error = ""

    def finish(self) -> None:
        """Say that it is."""
        self.done = True

    def fail(self, error: str) -> None:
        """Say why it will not be."""
        self.error = error


class Requests:
    """The wishes of one watch."""

    def __init__(self) -> None:
        self._waiting: list[Request | Rest] = []
        self._under_way: list[Request | Rest] = []
        self._wake: Callable[[], None] | None = None
        self._settled = 0
        self._lock = threading.Lock()

    def settle(self, number: int) -> bool:
        """Have the journal's entries up to a number taken out with what the watch writes next: two writers would wait for one another.

        Returns False when nobody watches, so that whoever asks has to do it.
        """
        with self._lock:
            self._settled = max(self._settled, number)
            return self._wake is not None

    def settled(self) -> int:
        """Return up to which entry the journal is to be emptied, 0 for nothing new."""
        with self._lock:
            number, self._settled = self._settled, 0
            return number

    def open(self, wake: Callable[[], None]) -> None:
        """The watch is at work; `wake` tells it that there is something."""
        self._wake = wake

    def put(self, request: Request | Rest) -> None:
        """Ask for something; raises `Unavailable` when nobody watches."""
        with self._lock:
            if self._wake is None:
                raise Unavailable(Why.OTHER, "files are not being watched yet", advice="See `holdfast coverage`.")
            self._waiting.append(request)
            self._wake()

    def take(self) -> list[Request | Rest]:
        """Return what was asked for since."""
        if not self._waiting:
            return []
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._under_way = [one for one in self._under_way if not one.done and not one.error] + taken
            return taken

    def close(self) -> None:
        """The watch ends."""
        with self._lock:
            self._wake, self._settled = None, 0
            for request in (*self._waiting, *self._under_way):
                if not request.done:
                    request.fail("the watch ended before the scan did")
            self._waiting, self._under_way = [], []


def requests(book: Path) -> Requests:
    """Return the way to the watch that keeps this book."""
    with _LOCK:
        return _DOORS.setdefault(book, Requests())
