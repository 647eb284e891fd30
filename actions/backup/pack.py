"""Pack files: encrypted blobs, one after another, then an encrypted header that lists them, then the header's length.

Source: restic's doc/design.rst, "Pack Format". All numbers are little-endian and have four bytes. A pack holds blobs of one type.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import OVERHEAD, Key, Unauthenticated
from actions.backup.stores.store import Buffer
from contracts.errors import HoldfastError

TARGET_SIZE = 16 << 20
"""A pack is closed when it has so many bytes, as restic does by default."""

MAX_HEADER = 16 << 20
_LENGTH = struct.Struct("<I")
_PLAIN = struct.Struct("<BI32s")
_COMPRESSED = struct.Struct("<BII32s")
_FIRST_READ = 15 * _COMPRESSED.size + OVERHEAD + _LENGTH.size
MAX_BLOBS = (MAX_HEADER - OVERHEAD) // _COMPRESSED.size


class BadPack(HoldfastError):
    """The bytes are not a pack, or their header does not describe them."""


class PackBuilder:
    """A pack in the making: encrypted blobs in memory; not safe for use by several threads at once."""

    def __init__(self, type: BlobType) -> None:
        self.type = type
        self.blobs: list[Blob] = []
        self.size = 0
        self._parts: list[Buffer] = []

    def add(self, id: bytes, sealed: Buffer, uncompressed_length: int) -> None:
        """Append one encrypted blob; `uncompressed_length` is 0 when it is not compressed."""
        self.blobs.append(Blob(self.type, id, self.size, len(sealed), uncompressed_length))
        self._parts.append(sealed)
        self.size += len(sealed)

    @property
    def full(self) -> bool:
        """Whether the pack should be closed now."""
        return self.size >= TARGET_SIZE or len(self.blobs) >= MAX_BLOBS

    def finish(self, key: Key) -> tuple[bytes, list[Buffer]]:
        """The id of the finished pack and its bytes in parts."""
        header = key.seal(encode_header(self.blobs))
        parts = [*self._parts, header, _LENGTH.pack(len(header))]
        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(part)
        return hasher.digest(), parts


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
