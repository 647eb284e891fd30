"""Client and server hellos, and the fingerprints made of them: JA3, JA3S (Salesforce), JA4 (FoxIO)."""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final

SNI: Final = 0
GROUPS: Final = 10
POINTS: Final = 11
SIGNATURES: Final = 13
ALPN: Final = 16
VERSIONS: Final = 43

MAX_EXTENSIONS: Final = 512


@dataclass(slots=True)
class Hello:
    """A hello's fields; `version` is the legacy one, `versions` those of supported_versions (of a server: the one it chose)."""

    version: int = 0
    random: bytes = b""
    ciphers: list[int] = field(default_factory=list)
    extensions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    alpn: list[bytes] = field(default_factory=list)
    sni: bytes | None = None
    events: list[str] = field(default_factory=list)


def _numbers(data: bytes) -> list[int]:
    return list(struct.unpack_from(f">{len(data) // 2}H", data))


def grease(number: int) -> bool:
    """Return whether a number is one that clients strew in to keep servers honest (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def read(data: bytes, client: bool) -> Hello:
    """Read the body of a ClientHello or ServerHello; `events` say what does not hold."""
    hello = Hello()
    if len(data) < 35:
        hello.events.append("handshake_invalid_length")
        return hello
    hello.version = data[0] << 8 | data[1]
    hello.random = data[2:34]
    at = 35 + data[34]
    if client:
        if at + 2 > len(data):
            hello.events.append("handshake_invalid_length")
            return hello
        length = data[at] << 8 | data[at + 1]
        hello.ciphers = _numbers(data[at + 2 : at + 2 + length])
        at += 2 + length
        if at >= len(data):
            return hello
        at += 1 + data[at]
    else:
        hello.ciphers = _numbers(data[at : at + 2])
        at += 3
    if at + 2 <= len(data):
        end = at + 2 + (data[at] << 8 | data[at + 1])
        if end > len(data):
            hello.events.append("handshake_invalid_length")
        _extensions(hello, data[at + 2 : min(end, len(data))], client)
    return hello


def _extensions(hello: Hello, data: bytes, client: bool) -> None:
    at = 0
    while at + 4 <= len(data) and len(hello.extensions) < MAX_EXTENSIONS:
        kind, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        body = data[at + 4 : at + 4 + length]
        if len(body) < length:
            hello.events.append("handshake_invalid_length")
            return
        at += 4 + length
        hello.extensions.append(kind)
        if kind == SNI and client:
            _sni(hello, body)
        elif kind == GROUPS:
            hello.groups = _numbers(body[2:])
        elif kind == POINTS:
            hello.points = list(body[1:])
        elif kind == SIGNATURES:
            hello.signatures = _numbers(body[2:])
        elif kind == ALPN:
            hello.alpn = _strings(body[2:])
        elif kind == VERSIONS:
            hello.versions = _numbers(body[1:] if client else body)


def _sni(hello: Hello, body: bytes) -> None:
    if hello.sni is not None:
        hello.events.append("multiple_sni_extensions")
        return
    if len(body) < 5:
        if body:
            hello.events.append("invalid_sni_length")
        return
    if body[2] != 0:
        hello.events.append("invalid_sni_type")
        return
    length = body[3] << 8 | body[4]
    if length > len(body) - 5:
        hello.events.append("invalid_sni_length")
        return
    hello.sni = body[5 : 5 + length]


def _strings(body: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(body) and len(found) < 64:
        size = body[at]
        if at + 1 + size > len(body):
            break
        found.append(body[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def _dashes(numbers: list[int]) -> str:
    return "-".join(str(number) for number in numbers if not grease(number))


def ja3(hello: Hello) -> str:
    """Return the JA3 string of a ClientHello."""
    return (
        f"{hello.version},{_dashes(hello.ciphers)},{_dashes(hello.extensions)},"
        f"{_dashes(hello.groups)},{'-'.join(map(str, hello.points))}"
    )


def ja3s(hello: Hello) -> str:
    """Return the JA3S string of a ServerHello."""
    return f"{hello.version},{_dashes(hello.ciphers)},{_dashes(hello.extensions)}"


def md5(text: str) -> bytes:
    """Return the MD5 of a fingerprint string, in hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().encode()


_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}


def ja4(hello: Hello, quic: bool = False) -> str:
    """Return the JA4 fingerprint of a ClientHello."""
    versions = [number for number in hello.versions if not grease(number)]
    version = _VERSIONS.get(max(versions) if versions else hello.version, "00")
    ciphers = [number for number in hello.ciphers if not grease(number)]
    extensions = [number for number in hello.extensions if not grease(number)]
    first = hello.alpn[0] if hello.alpn else b""
    if not first:
        alpn = "00"
    elif first[:1].isalnum() and first[-1:].isalnum():
        alpn = chr(first[0]) + chr(first[-1])
    else:
        alpn = first.hex()[0] + first.hex()[-1]
    name = "d" if SNI in extensions else "i"
    head = f"{'q' if quic else 't'}{version}{name}{min(len(ciphers), 99):02d}{min(len(extensions), 99):02d}{alpn}"
    signatures = ",".join(f"{number:04x}" for number in hello.signatures if not grease(number))
    listed = ",".join(f"{number:04x}" for number in sorted(extensions) if number not in (SNI, ALPN))
    second = _short(",".join(f"{number:04x}" for number in sorted(ciphers)))
    third = _short(f"{listed}_{signatures}" if signatures else listed)
    return f"{head}_{second}_{third}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "000000000000"
