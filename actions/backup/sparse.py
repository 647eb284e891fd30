"""Sparse files: what is zero is not written, so that it stays a hole."""

import os
from collections.abc import Iterator

STEP = 64 << 10
"""Holes are made in steps of so many bytes, counted from the beginning of what is written."""
_ZEROS = bytes(STEP)


def write_sparsely(descriptor: int, data: bytes, position: int) -> None:
    """Write `data` at `position` of a file that holds nothing there yet, leaving out what is zero. OSError."""
    for start, end in _runs(data):
        _pwrite_all(descriptor, memoryview(data)[start:end], position + start)


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of what is not zero, in steps of 64 KiB; the rest stays a hole."""
    begin = None
    for at in range(0, len(data), STEP):
        if data.startswith(_ZEROS, at) or (at + STEP > len(data) and not any(data[at:])):
            if begin is not None:
                yield begin, at
            begin = None
        elif begin is None:
            begin = at
    if begin is not None:
        yield begin, len(data)


def _pwrite_all(descriptor: int, view: memoryview, position: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, position)
        position += written
        view = view[written:]
