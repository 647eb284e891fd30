"""The board: what the sensor's watcher leaves for the look at its numbers, which another thread of the same worker takes."""

import threading
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from contracts.host import ReadOnlyHost
from contracts.subjects.traffic import Row


class Board:
    """Rows by key as they were last stated, None while nobody watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Mapping[str, Row] | None = None
        self._asked = threading.Event()
        self._stated = threading.Event()

    def state(self, rows: Mapping[str, Row] | None) -> None:
        """Put the rows up; None: nobody watches any more."""
        with self._lock:
            self._rows = rows
        self._asked.clear()
        self._stated.set()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the rows as they are now."""
        return self._asked.is_set()

    def rows(self, timeout_s: float) -> Mapping[str, Row] | None:
        """Return the rows as they are now; those of before when the watcher does not answer in time."""
        self._stated.clear()
        self._asked.set()
        self._stated.wait(timeout_s)
        with self._lock:
            return self._rows


_boards: "WeakKeyDictionary[ReadOnlyHost, Board]" = WeakKeyDictionary()
_making = threading.Lock()


def of(host: ReadOnlyHost) -> Board:
    """Return the board of a worker, which has one host."""
    with _making:
        board = _boards.get(host)
        if board is None:
            board = _boards[host] = Board()
        return board
