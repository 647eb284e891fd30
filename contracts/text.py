r"""Names that are not UTF-8, carried faithfully through formats that know only text.

Linux names are bytes. `escape` maps any byte string to one text and `unescape` maps it back: valid UTF-8 stays as it is,
except that a backslash becomes `\\`; a byte that is not part of valid UTF-8 becomes `\xNN`.
"""

import os
import re

_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


def escape(name: bytes | str) -> str:
    r"""Return `name` as text that always encodes to UTF-8; a `str` may hold surrogate escapes as `os.fsdecode` makes them."""
    raw = os.fsencode(name) if isinstance(name, str) else name
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescape(text: str) -> bytes:
    r"""Return the bytes that `escape` was given.

    Raises `ValueError` for a backslash that `escape` could not have written.
    """
    out = bytearray()
    end = 0
    for match in _ESCAPE.finditer(text):
        plain = text[end : match.start()]
        if "\\" in plain:
            raise ValueError(f"stray backslash in {plain!r}")
        out += plain.encode()
        out += bytes([int(match[1], 16)]) if match[1] else b"\\"
        end = match.end()
    if "\\" in text[end:]:
        raise ValueError(f"stray backslash in {text[end:]!r}")
    return bytes(out + text[end:].encode())
