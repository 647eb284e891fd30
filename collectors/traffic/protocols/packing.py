"""Keeps small what came small: what decoders made out of little is compressed again as soon as no more of it comes; nothing is lost.

An answer of 100 bytes may inflate to 100 KiB, and a block of packets may bring tens of thousands of them before any is looked through.
"""

from typing import Final

import zstandard

LEAST: Final = 4096
"""Bytes that are not worth it: a transaction needs as much for itself."""
TIMES: Final = 32
"""What is at most so many times what came is kept as it is: pages are 3 to 10 times as long, lists and logs may be 20."""

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
