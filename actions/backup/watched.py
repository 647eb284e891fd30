"""Watched: what the archiver tells of the files that it reads, for whoever measures them on the way; here nobody does."""

from collections.abc import Mapping, Sequence

from actions.backup.node import Node
from actions.backup.stores.store import Buffer


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
