"""The index in memory: which pack holds which blob, for ten million blobs in about 600 MB.

A Python object per blob would cost several times as much. Entries lie in packed arrays (id, pack, offset, two lengths: 48 bytes) and are
found through an open-addressed hash table of entry numbers; ids are hashes themselves, so their first bytes serve.
"""

import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence

from actions.backup.blobs import Blob, BlobType, Location
from actions.backup.ids import ID_SIZE

_START = 1 << 10
_MAX_LOAD = 0.8


class _Table:
    """The blobs of one type."""

    def __init__(self) -> None:
        self.ids = bytearray()
        self.packs = array("I")
        self.offsets = array("I")
        self.lengths = array("I")
        self.uncompressed = array("I")
        self._slots = array("I", bytes(4 * _START))
        self._mask = _START - 1

    def __len__(self) -> int:
        return len(self.packs)

    def add(self, id: bytes, pack: int, offset: int, length: int, uncompressed: int) -> None:
        if len(self.packs) >= _MAX_LOAD * (self._mask + 1):
            self._grow()
        self.ids += id
        self.packs.append(pack)
        self.offsets.append(offset)
        self.lengths.append(length)
        self.uncompressed.append(uncompressed)
        self._place(id, len(self.packs))

    def entries(self, id: bytes) -> Iterator[int]:
        """Numbers of the entries of an id, the earliest first."""
        slots, mask, ids = self._slots, self._mask, self.ids
        position = int.from_bytes(id[:8], "little") & mask
        while number := slots[position]:
            start = (number - 1) * ID_SIZE
            if ids[start : start + ID_SIZE] == id:
                yield number - 1
            position = (position + 1) & mask

    def has(self, id: bytes) -> bool:
        # As `entries`, without a generator: it is asked for every blob that is saved.
        slots, mask, ids = self._slots, self._mask, self.ids
        position = int.from_bytes(id[:8], "little") & mask
        while number := slots[position]:
            if ids[(number - 1) * ID_SIZE : number * ID_SIZE] == id:
                return True
            position = (position + 1) & mask
        return False

    def _place(self, id: bytes, number: int) -> None:
        slots, mask = self._slots, self._mask
        position = int.from_bytes(id[:8], "little") & mask
        while slots[position]:
            position = (position + 1) & mask
        slots[position] = number

    def _grow(self) -> None:
        size = 2 * (self._mask + 1)
        self._slots = array("I", bytes(4 * size))
        self._mask = size - 1
        ids = self.ids
        for number in range(len(self.packs)):
            self._place(bytes(ids[number * ID_SIZE : number * ID_SIZE + 8]), number + 1)

    @property
    def nbytes(self) -> int:
        return len(self.ids) + 4 * (4 * len(self.packs) + len(self._slots))


