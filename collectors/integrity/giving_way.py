"""Whose turn it is between scans and what else fills the processors.

A scan is over sooner than the reading of archives, which waits for it, and later than a short look, for which it stands still. By
the file of the book, because one process may keep several.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_S = 60.0
"""So long, in all, one reading of archives gives way: what a run of packages brought is not to wait for it for ever."""
_STEP_S = 1.0
"""How often is asked meanwhile whether the matter has become urgent."""
MOST_STILL_S = 1.0
"""So long, and no longer, a scan stands still for a short look."""
_AT_WORK: dict[Path, int] = {}
_SHORT: dict[Path, float] = {}
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


@contextmanager
def short(book: Path) -> Iterator[None]:
    """Have scans stand still for what takes a second or two of the interpreter: side by side, both take twice as long."""
    with _CHANGED:
        _SHORT[book] = time.monotonic() + MOST_STILL_S
    try:
        yield
    finally:
        with _CHANGED:
            _SHORT.pop(book, None)
            _CHANGED.notify_all()


def stand_still(book: Path) -> None:
    """Wait while a short look is at work, as long as it is short."""
    if book in _SHORT:
        with _CHANGED:
            left_s = _SHORT.get(book, 0.0) - time.monotonic()
            _CHANGED.wait_for(lambda: book not in _SHORT, max(0.0, left_s))


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
