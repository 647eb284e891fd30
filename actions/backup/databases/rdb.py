"""Redis' RDB file, judged while it passes: its magic, the opcode that ends it, and the CRC-64 behind that.

Source: Redis' src/rdb.c. Eight bytes after the opcode hold the CRC of everything before them, little-endian; zero where
`rdbchecksum` is off.
"""

import re
from collections.abc import Sequence

from actions.backup.databases.crc64 import Crc64
from actions.backup.databases.pipe import NotWhole
from contracts.coverage import Blind
from contracts.errors import Why

_MAGIC = re.compile(rb"REDIS(\d{4})|VALKEY(\d{3})")
_MAGIC_SIZE = 9
_TRAILER = 9
_EOF = 0xFF
_FIRST_WITH_CRC = 5


class Rdb:
    """Watches an RDB file. `size` is how many bytes came."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._crc = Crc64()
        self.size = 0

    def feed(self, data: memoryview) -> None:
        """See the next bytes."""
        self.size += len(data)
        if len(self._head) < _MAGIC_SIZE:
            self._head += bytes(data[: _MAGIC_SIZE - len(self._head)])
            if len(self._head) == _MAGIC_SIZE and not _MAGIC.fullmatch(self._head):
                raise NotWhole(f"it begins with {self._head!r}: it is no RDB file")
        if len(data) >= 8:
            self._crc.feed(self._tail[-8:])
            self._crc.feed(data[:-8])
            self._tail = (self._tail[-1:] + bytes(data[-_TRAILER:]))[-_TRAILER:]
        else:
            joined = self._tail + bytes(data)
            self._crc.feed(joined[max(0, len(self._tail) - 8) : max(0, len(joined) - 8)])
            self._tail = joined[-_TRAILER:]

    def finish(self) -> Sequence[Blind]:
        """Judge after the last byte."""
        found = _MAGIC.fullmatch(self._head)
        if found is None or self.size < _MAGIC_SIZE + _TRAILER:
            raise NotWhole(f"it has only {self.size} bytes")
        if found[1] and int(found[1]) < _FIRST_WITH_CRC:
            raise NotWhole(f"its version {int(found[1])} has no checksum")
        if self._tail[0] != _EOF:
            raise NotWhole("the opcode that ends an RDB file is missing")
        stored = int.from_bytes(self._tail[1:], "little")
        if not stored:
            fix = "Set `rdbchecksum yes` in redis.conf."
            return (
                Blind(
                    what="whether the RDB file is as written", why=Why.DISABLED, detail="it has no checksum", fix=fix
                ),
            )
        if stored != self._crc.value():
            raise NotWhole(f"its CRC is {self._crc.value():016x}, {stored:016x} is stored in it")
        return ()
