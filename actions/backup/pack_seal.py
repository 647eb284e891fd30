"""Whether a pack is what was written, by the codes of its blobs and its header: every byte, at a sixth of what SHA-256 costs.

What it does not tell is the name: a whole pack under the name of another passes. Reading back samples, which are hashed, finds that.
"""

import struct
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from actions.backup.blobs import Blob
from actions.backup.crypto import IV_SIZE, MAC_SIZE, OVERHEAD, Authenticator, Key

SMALL = 32 << 10
"""Packs whose blobs are smaller on average are hashed sooner than their blobs are gone through one by one."""
_LENGTH = struct.Struct("<I")


class _Part(Enum):
    """What a stretch of a pack is."""

    IV = auto()
    BODY = auto()
    CODE = auto()
    LENGTH = auto()


def worth_while(blobs: Sequence[Blob], size: int) -> bool:
    """Whether going through these blobs of a pack of `size` bytes is cheaper than hashing it."""
    return size >= SMALL * len(blobs)


class SealedPack:
    """Told the bytes of a pack piece by piece, it knows at the end whether each of them is what was written."""

    def __init__(self, blobs: Sequence[Blob], size: int, key: Key) -> None:
        """`blobs` are those that the pack's header lists, `size` is that of the whole file, of which the blobs leave room for a header."""
        self._key = key
        header = size - sum(blob.length for blob in blobs) - _LENGTH.size
        self._tail = _LENGTH.pack(header)
        self._stretches = _stretches([*(blob.length for blob in blobs), header])
        self._part, self._left = next(self._stretches)
        self._held = b""
        self._mac: Authenticator | None = None
        self._over = False
        self._good = True

    def update(self, piece: bytes) -> None:
        """The next bytes."""
        view = memoryview(piece)
        while view and self._good:
            mine, view = view[: self._left], view[self._left :]
            self._left -= len(mine)
            if self._part is _Part.BODY and self._mac is not None:
                self._mac.update(mine)
            else:
                self._held += mine
            if not self._left:
                self._close()
                self._good = self._good and not (self._over and view)

    def holds(self) -> bool:
        """Whether all that came is right, and nothing lacks."""
        return self._good and self._over

    def _close(self) -> None:
        """A stretch is whole: judge it, and begin the next that has any bytes."""
        held, self._held = self._held, b""
        if self._part is _Part.IV:
            self._mac = self._key.authenticator(held)
        elif self._part is _Part.CODE and self._mac is not None:
            self._good = self._mac.holds(held)
        elif self._part is _Part.LENGTH:
            self._good = held == self._tail
        following = next(self._stretches, None)
        if following is None:
            self._over = True
        else:
            self._part, self._left = following


def _stretches(lengths: Sequence[int]) -> Iterator[tuple[_Part, int]]:
    """What follows what in a pack of sealed parts of these lengths."""
    for length in lengths:
        yield _Part.IV, IV_SIZE
        if length > OVERHEAD:
            yield _Part.BODY, length - OVERHEAD
        yield _Part.CODE, MAC_SIZE
    yield _Part.LENGTH, _LENGTH.size
