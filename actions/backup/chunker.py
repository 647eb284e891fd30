"""Content-defined chunks: where a file is cut into blobs, so that an insertion changes few of them.

FastCDC instead of restic's Rabin fingerprints: any boundaries are valid in the format, and these are found several times faster. The gear
table is seeded from the repository's secret polynomial, so that lengths of blobs do not tell which known files are stored.
"""

import hashlib
from collections.abc import Generator
from typing import Protocol

from pyfastcdc import FastCDC

from actions.backup.stores.store import Buffer

MIN_SIZE = 512 << 10
AVERAGE_SIZE = 1 << 20
MAX_SIZE = 8 << 20

WINDOW = 4 << 20
"""So much of a stream is in memory at once, and at least a piece: pieces are parts of it, so that nothing is copied."""
_SPARE = 6


class Source(Protocol):
    """Something to read from, such as an unbuffered binary file."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there; 0 at the end."""
        ...


class Chunker:
    """Cuts streams of one repository; an instance serves one thread at a time."""

    def __init__(self, polynomial: int) -> None:
        digest = hashlib.sha256(b"holdfast chunker seed" + polynomial.to_bytes(8, "big")).digest()
        self._cdc = FastCDC(
            AVERAGE_SIZE,
            min_size=MIN_SIZE,
            max_size=MAX_SIZE,
            normalized_chunking=1,
            seed=int.from_bytes(digest[:8], "big") >> 1,
        )
        self._windows: list[bytearray] = []

    def chunks(self, source: Source) -> Generator[Buffer, None, None]:
        """The pieces of a stream, 512 KiB to 8 MiB each but for the last; together they are the stream. Errors of reading pass through.

        A piece stays as it is for as long as somebody holds it; the memory of pieces that nobody holds any more is used again.
        """
        rest = memoryview(b"")
        while True:
            window = self._window(len(rest))
            view = memoryview(window)
            view[: len(rest)] = rest
            filled, ended = _fill(source, view, len(rest))
            pieces = [(piece.offset, piece.length) for piece in self._cdc.cut_buf(view[:filled])]
            if not ended and pieces[-1][1] < MAX_SIZE:
                pieces.pop()  # it ends where the window does: more may belong to it
            rest = view[sum(pieces[-1]) if pieces else 0 : filled]
            for offset, length in pieces:
                yield view[offset : offset + length]
            if ended:
                return
            del view

    def _window(self, kept: int) -> bytearray:
        """Memory that nobody looks into, with room for more than the `kept` bytes that no cut was found in."""
        size = max(WINDOW, 2 * kept)
        for window in self._windows:
            if len(window) == size and _is_free(window):
                return window
        window = bytearray(size)
        if size == WINDOW and len(self._windows) < _SPARE:
            self._windows.append(window)
        return window


def _is_free(window: bytearray) -> bool:
    """Whether no view of it is held: Python refuses to change the size of what somebody looks into."""
    try:
        window.append(window.pop())
    except BufferError:
        return False
    return True


def _fill(source: Source, view: memoryview, start: int) -> tuple[int, bool]:
    """Read until `view` is full or the stream ends; returns up to where it is filled and whether it ended."""
    while start < len(view):
        got = source.readinto(view[start:])
        if not got:
            return start, True
        start += got
    return start, False
