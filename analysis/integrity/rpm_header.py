"""Reads an rpm's header as the database keeps it, within bounds: what its makers wrote, and what was added on installing. Pure.

Format: rpm's manual, "RPM Package Header format" and "Immutable header regions", `lib/header.cc` (`hdrblobVerifyRegion`). A header in the
database has no magic. Only the entries of the region 63 are under the signature; what comes after them ("dribbles") is what rpm added, and
what anybody can add: a tag there may bear the number of one in the region, so both are kept apart.
"""

import struct
from collections.abc import Iterator

MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
MOST_BYTES = 64 << 20
MOST_TAGS = 0xFFFF
MOST_VALUES = 0xFFFFF
_REGION, _FIRST_TAG = 63, 100
_BIN, _STRING = 7, 6
_STRINGS = (6, 8, 9)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_LETTERS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
_INDEX = struct.Struct(">IIiI")
Entry = tuple[int, int, int]
"""Kind of value, where it begins in the data, how many values."""


class Header:
    """One header. Raises `ValueError` for anything that is none, also later, when a value is read that is not as its entry says."""

    def __init__(self, blob: bytes) -> None:
        if not 8 + _INDEX.size <= len(blob) <= MOST_BYTES:
            raise ValueError(f"a header of {len(blob)} bytes")
        tags, length = struct.unpack_from(">II", blob)
        if not 1 <= tags <= MOST_TAGS or 8 + tags * _INDEX.size + length != len(blob):
            raise ValueError(f"{tags} tags and {length} bytes do not make {len(blob)}")
        self._blob = blob
        self._data = 8 + tags * _INDEX.size
        self._signed_tags, self._signed_bytes = self._region(tags, length)
        index = list(_INDEX.iter_unpack(blob[8 : self._data]))
        end = self._data + self._signed_bytes - _INDEX.size
        self._inside = self._entries(index[1 : self._signed_tags], self._data, end)
        self._added = self._entries(index[self._signed_tags :], self._data + self._signed_bytes, len(blob))

    def _region(self, tags: int, length: int) -> tuple[int, int]:
        """Return how many entries and how many bytes of data are under the signature."""
        tag, kind, offset, count = _INDEX.unpack_from(self._blob, 8)
        if (tag, kind, count) != (_REGION, _BIN, _INDEX.size):
            raise ValueError("it has no immutable region, as packages of rpm 3 have none")
        if not 0 <= offset <= length - _INDEX.size:
            raise ValueError("its region ends outside of it")
        tag, kind, size, count = _INDEX.unpack_from(self._blob, self._data + offset)
        if (tag, kind, count) != (_REGION, _BIN, _INDEX.size) or size >= 0 or -size % _INDEX.size:
            raise ValueError("the end of its region is damaged")
        held = -size // _INDEX.size
        if not 1 <= held <= tags:
            raise ValueError("its region has more tags than there are")
        return held, offset + _INDEX.size

    def _entries(self, index: list[tuple[int, ...]], begin: int, end: int) -> dict[int, tuple[Entry, int]]:
        """Return the entries by tag, each with where its data has to end; of two with one tag the first, as rpm takes it."""
        found: dict[int, tuple[Entry, int]] = {}
        for tag, kind, offset, count in index:
            at = self._data + offset
            if tag < _FIRST_TAG or not 1 <= kind <= 9 or offset < 0 or not begin <= at < end or not 1 <= count <= end:
                raise ValueError(f"tag {tag} of kind {kind} with {count} values at {offset}")
            if kind != _BIN and count > MOST_VALUES:
                raise ValueError(f"tag {tag} has {count} values")
            if kind in _SIZES and at + count * _SIZES[kind] > end:
                raise ValueError(f"tag {tag} ends outside of its part")
            found.setdefault(tag, ((kind, at, count), end))
        return found

    def signed(self) -> Iterator[bytes]:
        """Yield what a signature of the header is made over: magic, sizes, entries and data of the region."""
        yield MAGIC + struct.pack(">II", self._signed_tags, self._signed_bytes)
        yield self._blob[8 : 8 + self._signed_tags * _INDEX.size]
        yield self._blob[self._data : self._data + self._signed_bytes]

    def numbers(self, tag: int, *, added: bool = False) -> tuple[int, ...]:
        """Return the numbers of a tag, () where there is none."""
        held = (self._added if added else self._inside).get(tag)
        if held is None:
            return ()
        (kind, at, count), _ = held
        if kind not in _LETTERS:
            raise ValueError(f"tag {tag} has no numbers")
        return struct.unpack_from(f">{count}{_LETTERS[kind]}", self._blob, at)

    def strings(self, tag: int, *, added: bool = False) -> list[bytes]:
        """Return the strings of a tag, [] where there is none."""
        held = (self._added if added else self._inside).get(tag)
        if held is None:
            return []
        (kind, at, count), end = held
        if kind not in _STRINGS or (kind == _STRING and count != 1):
            raise ValueError(f"tag {tag} has no strings")
        found = self._blob[at:end].split(b"\0", count)
        if len(found) <= count:
            raise ValueError(f"tag {tag} has fewer strings than it says")
        return found[:count]

    def text(self, tag: int) -> str:
        """Return the one string of a tag, "" where there is none."""
        found = self.strings(tag)
        return found[0].decode("utf-8", "surrogateescape") if found else ""

    def binary(self, tag: int, *, added: bool = False) -> bytes:
        """Return the bytes of a tag, b"" where there is none."""
        held = (self._added if added else self._inside).get(tag)
        if held is None:
            return b""
        (kind, at, count), _ = held
        if kind != _BIN:
            raise ValueError(f"tag {tag} has no bytes")
        return self._blob[at : at + count]
