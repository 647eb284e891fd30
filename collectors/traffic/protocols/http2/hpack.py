"""HTTP/2's header compression (RFC 7541), read for one direction: whatever the bytes are, what can be read of a block is, within bounds.

A decoder of our own: libraries give a block whole or not at all, do not tell changes of the table's size, and take numbers of any length.
"""

from typing import Final

from collectors.traffic.protocols.http2 import huffman

MAX_TABLE: Final = 65_536
"""Bytes of a dynamic table, whatever the other side allows (Suricata's bound)."""
FIRST_TABLE: Final = 4_096
ENTRY: Final = 32
"""What an entry counts beside its name and value."""
MAX_FIELDS: Final = 1_024
MAX_LIST: Final = 65_536
"""Fields of a block, and their bytes; an index of one byte may stand for a whole entry. What is beyond is read and not kept."""

INVALID: Final = "invalid_header"
OVERFLOW: Final = "header_integer_overflow"
TOO_LARGE: Final = "reassembly_limit_reached"
CUT_OFF: Final = "invalid_frame_data"
"""What may be wrong with a block, by Suricata's events."""

Field = tuple[bytes, bytes]

_STATIC: Final[tuple[Field, ...]] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    *((b":status", code) for code in (b"200", b"204", b"206", b"304", b"400", b"404", b"500")),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    *((name, b"") for name in (
        b"accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control content-disposition "
        b"content-encoding content-language content-length content-location content-range content-type cookie date etag expect expires "
        b"from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
        b"proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security "
        b"transfer-encoding user-agent vary via www-authenticate"
    ).split()),
)  # fmt: skip
"""The static table; its numbers begin with 1."""


class _Stop(Exception):
    """The block ends before what it says, or holds what nobody can read."""


class Table:
    """One direction's dynamic table. `problems` are what was odd of the last block, `updates` the sizes that it asked for."""

    __slots__ = ("_allowed", "_entries", "_limit", "_size", "lost", "problems", "updates")

    def __init__(self) -> None:
        self._entries: list[Field] = []
        self._size = 0
        self._limit: int = FIRST_TABLE
        self._allowed: int = FIRST_TABLE
        self.problems: list[str] = []
        self.updates: list[int] = []
        self.lost = False
        """A block was not seen: the numbers of entries mean nothing any more."""

    def held(self) -> int:
        """Return how many bytes the entries are (RFC 7541, 4.1)."""
        return self._size

    def allow(self, size: int) -> None:
        """Hear how large the side that reads lets the table be (SETTINGS_HEADER_TABLE_SIZE)."""
        self._allowed = min(size, MAX_TABLE)
        if self._limit > self._allowed:
            self._resize(self._allowed)

    def lose(self) -> None:
        """Hear that a block was not seen."""
        self.lost = True
        self._entries, self._size = [], 0

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of a block, those up to what cannot be read; `problems` and `updates` are set anew."""
        self.problems, self.updates = [], []
        fields: list[Field] = []
        total = 0
        at, end = 0, len(block)
        try:
            while at < end:
                first = block[at]
                if first & 0xE0 == 0x20:
                    size, at = self._integer(block, at, 0x1F)
                    self._update(size)
                    continue
                if first & 0x80:
                    number, at = self._integer(block, at, 0x7F)
                    field = self._entry(number)
                else:
                    field, at = self._literal(block, at)
                total += len(field[0]) + len(field[1]) + ENTRY
                if len(fields) < MAX_FIELDS and total <= MAX_LIST:
                    fields.append(field)
                else:
                    self._odd(TOO_LARGE)
        except _Stop:
            self.lose()
        return fields

    def _literal(self, block: bytes, at: int) -> tuple[Field, int]:
        """Read a field that is written out, or whose name is an entry's; the table takes it when it says so."""
        kept = block[at] & 0xC0 == 0x40
        number, at = self._integer(block, at, 0x3F if kept else 0x0F)
        if number:
            name = self._entry(number)[0]
        else:
            name, at = self._string(block, at)
        value, at = self._string(block, at)
        field = (name, value)
        if kept:
            self._add(field)
        return field, at

    def _integer(self, block: bytes, at: int, mask: int) -> tuple[int, int]:
        """Return a number that begins in the low bits of a byte, and the place behind it; four bytes more are the most that it may have."""
        value = block[at] & mask
        at += 1
        if value < mask:
            return value, at
        shift = 0
        while at < len(block):
            byte = block[at]
            at += 1
            value += (byte & 0x7F) << shift
            if not byte & 0x80:
                return value, at
            shift += 7
            if shift > 28:
                self._odd(OVERFLOW)
                raise _Stop
        self._odd(CUT_OFF)
        raise _Stop

    def _string(self, block: bytes, at: int) -> tuple[bytes, int]:
        """Return a string and the place behind it; what its code does not know is left as it is."""
        if at >= len(block):
            self._odd(CUT_OFF)
            raise _Stop
        coded = block[at] & 0x80
        length, at = self._integer(block, at, 0x7F)
        data = block[at : at + length]
        if len(data) < length:
            self._odd(CUT_OFF)
            raise _Stop
        if not coded:
            return data, at + length
        try:
            return huffman.decode(data), at + length
        except huffman.Undecodable:
            self._odd(INVALID)
            return data, at + length

    def _entry(self, number: int) -> Field:
        """Return the entry of a number; one that is not there is an empty field, and told."""
        if 0 < number <= len(_STATIC):
            return _STATIC[number - 1]
        place = number - len(_STATIC) - 1
        if number and place < len(self._entries):
            return self._entries[-1 - place]
        self._odd(INVALID)
        return b"", b""

    def _add(self, field: Field) -> None:
        self._size += len(field[0]) + len(field[1]) + ENTRY
        self._entries.append(field)
        self._evict()

    def _update(self, size: int) -> None:
        self.updates.append(size)
        if size > self._allowed:
            self._odd(INVALID)
        self._resize(min(size, self._allowed))

    def _resize(self, limit: int) -> None:
        self._limit = limit
        self._evict()

    def _evict(self) -> None:
        """Let go of the oldest entries until the others fit."""
        gone = 0
        while self._size > self._limit and gone < len(self._entries):
            name, value = self._entries[gone]
            self._size -= len(name) + len(value) + ENTRY
            gone += 1
        if gone:
            del self._entries[:gone]

    def _odd(self, name: str) -> None:
        if name not in self.problems:
            self.problems.append(name)
