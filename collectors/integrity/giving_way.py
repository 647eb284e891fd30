"""Whose turn it is between scans and what else fills the processors: a scan is over sooner than the reading of archives, which waits.

By the file of the book, because one process may keep several.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

MOST_S = 60.0
"""So long, in all, one reading of archives gives way: what a run of packages brought is not to wait for it for ever."""
_STEP_S = 1.0
"""How often is asked meanwhile whether the matter has become urgent."""
_AT_WORK: dict[Path, int] = {}
_CHANGED = threading.Condition()


def begin(book: Path) -> None:
    """A scan for this book is at work; each call wants one of `end`."""
    with _CHANGED:
        _AT_WORK[book] = _AT_WORK.get(book, 0) + 1


def end(book: Path) -> None:
    """It is no more."""
    with _CHANGED:
        left = _AT_WORK.pop(book, 1) - 1
        if left:
            _AT_WORK[book] = left
        _CHANGED.notify_all()


class GivesWay:
    """One reading of archives. `is_urgent` says that it may not wait: apt may delete archives when its run is over."""

    def __init__(self, book: Path, is_urgent: Callable[[], bool], most_s: float = MOST_S) -> None:
        self._book, self._is_urgent, self._left_s = book, is_urgent, most_s

    def __call__(self) -> None:
        """Wait as long as a scan is at work, and not longer than may be."""
        with _CHANGED:
            if self._book not in _AT_WORK:
                return
        while self._left_s > 0 and not self._is_urgent():
            start = time.monotonic()
            with _CHANGED:
                ended = _CHANGED.wait_for(lambda: self._book not in _AT_WORK, min(_STEP_S, self._left_s))
            self._left_s -= time.monotonic() - start
            if ended:
                return
