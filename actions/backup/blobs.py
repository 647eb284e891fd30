"""Blobs: pieces of files and serialised trees, the only things that packs hold."""

from enum import IntEnum
from typing import NamedTuple

from actions.backup.crypto import OVERHEAD


class BlobType(IntEnum):
    """What a blob holds; the value is its number in a pack's header (uncompressed form)."""

    DATA = 0
    TREE = 1

    @property
    def word(self) -> str:
        """The type as index files write it."""
        return "tree" if self is BlobType.TREE else "data"


class Blob(NamedTuple):
    """One blob in a pack.

    `length` counts the encrypted bytes from `offset` on; `uncompressed_length` is that of the plaintext, 0 when the blob is not compressed.
    """

    type: BlobType
    id: bytes
    offset: int
    length: int
    uncompressed_length: int = 0

    @property
    def plain_length(self) -> int:
        """Bytes of the plaintext."""
        return self.uncompressed_length or self.length - OVERHEAD

    def __str__(self) -> str:
        return f"{self.type.word} blob {self.id.hex()}"


class Location(NamedTuple):
    """Where a blob lies: in which pack, and there from which byte on."""

    pack: bytes
    offset: int
    length: int
    uncompressed_length: int
