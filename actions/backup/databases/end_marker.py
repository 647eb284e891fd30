"""Dumps that are text: how they begin, what they say at their end, and lines that tell of something left out."""

import re
from collections.abc import Sequence

from actions.backup.databases.pipe import NotWhole
from contracts.coverage import Blind

_TAIL = 4096


class EndMarker:
    """Watches a text: it must begin as `begins` says, its last 4 KiB end in a match of `ends`, and no line begin with one of `confessions`.

    Patterns are bytes; white space at the end is left aside. `min_size` is in bytes.
    """

    def __init__(
        self, ends: str = "", *, begins: str = "", min_size: int = 1, confessions: Sequence[bytes] = ()
    ) -> None:
        self._ends = re.compile(b"(?:" + ends.encode() + rb")\Z") if ends else None
        self._begins = re.compile(begins.encode()) if begins else None
        self._min_size = min_size
        self._confession = (
            re.compile(rb"^(?:" + b"|".join(map(re.escape, confessions)) + b")[^\n]*", re.MULTILINE)
            if confessions
            else None
        )
        self._longest = max(map(len, confessions), default=0) + 200
        self._head = b""
        self._tail = b""
        self.size = 0

    def feed(self, data: memoryview) -> None:
        """See the next bytes."""
        if len(self._head) < _TAIL:
            self._head += bytes(data[: _TAIL - len(self._head)])
        self.size += len(data)
        if self._confession is not None:
            self._look_for_confessions(data)
        self._tail = (self._tail + bytes(data[-_TAIL:]))[-_TAIL:]

    def finish(self) -> Sequence[Blind]:
        """Judge after the last byte."""
        if self.size < self._min_size:
            raise NotWhole(f"it has {self.size} bytes, at least {self._min_size} are expected")
        if self._begins is not None and not self._begins.match(self._head):
            raise NotWhole(f"it begins with {self._head[:40]!r}")
        if self._ends is not None and not self._ends.search(self._tail.rstrip()):
            raise NotWhole(f"its end marker is missing: it ends with {self._tail.rstrip()[-60:]!r}")
        return ()

    def _look_for_confessions(self, data: memoryview) -> None:
        assert self._confession is not None
        text = b"\n" * (not self._tail) + self._tail[-self._longest :] + bytes(data)
        for found in self._confession.finditer(text, 1):
            raise NotWhole(f"it says {found.group().decode('utf-8', 'replace')[:200]!r}")
