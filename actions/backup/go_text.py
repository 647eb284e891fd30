"""Text as Go's standard library writes it: `strconv.Quote` for names and `encoding/json` for documents, byte for byte.

A tree's id is the hash of its JSON, so the same tree has the same id only when every escape is the same as restic's.
"""

import re

_SIMPLE = {0x07: "\\a", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}
_UNESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
    b'"': b'"',
}
_ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\"]))')
_JSON_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_HTML = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def quote(raw: bytes) -> str:
    """What `strconv.Quote` makes of these bytes, without the quotes around: UTF-8 where it is, else `\\xNN`."""
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_quoted, text))


def _quoted(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python carries it
        return f"\\x{code - 0xDC00:02x}"
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(text: str) -> bytes:
    """The bytes of which `quote` makes `text`; raises ValueError for what Go's `strconv.Unquote` would refuse."""
    raw = text.encode()
    if b"\\" not in raw:
        if b'"' in raw or b"\n" in raw:
            raise ValueError(f"{text!r} is not a quoted name")
        return raw
    parts = []
    position = 0
    while (found := raw.find(b"\\", position)) >= 0:
        parts.append(raw[position:found])
        match = _ESCAPE.match(raw, found)
        if match is None:
            raise ValueError(f"{text!r} has an escape that Go does not know")
        parts.append(_unescaped(match))
        position = match.end()
    parts.append(raw[position:])
    if any(b'"' in part or b"\n" in part for part in parts[::2]):
        raise ValueError(f"{text!r} is not a quoted name")
    return b"".join(parts)


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 16)])
    if match[4]:
        value = int(match[4], 8)
        if value > 255:
            raise ValueError(f"the octal escape {match[0]!r} is no byte")
        return bytes([value])
    if match[5]:
        return _UNESCAPED[match[5]]
    code = int(match[2] or match[3], 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"the escape {match[0]!r} is no character")
    return chr(code).encode()


def go_json(document: bytes) -> bytes:
    """A compact JSON document with the escapes that Go's encoder chooses.

    Go writes `<`, `>`, `&` and two line separators as `\\uNNNN`; none of them stands outside of a string. So did Go before 1.22 with
    backspace and form feed.
    """
    for raw, escaped in _HTML:
        if raw in document:
            document = document.replace(raw, escaped)
    if b"\\b" in document or b"\\f" in document:
        document = _JSON_ESCAPE.sub(
            lambda m: {b"b": b"\\u0008", b"f": b"\\u000c"}.get(m[1], m[0]),
            document,
        )
    return document