class Index:
    """Every blob of the repository that an index file names, and those saved since; safe for use by several threads."""

    def __init__(self) -> None:
        self._tables = {type: _Table() for type in BlobType}
        self._pack_ids = bytearray()
        self._pack_numbers: dict[bytes, int] = {}
        self._late: dict[int, list[Blob]] = {}
        self._late_entries: set[tuple[BlobType, int]] = set()
        self._lock = threading.Lock()

    def add_pack(self, pack: bytes, blobs: Iterable[Blob]) -> bool:
        """Take up a pack; returns whether it was new.

        Index files may name a pack twice. Of one that is known already only those blobs are taken that were not named in it before: one
        file that says less than it should must not hide what another says.
        """
        with self._lock:
            if pack in self._pack_numbers:
                self._add_late(self._pack_numbers[pack], blobs)
                return False
            number = self._pack_numbers[pack] = len(self._pack_numbers)
            self._pack_ids += pack
            for blob in blobs:
                self._tables[blob.type].add(blob.id, number, blob.offset, blob.length, blob.uncompressed_length)
            return True

    def _add_late(self, number: int, blobs: Iterable[Blob]) -> None:
        for blob in blobs:
            table = self._tables[blob.type]
            if any(table.packs[at] == number and table.offsets[at] == blob.offset for at in table.entries(blob.id)):
                continue
            self._late_entries.add((blob.type, len(table)))
            self._late.setdefault(number, []).append(blob)
            table.add(blob.id, number, blob.offset, blob.length, blob.uncompressed_length)

    def has(self, type: BlobType, id: bytes) -> bool:
        """Whether a blob is there."""
        with self._lock:
            return self._tables[type].has(id)

    def find(self, type: BlobType, id: bytes) -> list[Location]:
        """Every place of a blob; empty when there is none."""
        table = self._tables[type]
        with self._lock:
            return [self._location(table, number) for number in table.entries(id)]

    def plain_length(self, type: BlobType, id: bytes) -> int | None:
        """Bytes of a blob's plaintext, None when there is no such blob."""
        places = self.find(type, id)
        return Blob(type, id, *places[0][1:]).plain_length if places else None

    def has_pack(self, pack: bytes) -> bool:
        """Whether a pack is named."""
        return pack in self._pack_numbers

    def packs(self) -> list[bytes]:
        """The ids of all packs."""
        return list(self._pack_numbers)

    def ends(self) -> Sequence[int]:
        """How far the blobs of each pack reach into it, in bytes, in the order of `packs`; behind them comes its header."""
        ends = array("Q", bytes(8 * len(self._pack_numbers)))
        with self._lock:
            for table in self._tables.values():
                for pack, offset, length in zip(table.packs, table.offsets, table.lengths, strict=True):
                    if offset + length > ends[pack]:
                        ends[pack] = offset + length
        return ends

    def blobs(self) -> Iterator[tuple[bytes, Blob]]:
        """Every entry with its pack; the index must not grow meanwhile."""
        for type, table in self._tables.items():
            for number in range(len(table)):
                place = self._location(table, number)
                id = bytes(table.ids[number * ID_SIZE : (number + 1) * ID_SIZE])
                yield place.pack, Blob(type, id, place.offset, place.length, place.uncompressed_length)

    def numbers(self, type: BlobType, id: bytes) -> list[int]:
        """The numbers of the entries of a blob, the earliest first: below `count` of its type, for arrays beside the index."""
        with self._lock:
            return list(self._tables[type].entries(id))

    def count(self, type: BlobType) -> int:
        """How many entries there are of a type."""
        return len(self._tables[type])

    def numbered(self, type: BlobType) -> Iterator[tuple[int, Blob]]:
        """Every entry of a type in the order of its number, with the number of its pack among `packs`; the index must not grow."""
        table = self._tables[type]
        for number in range(len(table)):
            id = bytes(table.ids[number * ID_SIZE : (number + 1) * ID_SIZE])
            blob = Blob(type, id, table.offsets[number], table.lengths[number], table.uncompressed[number])
            yield table.packs[number], blob

    def by_pack(self) -> Iterator[tuple[bytes, list[Blob]]]:
        """Every pack with its blobs, one pack at a time; the index must not grow meanwhile."""
        entries = {type: self._in_order(type) for type in BlobType}
        waiting = {type: next(entries[type], None) for type in BlobType}
        for number, pack in enumerate(self._pack_numbers):
            blobs = list(self._late.get(number, ()))
            for type in BlobType:
                while (entry := waiting[type]) is not None and entry[0] == number:
                    blobs.append(entry[1])
                    waiting[type] = next(entries[type], None)
            yield pack, blobs

    def _in_order(self, type: BlobType) -> Iterator[tuple[int, Blob]]:
        """The entries of a type by the number of their pack: all but those that came late."""
        return (e for at, e in enumerate(self.numbered(type)) if not self._late or (type, at) not in self._late_entries)

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(table.nbytes for table in self._tables.values()) + len(self._pack_ids)

    def _location(self, table: _Table, number: int) -> Location:
        start = table.packs[number] * ID_SIZE
        return Location(
            bytes(self._pack_ids[start : start + ID_SIZE]),
            table.offsets[number],
            table.lengths[number],
            table.uncompressed[number],
        )
