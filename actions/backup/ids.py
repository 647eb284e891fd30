"""Ids: the SHA-256 of a plaintext (blobs) or of a file as stored (everything else), 32 bytes, written as 64 hexadecimal digits."""

import hashlib

from actions.backup.stores.store import Buffer, is_name

ID_SIZE = 32


def id_of(data: Buffer) -> bytes:
    """The id of these bytes."""
    return hashlib.sha256(data).digest()


def parse_id(text: str) -> bytes:
    """The id that is written so; ValueError for anything else."""
    if not is_name(text):
        raise ValueError(f"{text!r} is not an id: 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)
