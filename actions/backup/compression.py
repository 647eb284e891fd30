"""zstandard, as restic's format version 2 uses it: blobs and unpacked files, each one frame.

Compressor objects belong to one thread each, so every thread keeps its own.
"""

import threading
from collections.abc import Sequence

import zstandard

from actions.backup.stores.store import Buffer
from contracts.errors import HoldfastError

LEVEL = 1
"""Level 2 saves less than 1 % more for a quarter more time (15,000 files of /usr); restic's default stores about the same as level 1."""

_local = threading.local()


class BadFrame(HoldfastError):
    """Not a zstandard frame, or one that does not hold what it should."""


def compress(data: Buffer, level: int = LEVEL) -> bytes:
    """One frame that carries its content size."""
    return _compressor(level).compress(data)


def compress_each(pieces: Sequence[Buffer], level: int = LEVEL) -> list[bytes]:
    """A frame for each of these, as `compress` makes them, in one go: between small ones no other thread is waited for."""
    if not pieces:
        return []
    frames = _compressor(level).multi_compress_to_buffer(list(pieces), threads=1)
    return [frames[place].tobytes() for place in range(len(frames))]


def _compressor(level: int) -> zstandard.ZstdCompressor:
    found: dict[int, zstandard.ZstdCompressor] = _local.__dict__.setdefault("compressors", {})
    compressor = found.get(level)
    if compressor is None:
        compressor = found[level] = zstandard.ZstdCompressor(level=level, write_checksum=False)
    return compressor


def decompress(data: Buffer, limit: int) -> bytes:
    """The content of one frame, at most `limit` bytes; raises BadFrame, also for a frame that would grow beyond."""
    found = _local.__dict__
    if "decompressor" not in found:
        found["decompressor"] = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = found["decompressor"]
    try:
        size = zstandard.frame_content_size(data)
        if size > limit:
            raise BadFrame(f"the content is said to be {size} bytes, more than {limit}")
        if size == 0:
            return b""
        return decompressor.decompress(data, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadFrame(f"does not decompress: {error}") from error
