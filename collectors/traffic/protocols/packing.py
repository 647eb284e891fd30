"""Keeps small what came small: what decoders made out of little is compressed again once no more of it comes, or while it rests.

An answer of 100 bytes may inflate to 100 KiB, and a block of packets may bring tens of thousands of them before any is looked through.
"""

from typing import Final

import zstandard

LEAST: Final = 4096
"""Bytes that are not worth it: a transaction needs as much for itself."""
TIMES: Final = 32
"""What is at most so many times what came is kept as it is: pages are 3 to 10 times as long, lists and logs may be 20."""

TURNS: Final = 4
"""So often what rests is made small and grows again: whoever sends it byte by byte must not make work of it."""

_COMPRESSOR: Final = zstandard.ZstdCompressor(level=1)
_DECOMPRESSOR: Final = zstandard.ZstdDecompressor()


def packed(data: bytes | bytearray, wire: int) -> bytes:
    """Return `data` compressed where it is many times the `wire` bytes it was made of, b"" where it may stay as it is."""
    size = len(data)
    if size <= LEAST or size <= TIMES * wire:
        return b""
    # A copy: what the compressor returns stands in room for the worst case, and leaves holes where nothing fits when it is cut.
    return bytes(memoryview(_COMPRESSOR.compress(data)))


def unpacked(data: bytes) -> bytes:
    """Return what was packed."""
    return _DECOMPRESSOR.decompress(data)


class Kept:
    """The beginning of a body or a file, up to `limit` bytes; nothing of it is lost however it is kept."""

    __slots__ = ("_length", "_packed", "_turns", "data", "limit")

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.limit = limit
        self._packed = b""
        self._length = 0
        self._turns = 0

    def add(self, data: bytes) -> None:
        """Take bytes that follow what is there, as far as there is room."""
        if self._packed:
            self.data, self._packed = bytearray(unpacked(self._packed)), b""
        room = self.limit - len(self.data)
        if room > 0:
            self.data += data[:room]

    def length(self) -> int:
        """Return how many bytes are kept, however they are."""
        return self._length if self._packed else len(self.data)

    def content(self) -> bytes:
        """Return what is kept."""
        return unpacked(self._packed) if self._packed else bytes(self.data)

    def beginning(self, most: int) -> bytes:
        """Return the first bytes of what is kept."""
        return unpacked(self._packed)[:most] if self._packed else bytes(self.data[:most])

    def held(self) -> int:
        """Return how much memory it takes."""
        return len(self.data) + len(self._packed)

    def leave(self, wire: int) -> None:
        """Take no more memory than the `wire` bytes make fair that it was decoded from: no more comes."""
        self._pack(packed(self.data, wire))

    def shrink(self) -> None:
        """Take little memory until more comes, where that saves half."""
        if len(self.data) > LEAST and self._turns < TURNS:
            made = packed(self.data, 0)
            if len(made) * 2 < len(self.data):
                self._turns += 1
                self._pack(made)

    def stop(self) -> bool:
        """Take no more than is there, if that is anything; returns whether it is."""
        length = self.length()
        if length:
            self.limit = length
        return length > 0

    def drop(self) -> None:
        """Forget what is kept, and keep no more."""
        self.data, self._packed, self.limit = bytearray(), b"", 0

    def _pack(self, made: bytes) -> None:
        if made:
            self._length = len(self.data)
            self._packed, self.data = made, bytearray()
