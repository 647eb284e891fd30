"""PostgreSQL's custom archive format, walked while it passes: a whole one has every data block that its table of contents announces.

The format has no end marker. It is a header, the table of contents, then blocks of data, each with the id of its entry and ended by an
empty piece. Source: PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c and pg_backup_custom.c, archive versions 1.12 to 1.16.
"""

import struct
from collections.abc import Generator, Sequence

from actions.backup.databases.pipe import NotWhole
from contracts.coverage import Blind
from contracts.errors import Why

_MAGIC = b"PGDMP"
_CUSTOM = 1
_OLDEST, _NEWEST = (1, 12), (1, 16)
_DATA, _BLOBS = 1, 3
_MAX_TEXT = 256 << 20
_MAX_ENTRIES = 50_000_000
_INT = struct.Struct("<Bi")

Wait = Generator[None, None, None]


class PgArchive:
    """Watches an archive. Holds the table of contents' current entry and a piece of data, never more."""

    def __init__(self) -> None:
        self.database: str | None = None
        """The database that was dumped, once that part has passed."""
        self._data = bytearray()
        self._at = 0
        self._waiting = 0
        self._over = False
        self._between = False
        self._unknown = ""
        self._offset_size = 8
        self._expected: dict[int, str] = {}
        self._seen: set[int] = set()
        self._walk = self._archive()
        next(self._walk)

    @property
    def entries_with_data(self) -> int:
        """How many blocks of data the table of contents announces."""
        return len(self._expected)

    def feed(self, data: memoryview) -> None:
        """See the next bytes; NotWhole when they cannot belong there."""
        if self._over:
            return
        consumed = min(self._at, len(self._data))
        del self._data[:consumed]
        self._at -= consumed
        passed = min(self._at, len(data))
        self._data += data[passed:]
        self._at -= passed
        if len(self._data) - self._at >= self._waiting:
            try:
                next(self._walk)
            except StopIteration:
                self._over = True
                self._data.clear()

    def finish(self) -> Sequence[Blind]:
        """Judge after the last byte."""
        if self._unknown:
            return (
                Blind(
                    what="whether the archive is whole",
                    why=Why.INCOMPATIBLE,
                    detail=f"its version {self._unknown} is newer than 1.16; the exit status of pg_dump was good",
                    fix="Update Holdfast.",
                ),
            )
        if not self._between or self._at != len(self._data):
            raise NotWhole("it breaks off in the middle")
        missing = [name for id, name in self._expected.items() if id not in self._seen]
        if missing:
            raise NotWhole(f"it breaks off: the data of {len(missing)} entries is missing, the first is {missing[0]}")
        return ()

    def _archive(self) -> Wait:
        version = yield from self._header()
        if version is None:
            return
        count = yield from self._int()
        if not 0 <= count <= _MAX_ENTRIES:
            raise NotWhole(f"its table of contents is said to have {count} entries")
        for _ in range(count):
            yield from self._entry(version)
        while True:
            self._between = True
            kind = yield from self._byte()
            self._between = False
            yield from self._block(kind)

    def _header(self) -> Generator[None, None, tuple[int, int] | None]:
        magic = yield from self._bytes(5)
        if magic != _MAGIC:
            raise NotWhole(f"it begins with {magic!r}, not with {_MAGIC!r}")
        major, minor, _, int_size, self._offset_size, form = yield from self._bytes(6)
        if (major, minor) > _NEWEST:
            self._unknown = f"{major}.{minor}"
            return None
        if (major, minor) < _OLDEST or int_size != 4 or form != _CUSTOM or not 1 <= self._offset_size <= 16:
            raise NotWhole(f"it is not a custom archive of versions 1.12 to 1.16 but {major}.{minor}, format {form}")
        if (major, minor) >= (1, 15):
            yield from self._byte()  # the algorithm of compression
        else:
            yield from self._int()  # its level
        for _ in range(7):
            yield from self._int()  # the date
        self.database = ((yield from self._text()) or b"").decode("utf-8", "replace")
        for _ in range(2):
            yield from self._text()  # version of the server, version of pg_dump
        return major, minor

    def _entry(self, version: tuple[int, int]) -> Wait:
        id = yield from self._int()
        has_data = yield from self._int()
        yield from self._text()  # oid of the catalog
        yield from self._text()  # oid
        tag = yield from self._text()
        kind = yield from self._text()
        yield from self._int()  # section
        for _ in range(3):
            yield from self._text()  # create, drop, copy
        schema = yield from self._text()
        yield from self._text()  # tablespace
        if version >= (1, 14):
            yield from self._text()  # access method
        if version >= (1, 16):
            yield from self._int()  # kind of relation
        yield from self._text()  # owner
        yield from self._text()  # with oids
        while (yield from self._text()) is not None:
            pass  # dependencies
        yield from self._bytes(1 + self._offset_size)
        if has_data:
            if id in self._expected:
                raise NotWhole(f"its table of contents has two entries {id}")
            place = b".".join(part for part in (schema, tag) if part)
            self._expected[id] = f"{(kind or b'?').decode('utf-8', 'replace')} {place.decode('utf-8', 'replace')}"

    def _block(self, kind: int) -> Wait:
        if kind not in (_DATA, _BLOBS):
            raise NotWhole(f"a block of the unknown kind {kind} is in it")
        id = yield from self._int()
        if id not in self._expected or id in self._seen:
            raise NotWhole(f"the block of data {id} is not in its table of contents, or there twice")
        if kind == _DATA:
            yield from self._pieces(id)
        else:
            while (yield from self._int()):  # the oid of a large object
                yield from self._pieces(id)
        self._seen.add(id)

    def _pieces(self, id: int) -> Wait:
        """Pass over pieces of data until the empty one; a row each at times, so nothing is called for each."""
        self._waiting = _INT.size
        unpack, width = _INT.unpack_from, _INT.size
        while True:
            data, at = self._data, self._at
            last = len(data) - width
            while at <= last:
                sign, length = unpack(data, at)
                at += width
                if not length:
                    self._at = at
                    return
                if sign or length < 0:
                    raise NotWhole(f"the data of {self._expected[id]} has a piece of impossible length")
                at += length
            self._at = at
            yield

    def _bytes(self, count: int) -> Generator[None, None, bytes]:
        while len(self._data) - self._at < count:
            self._waiting = count
            yield
        found = bytes(self._data[self._at : self._at + count])
        self._at += count
        return found

    def _byte(self) -> Generator[None, None, int]:
        return (yield from self._bytes(1))[0]

    def _int(self) -> Generator[None, None, int]:
        sign, value = _INT.unpack((yield from self._bytes(_INT.size)))
        return -value if sign else int(value)

    def _text(self) -> Generator[None, None, bytes | None]:
        length = yield from self._int()
        if length < 0:
            return None
        if length > _MAX_TEXT:
            raise NotWhole(f"its table of contents has a text of {length} bytes")
        return (yield from self._bytes(length))
