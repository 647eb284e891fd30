"""Reads OpenPGP's packets, signatures and public keys, within bounds; what is computed with them is left to whoever has the means. Pure.

Formats: RFC 4880 and RFC 9580 (packets 4.2, signatures of versions 3 and 4 in 5.2, keys of version 4 in 5.5, armour 6.2). Versions 5 and 6
are named as not known.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator

from contracts.record import Record

SIGNATURE, PUBLIC_KEY, SUBKEY = 2, 6, 14
BINARY, SUBKEY_BINDING, KEY_BINDING, KEY_REVOKED, SUBKEY_REVOKED = 0x00, 0x18, 0x19, 0x20, 0x28
RSA, RSA_SIGN, ECDSA, EDDSA, ED25519 = 1, 3, 19, 22, 27
HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
"""Hash functions by number (RFC 9580, 9.5); what is weaker proves nothing."""
MOST_BYTES = 8 << 20
_KNOWN = frozenset(
    {2, 3, 4, 5, 6, 7, 9, 11, 12, 16, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 39}
)
_CREATED, _ISSUER, _EMBEDDED, _FINGERPRINT = 2, 16, 32, 33
_CRITICAL = 0x80


class Signature(Record):
    """One signature: `trailer` is what is hashed after the data, `values` the numbers of the algorithm, big-endian."""

    version: int
    kind: int
    algorithm: int
    hash_name: str
    trailer: bytes
    start: bytes
    """The first two bytes of the digest."""
    values: tuple[bytes, ...]
    key_id: str = ""
    embedded: bytes = b""


class PublicKey(Record):
    """One key of version 4; `body` is its packet, `values` what the algorithm needs (`n, e` or the point), `curve` its number."""

    algorithm: int
    fingerprint: str
    body: bytes
    values: tuple[bytes, ...]
    curve: bytes = b""

    @property
    def key_id(self) -> str:
        """The last 16 digits of the fingerprint."""
        return self.fingerprint[-16:]

    @property
    def hashed(self) -> bytes:
        """How a key goes into the hash of a signature over it."""
        return b"\x99" + struct.pack(">H", len(self.body)) + self.body


class Certificate(Record):
    """A primary key and its subkeys with the signatures on them. A revocation counts without being verified: it can only take away."""

    primary: PublicKey
    revoked: bool = False
    subkeys: tuple[tuple[PublicKey, tuple[Signature, ...]], ...] = ()


def unarmoured(content: bytes) -> bytes:
    """Return the binary keys of armoured blocks; deb822 writes an empty line as a dot. Raises `ValueError` for a damaged one."""
    out, body, inside = bytearray(), bytearray(), False
    for line in content.splitlines():
        text = line.strip()
        if text.startswith(b"-----BEGIN PGP PUBLIC KEY"):
            inside, body = True, bytearray()
        elif text.startswith(b"-----END PGP"):
            inside = False
            try:
                out += base64.b64decode(bytes(body))
            except binascii.Error as error:
                raise ValueError("an armoured key is damaged") from error
        elif inside and text not in (b"", b".") and b": " not in text and not text.startswith(b"="):
            body += text
    return bytes(out)


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and body of each packet; raises `ValueError` for what ends early, or is of a length that is not said at its head."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes of packets")
    cursor = _Cursor(data)
    while cursor.left:
        head = cursor.byte()
        if not head & 0x80:
            raise ValueError("no packet begins there")
        if head & 0x40:
            kind, first = head & 0x3F, cursor.byte()
            if first < 192:
                length = first
            elif first < 224:
                length = ((first - 192) << 8) + cursor.byte() + 192
            elif first == 255:
                length = cursor.number(4)
            else:
                raise ValueError("a packet in parts")
        else:
            kind, wide = (head >> 2) & 0x0F, head & 3
            if wide == 3:
                raise ValueError("a packet without a length")
            length = cursor.number(1 << wide)
        yield kind, cursor.take(length)


def signatures(data: bytes) -> list[Signature]:
    """Return the signatures among packets; raises `ValueError`."""
    return [signature(body) for kind, body in packets(data) if kind == SIGNATURE]


def signature(body: bytes) -> Signature:
    """Return one signature; raises `ValueError` for one that is damaged, or of a version or hash that is not known."""
    cursor = _Cursor(body)
    version = cursor.byte()
    if version == 3:
        return _third(cursor)
    if version != 4:
        raise ValueError(f"a signature of version {version}, which is not known")
    kind, algorithm, number = cursor.byte(), cursor.byte(), cursor.byte()
    hashed = cursor.take(cursor.number(2))
    found = _subpackets(hashed, strict=True)
    if _CREATED not in found:
        raise ValueError("a signature without its time")
    loose = _subpackets(cursor.take(cursor.number(2)), strict=False)
    start = cursor.take(2)
    head = bytes((4, kind, algorithm, number)) + struct.pack(">H", len(hashed)) + hashed
    issuer = found.get(_FINGERPRINT, loose.get(_FINGERPRINT, b""))[-8:] or found.get(_ISSUER, loose.get(_ISSUER, b""))
    return Signature(
        version=4,
        kind=kind,
        algorithm=algorithm,
        hash_name=_hash_name(number),
        trailer=head + b"\x04\xff" + struct.pack(">I", len(head)),
        start=start,
        values=_signed_values(cursor, algorithm),
        key_id=issuer.hex().upper(),
        embedded=found.get(_EMBEDDED, loose.get(_EMBEDDED, b"")),
    )


def _third(cursor: "_Cursor") -> Signature:
    """A signature of version 3, as the packages of some distributions have (RFC 4880, 5.2.2)."""
    if cursor.byte() != 5:
        raise ValueError("a damaged signature of version 3")
    trailer, key_id = cursor.take(5), cursor.take(8)
    algorithm, number = cursor.byte(), cursor.byte()
    return Signature(
        version=3,
        kind=trailer[0],
        algorithm=algorithm,
        hash_name=_hash_name(number),
        trailer=trailer,
        start=cursor.take(2),
        values=_signed_values(cursor, algorithm),
        key_id=key_id.hex().upper(),
    )


def _hash_name(number: int) -> str:
    if number not in HASHES:
        raise ValueError(f"a signature over hash function {number}, which proves nothing")
    return HASHES[number]


def _signed_values(cursor: "_Cursor", algorithm: int) -> tuple[bytes, ...]:
    if algorithm in (RSA, RSA_SIGN):
        found: tuple[bytes, ...] = (cursor.integer(),)
    elif algorithm in (ECDSA, EDDSA):
        found = cursor.integer(), cursor.integer()
    elif algorithm == ED25519:
        found = (cursor.take(64),)
    else:
        raise ValueError(f"a signature of algorithm {algorithm}, which is not known")
    if cursor.left:
        raise ValueError("bytes after a signature")
    return found


def _subpackets(data: bytes, *, strict: bool) -> dict[int, bytes]:
    """Return the subpackets by kind; with `strict` one that must be understood and is not makes the signature void (RFC 9580, 5.2.3.7)."""
    cursor = _Cursor(data)
    found: dict[int, bytes] = {}
    while cursor.left:
        length = cursor.byte()
        if length == 255:
            length = cursor.number(4)
        elif length >= 192:
            length = ((length - 192) << 8) + cursor.byte() + 192
        kind = cursor.byte()
        if strict and kind & _CRITICAL and kind & ~_CRITICAL not in _KNOWN:
            raise ValueError(f"a signature with something critical of kind {kind & ~_CRITICAL}, which is not known")
        found.setdefault(kind & ~_CRITICAL, cursor.take(length - 1))
    return found


def public_key(body: bytes) -> PublicKey:
    """Return one key; raises `ValueError` for one of another version or algorithm."""
    cursor = _Cursor(body)
    version = cursor.byte()
    if version != 4:
        raise ValueError(f"a key of version {version}, which is not known")
    cursor.take(4)
    algorithm, curve = cursor.byte(), b""
    if algorithm in (RSA, RSA_SIGN):
        values: tuple[bytes, ...] = cursor.integer(), cursor.integer()
    elif algorithm in (ECDSA, EDDSA):
        curve = cursor.take(cursor.byte())
        values = (cursor.integer(),)
    elif algorithm == ED25519:
        values = (cursor.take(32),)
    else:
        raise ValueError(f"a key of algorithm {algorithm}, which is not known")
    if len(body) > 0xFFFF:
        raise ValueError("a key of more than 64 KiB")
    print_ = hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body, usedforsecurity=False).hexdigest().upper()
    return PublicKey(algorithm=algorithm, fingerprint=print_, body=body, values=values, curve=curve)


def certificates(data: bytes) -> tuple[list[Certificate], list[str]]:
    """Return the certificates among packets, and a sentence for each part that is not known and left out; raises `ValueError`."""
    found: list[Certificate] = []
    flaws: list[str] = []
    state = _Building()
    for kind, body in packets(data):
        try:
            if kind == PUBLIC_KEY:
                found += state.done()
                state = _Building()
                state.primary = public_key(body)
            elif state.primary is None:
                continue
            elif kind == SUBKEY:
                state.skips = True
                state.subkeys.append((public_key(body), []))
                state.skips = False
            elif kind == SIGNATURE:
                state.take(body)
        except ValueError as error:
            flaws.append(str(error))
    return found + state.done(), flaws


class _Building:
    """A certificate while its packets come."""

    def __init__(self) -> None:
        self.primary: PublicKey | None = None
        self.subkeys: list[tuple[PublicKey, list[Signature]]] = []
        self.revoked: set[str] = set()
        self.skips = False
        """Whether the last subkey is not known, so that what is said of it is left out."""

    def take(self, body: bytes) -> None:
        """Take a signature: those on names are of no matter here."""
        assert self.primary is not None
        at = 2 if body[:1] == b"\x03" else 1
        kind = body[at] if len(body) > at else 0
        if kind == KEY_REVOKED:
            self.revoked.add(self.primary.fingerprint)
        elif self.subkeys and not self.skips and kind == SUBKEY_REVOKED:
            self.revoked.add(self.subkeys[-1][0].fingerprint)
        elif self.subkeys and not self.skips and kind == SUBKEY_BINDING:
            self.subkeys[-1][1].append(signature(body))

    def done(self) -> list[Certificate]:
        """Return the certificate, if one was begun."""
        if self.primary is None:
            return []
        kept = tuple((key, tuple(made)) for key, made in self.subkeys if key.fingerprint not in self.revoked)
        return [Certificate(primary=self.primary, revoked=self.primary.fingerprint in self.revoked, subkeys=kept)]


class _Cursor:
    """Bytes, taken one after another; raises `ValueError` at their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise ValueError("it ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def integer(self) -> bytes:
        """A number with its length in bits before it (RFC 9580, 3.2)."""
        return self.take((self.number(2) + 7) // 8)
