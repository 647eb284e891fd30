"""Opening files of others safely: by descriptor from folder to folder, never through a link, never waiting for a FIFO or a device."""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A regular file that is open for reading, or, with a `flaw`, something that was not opened, and why (`descriptor` is -1 then).

    `path` is the raw path, however long; times in nanoseconds. Whoever gets it closes the descriptor.
    """

    path: bytes
    descriptor: int = -1
    device: int = 0
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    uid: int = -1
    flaw: str = ""


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What `lstat` says of a regular file before it is opened."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Openings(Protocol):
    """Opening regular files for reading."""

    def one(self, path: bytes) -> Opened:
        """Open one file whose folder is reached without a link; the caller closes it. What is not there has the flaw `gone`."""

    def folder(self, path: bytes) -> int:
        """Return a descriptor of a folder that is reached without a link; raises `OSError`."""

    def head(self, opened: Opened, count: int) -> bytes:
        """Return the first `count` bytes of an open file."""

    def sha256(self, opened: Opened, max_bytes: int) -> str:
        """Return the digest of an open file's content in hex, "" where it is longer than that."""

    def below(
        self,
        root: bytes,
        wanted: Callable[[bytes, Stamp], bool],
        excluded: Callable[[bytes, bool], bool],
        one_filesystem: bool = True,
    ) -> Iterator[Opened]:
        """Yield every regular file below `root` (itself where it is one) that is `wanted`, folder by folder.

        A folder's files come in order, before what is below it. `wanted` is asked with the path before a file is opened; `excluded` with a
        path and whether it is a folder. A folder that cannot be looked at, or lies on another filesystem, is yielded once with its flaw.
        Links, FIFOs, sockets and devices are passed over.
        """
