"""Files that are compressed in one of the ways that archives and indices are, read as a stream of bounded memory."""

import bz2
import gzip
import io
import lzma
from typing import BinaryIO, cast

import zstandard

from contracts.errors import Unavailable, Why

MAX_LZMA = 128 << 20
"""Memory that xz may take: dpkg itself packs with at most 64 MiB."""


def opened(source: BinaryIO, name: str) -> BinaryIO:
    """Return the plain content of `source`, whose way of compression the end of `name` says; raises `Unavailable` for an unknown one."""
    ending = name.rpartition(".")[2]
    if ending == "gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=source))
    if ending in ("xz", "lzma"):
        return cast(BinaryIO, lzma.LZMAFile(source))
    if ending == "bz2":
        return cast(BinaryIO, bz2.BZ2File(source))
    if ending in ("zst", "zstd"):
        reader = zstandard.ZstdDecompressor(max_window_size=MAX_LZMA).stream_reader(source, closefd=False)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader)))
    if ending in ("lz4", "br"):
        raise Unavailable(Why.INCOMPATIBLE, f"{name} is compressed by {ending}", advice="let apt unpack it")
    return source


BROKEN = (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError, ValueError, Unavailable)
"""What reading a damaged one raises."""
