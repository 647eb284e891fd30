"""AES-256-CTR with Poly1305-AES, and scrypt: how restic encrypts, authenticates and derives keys from passwords.

Format: `IV (16) || ciphertext || MAC (16)`; source: restic's doc/design.rst, "Keys, Encryption and MAC". The MAC is Poly1305 over the
ciphertext with the one-time key `r || AES-128_k(IV)`. `update_into` of `cryptography` gives up the interpreter's lock, `update` and
Poly1305 do not.
"""

import hmac
import secrets
import threading
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305

from actions.backup.stores.store import Buffer
from contracts.errors import HoldfastError

IV_SIZE = 16
MAC_SIZE = 16
OVERHEAD = IV_SIZE + MAC_SIZE
"""Bytes by which encryption enlarges a plaintext."""

SALT_SIZE = 64
_SMALL = 32 << 10
"""Fewer bytes are encrypted sooner than another thread would hand the interpreter's lock back."""
_R_MASK = bytes.fromhex("ffffff0f fcffff0f fcffff0f fcffff0f")
_MAX_SCRYPT_BYTES = 1 << 30
_MAX_SCRYPT_WORK = 1 << 30
_CALIBRATION_BYTES = 60 << 20
_CALIBRATION_S = 0.5


class Unauthenticated(HoldfastError):
    """The MAC does not match: the bytes were changed, or belong to another key."""


class BadParameters(HoldfastError):
    """Parameters for scrypt that no honest key file carries."""


@dataclass(frozen=True, slots=True)
class ScryptParameters:
    """Cost of deriving a key: `n` (power of two), block size `r`, parallelisation `p`; memory is 128 * n * r bytes."""

    n: int
    r: int
    p: int


class Key:
    """Keys for encryption (32 bytes) and authentication (two times 16 bytes); may be used by several threads."""

    __slots__ = ("_encrypt", "_local", "_mac_k", "_mac_r")

    def __init__(self, encrypt: bytes, mac_k: bytes, mac_r: bytes) -> None:
        # Poly1305 ignores these bits of r; restic clears them in the keys that it stores, so both forms are one key.
        mac_r = bytes(byte & mask for byte, mask in zip(mac_r, _R_MASK, strict=False))
        if (len(encrypt), len(mac_k), len(mac_r)) != (32, 16, 16) or not (any(encrypt) and any(mac_k) and any(mac_r)):
            raise BadParameters("a key of the repository is not valid: wrong length or all zero")
        self._local = threading.local()
        self._encrypt = encrypt
        self._mac_k = mac_k
        self._mac_r = mac_r

    @classmethod
    def random(cls) -> "Key":
        """New random keys."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(16))

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Encryption key, `k` and `r` of the MAC, for the key file alone."""
        return self._encrypt, self._mac_k, self._mac_r

    def seal(self, plaintext: Buffer) -> bytearray:
        """Encrypt and authenticate under a new random IV."""
        size = len(plaintext)
        out = bytearray(size + OVERHEAD)
        view = memoryview(out)
        iv = secrets.token_bytes(IV_SIZE)
        view[:IV_SIZE] = iv
        body = view[IV_SIZE : IV_SIZE + size]
        if size < _SMALL:
            body[:] = self._key_stream(iv).update(plaintext)
        else:
            self._key_stream(iv).update_into(plaintext, body)
        view[IV_SIZE + size :] = Poly1305.generate_tag(self._one_time_key(iv), body)
        return out

    def open(self, sealed: Buffer) -> bytearray:
        """The plaintext; raises Unauthenticated before a single byte is decrypted when anything was changed."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD:
            raise Unauthenticated(f"{len(view)} bytes are fewer than any encrypted data has")
        iv = bytes(view[:IV_SIZE])
        body = view[IV_SIZE:-MAC_SIZE]
        if not hmac.compare_digest(Poly1305.generate_tag(self._one_time_key(iv), body), bytes(view[-MAC_SIZE:])):
            raise Unauthenticated("the authentication code does not match")
        out = bytearray(len(body))
        self._key_stream(iv).update_into(body, out)
        return out

    def authenticator(self, iv: bytes) -> "Authenticator":
        """What judges the ciphertext that was encrypted under `iv`, told it in pieces."""
        return Authenticator(self._one_time_key(iv))

    def _one_time_key(self, iv: bytes) -> bytes:
        # One block of AES on its own: what Poly1305-AES (Bernstein 2005) adds to the polynomial. Not a mode for data.
        found = self._local.__dict__
        if "block" not in found:
            found["block"] = Cipher(algorithms.AES(self._mac_k), modes.ECB()).encryptor()
        block: bytes = found["block"].update(iv)
        return self._mac_r + block

    def _key_stream(self, iv: bytes) -> CipherContext:
        """The CTR context of this thread, set to `iv`: for small blobs, making one anew would cost more than using it."""
        found = self._local.__dict__
        if "stream" not in found:
            found["stream"] = Cipher(algorithms.AES(self._encrypt), modes.CTR(iv)).encryptor()
        stream: CipherContext = found["stream"]
        stream.reset_nonce(iv)
        return stream


class Authenticator:
    """The code of one ciphertext, computed piece by piece."""

    def __init__(self, one_time_key: bytes) -> None:
        self._code = Poly1305(one_time_key)

    def update(self, ciphertext: Buffer) -> None:
        """The next bytes."""
        self._code.update(ciphertext)

    def holds(self, code: bytes) -> bool:
        """Whether `code` is that of all that was told; nothing may be told after."""
        return hmac.compare_digest(self._code.finalize(), code)


def derive(password: str, salt: bytes, parameters: ScryptParameters) -> Key:
    """The user key that scrypt makes of a password; BadParameters for costs beyond 1 GiB of memory or 2^30 blocks of work."""
    n, r, p = parameters.n, parameters.r, parameters.p
    if n < 2 or n & (n - 1) or r < 1 or p < 1 or 128 * n * r > _MAX_SCRYPT_BYTES or n * r * p > _MAX_SCRYPT_WORK:
        raise BadParameters(f"scrypt parameters N={n} r={r} p={p} are out of bounds")
    material = Scrypt(salt=salt, length=64, n=n, r=r, p=p).derive(password.encode())  # a fifth faster than hashlib's
    return Key(material[:32], material[32:48], material[48:])


def calibrate() -> ScryptParameters:
    """Parameters that take about half a second and at most 60 MB here: restic's own aims."""
    n, r = 2, 8
    while 128 * n * 2 * r <= _CALIBRATION_BYTES:
        n *= 2
    began = time.perf_counter()
    derive("calibration", bytes(SALT_SIZE), ScryptParameters(n, r, 1))
    once = max(time.perf_counter() - began, 1e-6)
    return ScryptParameters(n, r, max(1, min(16, int(_CALIBRATION_S / once))))
