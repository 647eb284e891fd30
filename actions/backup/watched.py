"""Watched: what the archiver tells of the files that it reads, for whoever measures them on the way; here nobody does."""

from collections.abc import Mapping, Sequence

from actions.backup.node import Node
from actions.backup.stores.store import Buffer

MOST_PATHS = 2000
MOST_BYTES = 128 << 10
"""So many paths, of so many bytes together, are named of what changed; the rest is counted."""


class Unwatched:
    """Takes everything and keeps nothing; `actions.backup.tripwire.gauge.Gauge` does."""

    def begin(self) -> None:
        """A file is about to be read."""

    def piece(self, data: Buffer, *, new: bool) -> None:
        """One blob of the file that is being read, in their order; `new` unless the repository holds it."""

    def file(self, path: bytes, before: Node | None, node: Node) -> None:
        """A file was read; `before` is what the parent snapshot holds under its name."""

    def directory(self, path: bytes, before: Mapping[bytes, Node], nodes: Sequence[Node]) -> None:
        """A directory is done that is not what it was in the parent snapshot."""


class Noting(Unwatched):
    """Passes everything on, and notes which files were read: those that are not as the parent snapshot has them."""

    def __init__(self, inner: Unwatched | None) -> None:
        self._inner = inner or Unwatched()
        self._bytes = 0
        self.paths: list[bytes] = []
        self.beyond = 0

    def begin(self) -> None:
        """See `Unwatched`."""
        self._inner.begin()

    def piece(self, data: Buffer, *, new: bool) -> None:
        """See `Unwatched`."""
        self._inner.piece(data, new=new)

    def file(self, path: bytes, before: Node | None, node: Node) -> None:
        """See `Unwatched`."""
        self._inner.file(path, before, node)
        self._bytes += len(path)
        if len(self.paths) < MOST_PATHS and self._bytes <= MOST_BYTES:
            self.paths.append(path)
        else:
            self.beyond += 1

    def directory(self, path: bytes, before: Mapping[bytes, Node], nodes: Sequence[Node]) -> None:
        """See `Unwatched`."""
        self._inner.directory(path, before, nodes)
