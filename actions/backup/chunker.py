"""Content-defined chunks: where a file is cut into blobs, so that an insertion changes few of them.

FastCDC instead of restic's Rabin fingerprints: any boundaries are valid in the format, and these are found several times faster. The gear
table is seeded from the repository's secret polynomial, so that lengths of blobs do not tell which known files are stored.
"""

import hashlib
from collections.abc import Iterator
from typing import Protocol

from pyfastcdc import FastCDC

MIN_SIZE = 512 << 10
AVERAGE_SIZE = 1 << 20
MAX_SIZE = 8 << 20


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

    def chunks(self, source: Source) -> Iterator[bytes]:
        """The pieces of a stream, 512 KiB to 8 MiB each but for the last; together they are the stream. Errors of reading pass through."""
        for chunk in self._cdc.cut_stream(source):
            yield bytes(chunk.data)
