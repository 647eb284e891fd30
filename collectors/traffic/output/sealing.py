"""Evidence that nobody reads without the secret: AES-256-GCM, with a key that scrypt makes of the secret (RFC 7914).

A sealed file is `MAGIC`, 16 bytes of salt, 12 of nonce, and the ciphertext with its tag; its name is bound to it.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"HOLDFAST-EVIDENCE-1\n"
_SALT, _NONCE = 16, 12
_COST, _BLOCK, _LANES = 1 << 14, 8, 1


class WrongSecret(ValueError):
    """This secret did not seal that, or it was changed since."""


class Sealer:
    """Seals with one secret; its key is made once."""

    def __init__(self, secret: bytes) -> None:
        self._salt = os.urandom(_SALT)
        self._cipher = AESGCM(_key(secret, self._salt))

    def seal(self, content: bytes, name: str) -> bytes:
        """Return the content sealed under a name."""
        nonce = os.urandom(_NONCE)
        return MAGIC + self._salt + nonce + self._cipher.encrypt(nonce, content, name.encode())


def sealed(content: bytes) -> bool:
    """Return whether a file is a sealed one."""
    return content.startswith(MAGIC)


def unseal(content: bytes, secret: bytes, name: str) -> bytes:
    """Return what was sealed under a name; raises `WrongSecret`."""
    salt, rest = content[len(MAGIC) :][:_SALT], content[len(MAGIC) + _SALT :]
    try:
        return AESGCM(_key(secret, salt)).decrypt(rest[:_NONCE], rest[_NONCE:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise WrongSecret(f"{name}: the secret is not the one it was sealed with, or the file was changed") from error


def _key(secret: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
