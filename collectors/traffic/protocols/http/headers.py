"""Header blocks of HTTP/1: names, values, folding in all its odd forms, and where the block ends."""

import re
from typing import Final, NamedTuple

from collectors.traffic.protocols.http.lines import SPACE

FOLDED: Final = 1
MISSING_COLON: Final = 2
NOT_TOKEN: Final = 4
LEADING_SPACE: Final = 8
TRAILING_SPACE: Final = 16
NO_NAME: Final = 32
"""What is odd about a header."""

MAX_FOLDS: Final = 128
MAX_NAME: Final = 4_096
"""Bytes in which a field's colon is looked for."""


class Header(NamedTuple):
    """One header field: name and value without the white space around them, and what was odd (`FOLDED` …)."""

    name: bytes
    value: bytes
    odd: int = 0


class Incomplete(Exception):
    """More bytes are needed to tell."""


_TOKENS: Final = re.compile(rb"[ \t]*([!#-'*+.0-9A-Z^-z|~-]*)[ \t]*")
_REQUEST_NAME: Final = re.compile(rb"[^:\n]*(?:\n [^:\n]*)*:")
_RESPONSE_NAME: Final = re.compile(rb"[^:\r\n]*(?:(?:\r\n|\n|\r) [^:\r\n]*)*:")
_PLAIN: Final = re.compile(rb"((?:[!#-'*+.0-9A-Z^-z|~-]++:[^\r\n\x00]*+\r\n)++)\r\n")
_FIELD: Final = re.compile(rb"([^:\r\n]+):([^\r\n]*)")
_make = tuple.__new__


def parse(data: bytes, response: bool, complete: bool = False) -> tuple[list[Header], int, bool]:
    """Parse header fields from the beginning of `data`; returns them, how many bytes they took, and whether the block's end was there.

    `complete`: nothing more comes. A field whose end cannot be told yet is left for the next call.
    """
    if data.startswith((b"\r\n", b"\n")):
        return [], 2 if data[:1] == b"\r" else 1, True
    plain = _PLAIN.match(data)
    if plain is not None:
        # Nothing is odd: no folds, no zero bytes, every line a token and a colon.
        fields = _FIELD.findall(plain[1])
        return [_make(Header, (name, value.strip(SPACE), 0)) for name, value in fields], plain.end(), True
    return _Block(data, response, complete).parse()


