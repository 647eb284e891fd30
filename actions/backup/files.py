"""Unpacked files: indexes, snapshots and locks, each a JSON document that is compressed (version 2), encrypted, and named by its hash.

Source: restic's doc/design.rst, "Unpacked Data Format".
"""

from collections.abc import Callable, Iterator

from actions.backup.compression import BadFrame, compress, decompress
from actions.backup.crypto import Key, Unauthenticated
from actions.backup.errors import Damaged
from actions.backup.ids import id_of
from actions.backup.stores.store import FileType, Handle, Store

MAX_DOCUMENT = 1 << 30
_COMPRESSED = 2
_NAMING = frozenset({FileType.INDEX, FileType.SNAPSHOT})


class Files:
    """The unpacked files of one repository."""

    def __init__(self, store: Store, key: Key, version: int) -> None:
        self.store = store
        self._key = key
        self._version = version
        self.written: dict[FileType, dict[str, int]] = {}
        """Names and sizes of the files that the store has said it saved, by type."""
        self.sure: Callable[[], None] = lambda: None
        """Asked before an index file or a snapshot is published: they name packs that only our lock keeps others from removing."""

    def save(self, type: FileType, document: bytes) -> str:
        """Publish a document; returns the name of the file. What `sure` raises passes through, and nothing is published then."""
        if type in _NAMING:
            self.sure()
        if self._version >= 2:
            document = bytes([_COMPRESSED]) + compress(document)
        sealed = self._key.seal(document)
        name = id_of(sealed).hex()
        self.store.save(Handle(type, name), [sealed])
        self.written.setdefault(type, {})[name] = len(sealed)
        return name

    def load(self, type: FileType, name: str) -> bytes:
        """The document of a file; Damaged when the file is not what was written."""
        return self.opened(Handle(type, name), self.store.load(Handle(type, name)))

    def opened(self, handle: Handle, sealed: bytes) -> bytes:
        """The document of a file that was read already, perhaps elsewhere; Damaged as for `load`."""
        where = f"{handle.type.value}/{handle.name}"
        if id_of(sealed).hex() != handle.name:
            raise Damaged(where, "its SHA-256 is not its name")
        try:
            plain = bytes(self._key.open(sealed))
            if plain[:1] in (b"{", b"["):
                return plain
            if self._version < 2 or plain[:1] != bytes([_COMPRESSED]):
                raise Damaged(where, f"begins with {plain[:1]!r}, which marks no encoding that is known")
            return decompress(memoryview(plain)[1:], MAX_DOCUMENT)
        except (Unauthenticated, BadFrame) as error:
            raise Damaged(where, error.message) from error

    def names(self, type: FileType) -> Iterator[str]:
        """The names of all files of a type."""
        return (name for name, _ in self.store.list(type))
