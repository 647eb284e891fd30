"""Pack files: encrypted blobs, one after another, then an encrypted header that lists them, then the header's length.

Source: restic's doc/design.rst, "Pack Format". All numbers are little-endian and have four bytes. A pack holds blobs of one type.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import OVERHEAD, Key, Unauthenticated
from actions.backup.stores.store import Buffer, Draft, MemoryDraft
from contracts.errors import HoldfastError

TARGET_SIZE = 16 << 20
"""A pack is closed when it has so many bytes, as restic does by default."""

MAX_HEADER = 16 << 20
_LENGTH = struct.Struct("<I")
_PLAIN = struct.Struct("<BI32s")
_COMPRESSED = struct.Struct("<BII32s")
_SPILL = 1 << 20
_FIRST_READ = 15 * _COMPRESSED.size + OVERHEAD + _LENGTH.size
MAX_BLOBS = (MAX_HEADER - OVERHEAD) // _COMPRESSED.size


class BadPack(HoldfastError):
    """The bytes are not a pack, or their header does not describe them."""


class PackBuilder:
    """A pack in the making; not safe for use by several threads at once.

    `size` are the bytes of its blobs, `stored` all that were added so far. They go to `draft` and are hashed in spills of about 1 MiB:
    small blobs one by one would cost a switch of threads each.
    """

    def __init__(self, type: BlobType, draft: Draft | None = None) -> None:
        self.type = type
        self.blobs: list[Blob] = []
        self.size = 0
        self.stored = 0
        self._draft: Draft = MemoryDraft() if draft is None else draft
        self._hasher = hashlib.sha256()
        self._loose: list[Buffer] = []
        self._loose_bytes = 0

    def add(self, id: bytes, sealed: Buffer, uncompressed_length: int) -> None:
        """Append one encrypted blob; `uncompressed_length` is 0 when it is not compressed. StoreError when it cannot be kept."""
        self.blobs.append(Blob(self.type, id, self.size, len(sealed), uncompressed_length))
        self.size += len(sealed)
        self._append(sealed)

    @property
    def full(self) -> bool:
        """Whether the pack should be closed now."""
        return self.size >= TARGET_SIZE or len(self.blobs) >= MAX_BLOBS

    def finish(self, key: Key) -> tuple[bytes, Draft]:
        """The id of the finished pack and its bytes, for `Store.save`."""
        header = key.seal(encode_header(self.blobs))
        self._append(header)
        self._append(_LENGTH.pack(len(header)))
        self._spill()
        return self._hasher.digest(), self._draft

    def discard(self) -> None:
        """Give up what is not published."""
        self._draft.discard()

    def _append(self, data: Buffer) -> None:
        self._loose.append(data)
        self.stored += len(data)
        self._loose_bytes += len(data)
        if self._loose_bytes >= _SPILL:
            self._spill()

    def _spill(self) -> None:
        data = self._loose[0] if len(self._loose) == 1 else b"".join(self._loose)
        self._loose, self._loose_bytes = [], 0
        self._hasher.update(data)
        self._draft.add(data)


def encode_header(blobs: Sequence[Blob]) -> bytes:
    """The header's plaintext for blobs that follow one another without gaps."""
    return b"".join(
        _COMPRESSED.pack(blob.type + 2, blob.length, blob.uncompressed_length, blob.id)
        if blob.uncompressed_length
        else _PLAIN.pack(blob.type, blob.length, blob.id)
        for blob in blobs
    )


def decode_header(header: Buffer) -> list[Blob]:
    """The blobs that a header's plaintext lists; raises BadPack."""
    blobs: list[Blob] = []
    position = offset = 0
    while position < len(header):
        number = header[position]
        form = _PLAIN if number < 2 else _COMPRESSED
        if number > 3:
            raise BadPack(f"entry {len(blobs)} of the header has the unknown type {number}")
        if position + form.size > len(header):
            raise BadPack(f"the header ends within entry {len(blobs)}")
        if number < 2:
            _, length, id = _PLAIN.unpack_from(header, position)
            uncompressed = 0
        else:
            _, length, uncompressed, id = _COMPRESSED.unpack_from(header, position)
            if not uncompressed:
                raise BadPack(f"entry {len(blobs)} of the header is compressed from nothing")
        if length < OVERHEAD:
            raise BadPack(f"entry {len(blobs)} of the header has {length} bytes, fewer than encryption adds")
        blobs.append(Blob(BlobType(number & 1), id, offset, length, uncompressed))
        position += form.size
        offset += length
    return blobs


def read_header(load: Callable[[int, int], bytes], size: int, key: Key) -> list[Blob]:
    """The blobs of a pack of `size` bytes, of which `load(offset, length)` returns parts; raises BadPack.

    Two reads at most, one for packs of few blobs. The header must account for every byte of the file.
    """
    if size < OVERHEAD + _LENGTH.size:
        raise BadPack(f"{size} bytes are fewer than any pack has")
    first = min(size, _FIRST_READ)
    tail = load(size - first, first)
    (length,) = _LENGTH.unpack(tail[-_LENGTH.size :])
    room = size - _LENGTH.size
    if not OVERHEAD < length <= min(room, MAX_HEADER):
        raise BadPack(f"the header is said to have {length} bytes, in a file of {size}")
    if length + _LENGTH.size > len(tail):
        tail = load(room - length, length + _LENGTH.size)
    try:
        blobs = decode_header(key.open(memoryview(tail)[-_LENGTH.size - length : -_LENGTH.size]))
    except Unauthenticated as error:
        raise BadPack(f"the header was changed: {error.message}") from error
    held = sum(blob.length for blob in blobs)
    if held != room - length:
        raise BadPack(f"the header describes {held} bytes of blobs, the file has {room - length}")
    return blobs