class _Block:
    def __init__(self, data: bytes, response: bool, complete: bool) -> None:
        self.data = data
        self.response = response
        self.complete = complete

    def parse(self) -> tuple[list[Header], int, bool]:
        headers: list[Header] = []
        at = 0
        while at < len(self.data):
            try:
                header, after = self._header(at)
            except Incomplete:
                return headers, at, False
            if header is None:
                length = self._end_of_line(at) if not headers else 0
                return headers, at + length, bool(length)
            if after <= at:
                break
            headers.append(header)
            at = after
            length = self._plain_end_of_line(at)
            if length and not (self.data[at:] == b"\r" and not self.complete):
                return headers, at + length, True
        return headers, at, False

    def _header(self, at: int) -> tuple[Header | None, int]:
        colon = self._name_end(at)
        if colon is not None:
            try:
                return self._with_colon(at, colon)
            except Incomplete:
                pass
        if self.data.startswith(b"\r\n", at):
            return None, at
        value, after, odd = self._value(at)
        return Header(b"", value.strip(SPACE), odd | MISSING_COLON | NO_NAME), after

    def _with_colon(self, at: int, colon: int) -> tuple[Header, int]:
        begin = colon + 1
        while begin < len(self.data) and self.data[begin] in b" \t":
            begin += 1
        if begin >= len(self.data) and not self.complete:
            raise Incomplete
        value, after, odd = self._value(begin)
        raw = self.data[at:colon]
        odd |= _name_oddities(raw)
        return Header(raw.strip(SPACE), value.strip(SPACE), odd), after

    def _name_end(self, at: int) -> int | None:
        """Return where the colon is that ends the name, or None: a line may go on after a line end and a space."""
        found = (_RESPONSE_NAME if self.response else _REQUEST_NAME).match(self.data, at, at + MAX_NAME)
        return found.end() - 1 if found is not None else None

    # Line ends

    def _plain_end_of_line(self, at: int) -> int:
        data = self.data
        if data.startswith(b"\r\n", at):
            return 2
        if self.response:
            if data.startswith(b"\n\r", at):
                return 2
            return 1 if data[at : at + 1] in (b"\n", b"\r") else 0
        return 1 if data[at : at + 1] == b"\n" else 0

    def _end_of_line(self, at: int) -> int:
        data = self.data
        if data.startswith(b"\n\r\r\n", at) and (data.startswith(b"\n", at + 4) or data.startswith(b"\r\n", at + 4)):
            return 4
        if not self.response and data.startswith(b"\n\r\r\n", at):
            return 2
        if self.response and data.startswith(b"\r\n\r", at):
            index = at + 3
            while index < len(data) and data[index] in b"\r \t":
                index += 1
            if index > at + 3:
                if index >= len(data) and not self.complete:
                    raise Incomplete
                index += data[index : index + 1] == b"\n"
                if not (data.startswith(b"\n", index) or data.startswith(b"\r\n", index)):
                    return index - at
        return self._plain_end_of_line(at)

    def _fold(self, at: int) -> int:
        """Return the position behind line end and folding character, or 0."""
        length = self._plain_end_of_line(at) if self.response else self._end_of_line(at)
        if not length:
            return 0
        after = at + length
        if after >= len(self.data):
            if self.complete:
                return 0
            raise Incomplete
        return after + 1 if self.data[after] in b" \t\x00" else 0

    # Values

    def _piece(self, at: int) -> tuple[int, int, int, int]:
        """Return where a value's line ends, the position behind its line end, that one's length, and the folding character or -1."""
        data = self.data
        line_feed = data.find(b"\n", at)
        end = line_feed
        if self.response:
            carriage = data.find(b"\r", at, line_feed if line_feed >= 0 else len(data))
            if carriage >= 0:
                end = carriage
        elif end > at and data[end - 1] == 0x0D:
            end -= 1
        if end < 0:
            if self.complete:
                return len(data), len(data), 0, -1
            raise Incomplete
        after = self._fold(end)
        if after:
            return end, after, after - end - 1, data[after - 1]
        length = self._end_of_line(end)
        if not self.complete and end + length >= len(data):
            raise Incomplete
        return end, end + length, length, -1

    def _value(self, at: int) -> tuple[bytes, int, int]:
        end, after, _, fold = self._piece(at)
        value = self.data[at:end]
        if fold < 0:
            return value, after, 0
        rest, position = after, after
        for _ in range(MAX_FOLDS):
            if self.response and self._is_field(position):
                return value, position, 0
            end, behind, length, next_fold = self._piece(position)
            piece = self.data[position:end]
            if value:
                value += bytes([fold])
            if piece or length > 1:
                rest = behind
                value += piece
            elif length == 1 and self.data[behind : behind + 1] == b"\n":
                rest = behind
            position = behind
            if next_fold < 0:
                break
            fold = next_fold
        return value, rest, FOLDED

    def _is_field(self, at: int) -> bool:
        """Return whether what looks like a folded line is a field of its own: browsers read it so."""
        found = _TOKENS.match(self.data, at)
        if found is None:
            return False
        if found.end() >= len(self.data):
            if self.complete:
                return False
            raise Incomplete
        return self.data[found.end()] == 0x3A and bool(found[1])


def _name_oddities(raw: bytes) -> int:
    if not raw:
        return NO_NAME
    odd = 0
    if raw[0] in b" \t":
        odd |= LEADING_SPACE
    if raw[-1] in b" \t":
        odd |= TRAILING_SPACE
    found = _TOKENS.match(raw)
    if found is not None and found.end() < len(raw):
        odd |= NOT_TOKEN
    return odd


class Headers:
    """The fields of one message, repeated ones joined with ", ", in the order of their first appearance."""

    __slots__ = ("_by_name", "fields", "names", "repeated")

    def __init__(self) -> None:
        self._by_name: dict[bytes, int] = {}
        self.fields: list[Header] = []
        self.names: list[bytes] = []
        self.repeated: set[bytes] = set()

    def get(self, name: bytes) -> bytes | None:
        """Return the value of the field `name` (lower case), or None; zero bytes in names are passed over, as browsers do."""
        index = self._by_name.get(name)
        return self.fields[index].value if index is not None else None

    def add_new(self, header: Header) -> bool:
        """Add a field in which nothing is odd and that has not been there yet; returns whether it was such a one."""
        key = header.name.lower()
        if header.odd or key in self._by_name:
            return False
        self._by_name[key] = len(self.fields)
        self.fields.append(header)
        return True

    def add(self, header: Header) -> str:
        """Add a field; returns "", "repeated", or "length" for a Content-Length that contradicts the one before."""
        key = header.name.lower().replace(b"\0", b"")
        index = self._by_name.get(key)
        if index is None:
            self._by_name[key] = len(self.fields)
            self.fields.append(header)
            return ""
        again = key in self.repeated
        self.repeated.add(key)
        existing = self.fields[index]
        if key == b"content-length":
            return "length"
        if len(existing.value) < 65_536:
            self.fields[index] = existing._replace(value=existing.value + b", " + header.value)
        return "" if again else "repeated"

    def clear(self) -> None:
        """Forget all fields (those of an interim response)."""
        self._by_name.clear()
        self.fields.clear()
        self.repeated.clear()
