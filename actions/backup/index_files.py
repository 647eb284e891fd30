"""Index files: JSON documents that list packs and the blobs in them, and which index files they replace.

Source: restic's doc/design.rst, "Indexing". The order of fields is restic's.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import OVERHEAD
from actions.backup.ids import parse_id
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError

MAX_BLOBS = 50_000
"""An index file is closed at so many blobs: near 8 MB of JSON, as restic does."""

_MAX_NUMBER = (1 << 32) - 1


class BadIndex(HoldfastError):
    """The document is not an index."""


class _Blob(msgspec.Struct, omit_defaults=True):
    id: str
    type: Literal["data", "tree"]
    offset: int
    length: int
    uncompressed_length: int = 0


class _Pack(msgspec.Struct):
    id: str
    blobs: list[_Blob]


class _File(msgspec.Struct, omit_defaults=True, kw_only=True):
    supersedes: list[str] = []
    packs: list[_Pack]


class _RawFile(msgspec.Struct):
    packs: list[msgspec.Raw]
    supersedes: list[str] = []


_DECODER = msgspec.json.Decoder(_RawFile)
_PACK_DECODER = msgspec.json.Decoder(_Pack)
_TYPES = {"data": BlobType.DATA, "tree": BlobType.TREE}


def encode_index(packs: Iterable[tuple[bytes, Sequence[Blob]]], supersedes: Iterable[bytes] = ()) -> bytes:
    """The document for these packs."""
    return msgspec.json.encode(
        _File(
            supersedes=[id.hex() for id in supersedes],
            packs=[
                _Pack(
                    pack.hex(),
                    [_Blob(b.id.hex(), b.type.word, b.offset, b.length, b.uncompressed_length) for b in blobs],  # type: ignore[arg-type]
                )
                for pack, blobs in packs
            ],
        )
    )


def decode_index(document: bytes | bytearray) -> tuple[list[tuple[bytes, list[Blob]]], list[bytes]]:
    """The packs of a document and the index files that it replaces; raises BadIndex."""
    return list(iterate_index(document)), superseded(document)


def iterate_index(document: bytes | bytearray) -> Iterator[tuple[bytes, list[Blob]]]:
    """The packs of a document one after another, so that a big one needs no object for each blob at once; raises BadIndex, also midway."""
    try:
        for raw in _read(document).packs:
            pack = _PACK_DECODER.decode(raw)
            yield parse_id(pack.id), [_checked(entry) for entry in pack.blobs]
    except (msgspec.DecodeError, ValueError) as error:
        raise BadIndex(f"not an index: {error}") from error


def superseded(document: bytes | bytearray) -> list[bytes]:
    """The index files that a document replaces; raises BadIndex."""
    try:
        return [parse_id(id) for id in _read(document).supersedes]
    except ValueError as error:
        raise BadIndex(f"not an index: {error}") from error


def _read(document: bytes | bytearray) -> _RawFile:
    if document[:1] == b"[":
        raise BadIndex("an index of restic's first, abandoned form", advice="run `restic rebuild-index` once")
    try:
        return _DECODER.decode(document)
    except UNDECODABLE as error:
        raise BadIndex(f"not an index: {error}") from error


def _checked(entry: _Blob) -> Blob:
    if not (
        0 <= entry.offset <= _MAX_NUMBER
        and OVERHEAD <= entry.length <= _MAX_NUMBER
        and 0 <= entry.uncompressed_length <= _MAX_NUMBER
    ):
        raise ValueError(
            f"blob {entry.id}: offset {entry.offset}, length {entry.length}, uncompressed {entry.uncompressed_length}"
        )
    return Blob(_TYPES[entry.type], parse_id(entry.id), entry.offset, entry.length, entry.uncompressed_length)
