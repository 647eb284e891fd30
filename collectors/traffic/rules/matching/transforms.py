"""Transforms: what is done to a buffer before it is tested."""

import hashlib
import re
import zlib
from collections.abc import Callable

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Transform
from collectors.traffic.rules.matching.base64 import decode
from collectors.traffic.rules.matching.domains import domain, tld
from collectors.traffic.rules.matching.regex import Expression, TooHard

Change = Callable[[bytes], bytes]

WHITESPACE = b" \t\n\x0b\x0c\r"
_SPACES = re.compile(rb"([ \t\n\x0b\x0c\r])[ \t\n\x0b\x0c\r]+")
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})|\+")
_NAME = re.compile(rb"(?m)^[^:\n]*:?")
_PSEUDO = re.compile(rb"(?m)^:[^\n]*\n?")


def url_decode(data: bytes) -> bytes:
    """Return the bytes with `%41` and `+` decoded; an escape that is none stays."""
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)) if found[1] else b" ", data)


def _digest(name: str) -> Change:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


PLAIN: dict[str, Change] = {
    "strip_whitespace": lambda data: data.translate(None, WHITESPACE),
    "compress_whitespace": lambda data: _SPACES.sub(rb"\1", data),
    "strip_pseudo_headers": lambda data: _PSEUDO.sub(b"", data),
    "header_lowercase": lambda data: _NAME.sub(lambda found: found[0].lower(), data),
    "to_lowercase": bytes.lower,
    "to_uppercase": bytes.upper,
    "to_md5": _digest("md5"),
    "to_sha1": _digest("sha1"),
    "to_sha256": _digest("sha256"),
    "dotprefix": lambda data: b"." + data,
    "url_decode": url_decode,
    "domain": domain,
    "tld": tld,
}


def change(transform: Transform) -> Change:
    """Return what one transform does; raises `Refused` for one that cannot be done here."""
    plain = PLAIN.get(transform.name)
    if plain is not None:
        return plain
    match transform.name:
        case "xor":
            return _xor(bytes.fromhex(transform.argument))
        case "pcrexform":
            return _part(transform.argument)
        case "from_base64":
            return _from_base64(transform.argument)
        case "gunzip":
            return _inflate(int(transform.argument), 31)
        case "zlib_deflate":
            return _inflate(int(transform.argument), 15)
    raise Refused(f"{transform.name} is not a transform that can be done here")


def changes(transforms: tuple[Transform, ...]) -> Change | None:
    """Return what a chain of transforms does, None for an empty one."""
    if not transforms:
        return None
    steps = [change(transform) for transform in transforms]
    if len(steps) == 1:
        return steps[0]

    def apply(data: bytes) -> bytes:
        for step in steps:
            data = step(data)
        return data

    return apply


def _xor(key: bytes) -> Change:
    def apply(data: bytes) -> bytes:
        if not data:
            return data
        pad = (key * (len(data) // len(key) + 1))[: len(data)]
        return (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(len(data))

    return apply


def _part(expression: str) -> Change:
    """Return the transform that leaves what the expression's first group matches, or the buffer as it is."""
    compiled = Expression(expression.encode("latin-1"))
    compiled.check()
    if not compiled.groups:
        raise Refused("pcrexform: the expression has no group")

    def apply(data: bytes) -> bytes:
        try:
            found = compiled.search(data)
        except TooHard:
            return data
        part = found.group(1) if found else None
        return data if part is None else bytes(part)

    return apply


def _from_base64(argument: str) -> Change:
    given = dict(part.split("=") for part in argument.split(","))
    nbytes, offset, mode = int(given["bytes"]), int(given["offset"]), given["mode"]

    def apply(data: bytes) -> bytes:
        if offset >= len(data):
            return data
        decoded = decode(data[offset : offset + nbytes if nbytes else None], mode)
        return decoded or data

    return apply


def _inflate(most: int, window: int) -> Change:
    def apply(data: bytes) -> bytes:
        if not data:
            return data
        try:
            return zlib.decompressobj(window).decompress(data, most)
        except zlib.error:
            return b""

    return apply
