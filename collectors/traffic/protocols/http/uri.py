"""Request targets: their parts, and the normalised form that rules look at (Suricata's stock configuration)."""

import re
from typing import Final, NamedTuple

_URI: Final = re.compile(
    rb"(?:(?!/)([^:]*):(?://(?!/)([^@]*)@)?(?:(?://)?(?!/) *(\[[^/?\]#]*\]?|[^/?#:]+)(?:: *([^/?#]+))?)?)?"
    rb"([^#?]+)?(?:\?([^#]*))?(?:#(.*))?",
    re.DOTALL,
)
_PERCENT: Final = re.compile(rb"%(?:[uU]([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))")
_SLASHES: Final = re.compile(rb"//+")
_LABEL: Final = re.compile(rb"[A-Za-z0-9_\x80-\xff-]{1,63}")


class Uri(NamedTuple):
    """The parts of a request target; None where there is none."""

    host: bytes | None
    port: bytes | None
    path: bytes | None
    query: bytes | None
    fragment: bytes | None


def split(target: bytes) -> Uri:
    """Split a request target. Nothing is validated: whatever is left over is path."""
    if target[:1] == b"/" or b":" not in target:
        rest, hash_sign, fragment = target.partition(b"#")
        path, question, query = rest.partition(b"?")
        return Uri(None, None, path or None, query if question else None, fragment if hash_sign else None)
    found = _URI.match(target)
    if found is None:
        return Uri(None, None, target, None, None)
    host = found[3].rstrip(b" ") if found[3] is not None else None
    return Uri(host, found[4], found[5], found[6], found[7])


def _unescape(found: "re.Match[bytes]") -> bytes:
    if found[2] is not None:
        return bytes([int(found[2], 16)])
    code = int(found[1], 16)
    if code < 0x100:
        return bytes([code])
    return best_fit(code)


def best_fit(code: int) -> bytes:
    """Return the one byte that a wide character is taken for: full-width forms become ASCII, what has no likeness a question mark."""
    if 0xFF01 <= code <= 0xFF5E:
        return bytes([code - 0xFEE0])
    return {
        0x2215: b"/",
        0x2216: b"\\",
        0x2044: b"/",
        0x2032: b"'",
        0x2018: b"'",
        0x2019: b"'",
        0x201C: b'"',
        0x201D: b'"',
    }.get(code, b"?")


def decode(text: bytes) -> bytes:
    """Undo percent encoding (also %u); what is no valid escape stays. Plus signs stay, too."""
    return _PERCENT.sub(_unescape, text) if b"%" in text else text


def normalise_path(path: bytes) -> bytes:
    """Decode a path, turn backslashes round, make several slashes one, narrow UTF-8, and take out dot segments (RFC 3986, 5.2.4)."""
    if path.isalnum():
        return path
    path = decode(path).replace(b"\\", b"/")
    if b"//" in path:
        path = _SLASHES.sub(b"/", path)
    if not path.isascii():
        path = _narrow(path)
    return _without_dots(path) if b"." in path else path


def _narrow(path: bytes) -> bytes:
    """Write valid UTF-8 as single bytes by likeness; leave the path when it is none."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return path
    return b"".join(bytes([ord(letter)]) if ord(letter) < 0x100 else best_fit(ord(letter)) for letter in text)


def _without_dots(path: bytes) -> bytes:
    if b"/." not in path and not path.startswith(b"."):
        return path
    segments = path.split(b"/")
    rooted = not segments[0]
    kept: list[bytes] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == b"..":
            if len(kept) > (1 if rooted else 0):
                kept.pop()
            if last:
                kept.append(b"")
        elif segment == b".":
            if last:
                kept.append(b"")
        else:
            kept.append(segment)
    joined = b"/".join(kept)
    return joined if joined or not rooted else b"/"


def normalise(uri: Uri) -> bytes:
    """Return path, query and fragment in the normalised form (`http.uri`)."""
    parts = []
    if uri.path is not None:
        parts.append(normalise_path(uri.path))
    if uri.query is not None:
        parts.append(b"?" + decode(uri.query))
    if uri.fragment is not None:
        parts.append(b"#" + decode(uri.fragment))
    return b"".join(parts)


def host_and_port(value: bytes) -> tuple[bytes, int | None, bool]:
    """Return host and port of a Host field or CONNECT target, and whether both are valid; no port is None."""
    value = value.strip(b" ")
    if value.startswith(b"["):
        host, bracket, rest = value.partition(b"]")
        host += bracket
    else:
        host, colon, rest = value.partition(b":")
        rest = colon + rest
    host = host.rstrip(b" ")
    valid = valid_host(host)
    if not rest:
        return host, None, valid
    number = rest[1:].strip(b" ")
    if rest[:1] != b":" or not number.isdigit() or len(number) > 5 or not 0 < int(number) < 65_536:
        return host, None, False
    return host, int(number), valid


def valid_host(host: bytes) -> bool:
    """Return whether a host name (or IPv6 address in brackets) is well formed, underscores allowed."""
    if not host or len(host) > 255:
        return False
    if host.startswith(b"["):
        return host.endswith(b"]") and re.fullmatch(rb"[0-9A-Fa-f:.]+", host[1:-1]) is not None and b":" in host
    if host.startswith(b".") or b".." in host:
        return False
    return all(_LABEL.fullmatch(label) for label in host.rstrip(b".").split(b"."))
