"""Lines, numbers and white space of HTTP/1."""

import re
from typing import Final

SPACE: Final = b" \t\r\n\x0b\x0c"
CHUNK_CONTROL: Final = b"\r\n \t\x0b\x0c"

_SPACES: Final = re.compile(rb"[ \t\r\n\x0b\x0c]")
_CHUNK: Final = re.compile(rb"[\r\n \t\x0b\x0c]*([0-9A-Fa-f]*)[ \t]*(.*)", re.DOTALL)
_DIGITS: Final = re.compile(rb"[ \t]*([^0-9]*)([0-9]+)[ \t]*(.*)", re.DOTALL)
_LOOKS_LIKE_RESPONSE: Final = re.compile(rb"[ \t\r\n\x0b\x0c\x00]*http", re.IGNORECASE)
_JUNK_CHUNK: Final = re.compile(rb"[\r\n \t\x0b\x0c]*[^0-9A-Fa-f]")
_VERSION: Final = re.compile(
    rb"[ \t\r\n\x0c]*HTTP([ \t\r\n\x0c]*)/([ \t\r\n\x0c0]*)(\.9|1\.0|1\.1)[ \t\r\n\x0c]*", re.IGNORECASE
)

INVALID: Final = -1
HTTP_09: Final = 9
HTTP_10: Final = 100
HTTP_11: Final = 101
MAX_CHUNK: Final = 0x7FFFFFFF


def word(text: bytes) -> tuple[bytes, bytes]:
    """Return what comes before the first white space, and all the rest."""
    found = _SPACES.search(text)
    return (text[: found.start()], text[found.start() :]) if found is not None else (text, b"")


def ignorable(line: bytes) -> bool:
    """Return whether a line before a request or response is empty."""
    return line in (b"\r\n", b"\n", b"\r")


def looks_like_body(line: bytes) -> bool:
    """Return whether a line in the place of a status line is none: browsers take it for the body then."""
    return _LOOKS_LIKE_RESPONSE.match(line) is None


def chunk_length(line: bytes) -> tuple[int | None, bool]:
    """Return the length that a chunk's line gives, None for an empty line, and whether it has an extension; raises ValueError."""
    found = _CHUNK.match(line)
    if found is None:
        raise ValueError("no chunk length")
    digits, rest = found[1], found[2].lstrip(b"\r\n")
    if not digits:
        if not found[2]:
            return None, False
        raise ValueError("no chunk length")
    length = int(digits, 16)
    if length > 0xFFFFFFFFFFFFFFFF:
        raise ValueError("chunk length beyond 64 bits")
    if length > MAX_CHUNK:
        return None, False
    return length, b";" in rest


def chunk_line_is_empty(line: bytes) -> bool:
    """Return whether there is nothing but white space in a chunk's line."""
    return not line.strip(CHUNK_CONTROL)


def chunk_is_junk(data: bytes) -> bool:
    """Return whether what should be a chunk's length begins with something else."""
    return _JUNK_CHUNK.match(data) is not None


def content_length(value: bytes) -> int | None:
    """Return the number in a Content-Length, with junk around it passed over, or None."""
    found = _DIGITS.match(value)
    if found is None or len(found[2]) > 20:
        return None
    number = int(found[2])
    return number if number < 1 << 64 else None


def version(protocol: bytes) -> int:
    """Return `HTTP_09`, `HTTP_10`, `HTTP_11`, or `INVALID`; white space and leading zeros are passed over."""
    found = _VERSION.fullmatch(protocol)
    if found is None:
        return INVALID
    return {b".9": HTTP_09, b"1.0": HTTP_10, b"1.1": HTTP_11}[found[3]]


def status_number(status: bytes) -> int:
    """Return a status as a number, or -1."""
    found = _DIGITS.fullmatch(status)
    if found is None or found[1] or found[3] or len(found[2]) > 5:
        return -1
    number = int(found[2])
    return number if 100 <= number <= 999 else -1
