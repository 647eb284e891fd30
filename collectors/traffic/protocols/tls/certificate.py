"""Certificates (X.509, DER), read leniently: what rules look at, even when they are odd."""

import calendar
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

_NAMES: Final = {
    b"\x55\x04\x03": "CN", b"\x55\x04\x04": "SN", b"\x55\x04\x05": "serialNumber", b"\x55\x04\x06": "C", b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST", b"\x55\x04\x09": "street", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU", b"\x55\x04\x0c": "title",
    b"\x55\x04\x0f": "businessCategory", b"\x55\x04\x11": "postalCode", b"\x55\x04\x2a": "GN",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "emailAddress", b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
    b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03": "jurisdictionC", b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02": "jurisdictionST",
    b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01": "jurisdictionL",
}  # fmt: skip

_ALT_NAMES: Final = b"\x55\x1d\x11"
MAX_NAMES: Final = 64
MAX_KEPT: Final = 4096
"""Bytes of a certificate that is kept: 512 of them, so 2 MiB at most."""


class BadDer(Exception):
    """Lengths that do not hold, or another element than belongs there; `event` is what Suricata calls it."""

    def __init__(self, event: str = "certificate_invalid_length") -> None:
        super().__init__(event)
        self.event = event


@dataclass(slots=True)
class Certificate:
    """What rules may look at. Times are Unix seconds or None; `serial` and `fingerprint` (SHA-1) are hexadecimal with colons."""

    der: bytes
    subject: bytes | None = None
    issuer: bytes | None = None
    serial: bytes = b""
    fingerprint: bytes = b""
    not_before: int | None = None
    not_after: int | None = None
    names: list[bytes] = field(default_factory=list)


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, begin and end of the content of the DER element at a position; raises `BadDer`."""
    if at + 2 > end:
        raise BadDer("certificate_missing_element")
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or at + size > end:
            raise BadDer
        length = int.from_bytes(data[at : at + size])
        at += size
    if at + length > end:
        raise BadDer
    return tag, at, at + length


def _expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, begin, stop = element(data, at, end)
    if found != tag:
        raise BadDer("certificate_unknown_element")
    return begin, stop


def read(der: bytes) -> tuple[Certificate, str]:
    """Return what a certificate says as far as it can be read, and the event when it cannot be read to the end.

    Servers show the same ones again and again: the latest of usual size are kept as they were read, and are not to be changed.
    """
    return _kept(der) if len(der) <= MAX_KEPT else _whole(der)


@lru_cache(512)
def _kept(der: bytes) -> tuple[Certificate, str]:
    return _whole(der)


def _whole(der: bytes) -> tuple[Certificate, str]:
    certificate = Certificate(der, fingerprint=hashlib.sha1(der).hexdigest().encode())
    certificate.fingerprint = b":".join(certificate.fingerprint[i : i + 2] for i in range(0, 40, 2))
    try:
        _read(certificate, der)
    except BadDer as problem:
        return certificate, problem.event
    return certificate, ""


def _read(certificate: Certificate, der: bytes) -> None:
    at, end = _expect(der, 0, len(der), 0x30)
    at, end = _expect(der, at, end, 0x30)
    tag, begin, stop = element(der, at, end)
    if tag == 0xA0:
        at = stop
    begin, at = _expect(der, at, end, 0x02)
    serial = der[begin:at].hex().upper().encode()
    certificate.serial = b":".join(serial[i : i + 2] for i in range(0, min(len(serial), 128), 2))
    _, at = _expect(der, at, end, 0x30)
    begin, at = _expect(der, at, end, 0x30)
    certificate.issuer = _name(der, begin, at)
    begin, at = _expect(der, at, end, 0x30)
    tag, first, last = element(der, begin, at)
    certificate.not_before = _time(tag, der[first:last])
    tag, first, last = element(der, last, at)
    certificate.not_after = _time(tag, der[first:last])
    begin, at = _expect(der, at, end, 0x30)
    certificate.subject = _name(der, begin, at)
    _, at = _expect(der, at, end, 0x30)
    while at < end:
        tag, begin, at = element(der, at, end)
        if tag == 0xA3:
            _extensions(certificate, der, begin, at)


def _name(der: bytes, at: int, end: int) -> bytes:
    """Write a name as "C=…, O=…, CN=…", in its own order."""
    parts: list[bytes] = []
    while at < end and len(parts) < MAX_NAMES:
        begin, at = _expect(der, at, end, 0x31)
        together = []
        while begin < at:
            first, begin = _expect(der, begin, at, 0x30)
            key_at, key_end = _expect(der, first, begin, 0x06)
            tag, value_at, value_end = element(der, key_end, begin)
            key = der[key_at:key_end]
            text = der[value_at:value_end]
            if tag == 0x1E:
                text = text.decode("utf-16-be", "replace").encode()
            together.append((_NAMES.get(key) or oid(key)).encode() + b"=" + text)
        parts.append(b" + ".join(together))
    return b", ".join(parts)


def oid(data: bytes) -> str:
    """Write an object identifier with dots."""
    numbers: list[int] = []
    value = 0
    for byte in data[:64]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        return ""
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def _time(tag: int, text: bytes) -> int | None:
    digits = text.rstrip(b"Z")
    if tag == 0x17 and len(digits) >= 10:
        digits = (b"19" if digits[:2] >= b"50" else b"20") + digits
    elif tag != 0x18:
        raise BadDer("certificate_invalid_date")
    if not digits[:12].isdigit() or len(digits) < 12:
        raise BadDer("certificate_invalid_date")
    seconds = digits[12:14]
    numbers = [int(digits[:4])] + [int(digits[i : i + 2]) for i in (4, 6, 8, 10)]
    if not 1 <= numbers[1] <= 12 or not 1 <= numbers[2] <= 31 or numbers[0] < 1:
        raise BadDer("certificate_invalid_date")
    return calendar.timegm((*numbers, int(seconds) if seconds.isdigit() else 0))


def _extensions(certificate: Certificate, der: bytes, at: int, end: int) -> None:
    at, end = _expect(der, at, end, 0x30)
    while at < end:
        begin, at = _expect(der, at, end, 0x30)
        key_at, key_end = _expect(der, begin, at, 0x06)
        if der[key_at:key_end] != _ALT_NAMES:
            continue
        tag, value, stop = element(der, key_end, at)
        if tag == 0x01:
            tag, value, stop = element(der, stop, at)
        value, stop = _expect(der, value, stop, 0x30)
        while value < stop and len(certificate.names) < 256:
            tag, first, value = element(der, value, stop)
            if tag in (0x81, 0x82, 0x86):
                certificate.names.append(der[first:value])
            elif tag == 0x87 and value - first == 4:
                certificate.names.append(".".join(str(byte) for byte in der[first:value]).encode())
