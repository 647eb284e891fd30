"""Names of databases as names of files: anything may be in the former."""

import hashlib

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. +=,@")
_LONGEST = 200


def file_name(database: str, ending: str) -> bytes:
    """The file of `database`: its name in UTF-8, a byte that has no place in a file name (or is %) as %XX, so that no two are the same.

    One that is too long for a file system is cut, and ends in %% and a part of its SHA-256.
    """
    raw = database.encode("utf-8", "surrogateescape")
    kept = b"".join(
        bytes([byte]) if (byte in _PLAIN or byte >= 0x80) and not (byte == 0x2E and at == 0) else b"%%%02X" % byte
        for at, byte in enumerate(raw)
    )
    if len(kept) > _LONGEST:
        kept = kept[: _LONGEST - 40] + b"%%" + hashlib.sha256(raw).hexdigest()[:32].encode()
    return kept + ending.encode()
