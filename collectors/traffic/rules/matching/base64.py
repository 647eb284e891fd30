"""Base64 as Suricata reads it: as far as it goes, not all or nothing."""

import binascii
import re

_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*")
_FOREIGN = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


def decode(data: bytes, mode: str = "rfc4648") -> bytes:
    """Return what of `data` is base64, decoded.

    `rfc4648` reads to the first byte that is foreign to the alphabet; `rfc2045` passes such bytes over; `strict` takes all or nothing.
    """
    if mode == "strict":
        try:
            return binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error:
            return b""
    if mode == "rfc2045":
        data = data.translate(None, _FOREIGN)
    found = _ALPHABET.match(data)
    digits = found[0] if found else b""
    rest = len(digits) % 4
    if rest == 1:
        digits = digits[:-1]
    elif rest:
        digits += b"=" * (4 - rest)
    return binascii.a2b_base64(digits)
