"""Mount ahead: who reads a file from front to back does not wait for each blob; the next ones are loaded while the last are used."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from contracts.errors import HoldfastError

THREADS = 2
MAX_WAITING = 16
"""Loads that are asked for and not done, of all files; more are not asked for."""
MAX_FILES = 256

_NEAR = 1 << 20
"""The kernel asks for several pieces at once, and they come in any order: within so much they still are in order."""
_RUN = 256 << 10
"""After so many bytes in order it is likely that more will be read."""


@dataclass(slots=True)
class _Reading:
    """How a file was read lately: in order from `begin` to `until`, and up to which blob loads were asked for."""

    begin: int
    until: int
    asked: int = -1


class Ahead:
    """Calls `load` for the blobs that a reader is likely to want next, up to `max_bytes` of a file; what fails is left to the reader."""

    def __init__(self, load: Callable[[bytes], object], max_bytes: int) -> None:
        self._load, self._max_bytes = load, max_bytes
        self._files: OrderedDict[Hashable, _Reading] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

    def reads(
        self, key: Hashable, ids: Sequence[bytes], starts: Sequence[int], part: tuple[int, int], last: int
    ) -> None:
        """Somebody reads the bytes `part` (from, to) of the file `key`, the last in blob `last`; `starts` is where each begins."""
        with self._lock:
            known = self._reading(key, part)
            if known.until - known.begin < _RUN:
                return
            number = max(last, known.asked) + 1
            while number < len(ids) and starts[number + 1] - starts[last + 1] <= self._max_bytes:
                if self._closed or self._waiting >= MAX_WAITING:
                    return
                self._waiting += 1
                known.asked = number
                self._submit(ids[number])
                number += 1

    def close(self) -> None:
        """Load nothing any more."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _reading(self, key: Hashable, part: tuple[int, int]) -> _Reading:
        known = self._files.pop(key, None)
        if known is None or abs(part[0] - known.until) > _NEAR:
            known = _Reading(*part)
        known.until = max(known.until, part[1])
        self._files[key] = known
        if len(self._files) > MAX_FILES:
            self._files.popitem(last=False)
        return known

    def _submit(self, id: bytes) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ahead")
        self._pool.submit(self._one, id)

    def _one(self, id: bytes) -> None:
        try:
            with suppress(HoldfastError):  # the reader meets it himself when he comes there, and is told
                self._load(id)
        finally:
            with self._lock:
                self._waiting -= 1
