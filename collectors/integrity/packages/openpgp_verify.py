"""Verifies OpenPGP signatures in this process: RSA, ECDSA and Ed25519 over SHA-256, 384 and 512; which keys of a file may sign at all."""

import hashlib
from collections.abc import Callable, Iterable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from analysis.integrity.openpgp import (
    ECDSA,
    ED25519,
    EDDSA,
    KEY_BINDING,
    RSA,
    RSA_SIGN,
    Certificate,
    PublicKey,
    Signature,
    certificates,
    signature,
)
from contracts.record import Record

LEAST_RSA_BITS = 2048
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES: dict[bytes, ec.EllipticCurve] = {
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("2b81040022"): ec.SECP384R1(),
    bytes.fromhex("2b81040023"): ec.SECP521R1(),
}
_ED25519_OLD = bytes.fromhex("2b06010401da470f01")
_MOST_RSA_BITS = 16384


class SigningKey(Record):
    """A key that may sign packages, and the fingerprint of the primary key that it belongs to."""

    key: PublicKey
    primary: str


def signing_keys(data: bytes) -> tuple[list[SigningKey], list[str]]:
    """Return the keys of binary certificates, and a sentence for each that is left out; raises `ValueError` for what is damaged.

    A subkey counts when the primary key signs that it is its own, and it signs that it belongs to that (RFC 9580, 5.2.1).
    """
    found, flaws = certificates(data)
    keys: list[SigningKey] = []
    for one in found:
        if one.revoked:
            flaws.append(f"the key {one.primary.fingerprint} is revoked")
            continue
        keys.append(SigningKey(key=one.primary, primary=one.primary.fingerprint))
        keys += (
            SigningKey(key=key, primary=one.primary.fingerprint)
            for key, made in one.subkeys
            if any(_is_bound(one, key, each) for each in made)
        )
    return keys, flaws


def _is_bound(one: Certificate, key: PublicKey, binding: Signature) -> bool:
    parts = (one.primary.hashed, key.hashed)
    if not binding.embedded or not verifies(binding, one.primary, parts):
        return False
    try:
        back = signature(binding.embedded)
    except ValueError:
        return False
    return back.kind == KEY_BINDING and verifies(back, key, parts)


def verifies(made: Signature, key: PublicKey, parts: Iterable[bytes]) -> bool:
    """Say whether a key made a signature over the parts."""
    digest = hashlib.new(made.hash_name)
    for part in parts:
        digest.update(part)
    digest.update(made.trailer)
    whole = digest.digest()
    way = _WAYS.get(made.algorithm)
    if way is None or whole[:2] != made.start or (key.algorithm, made.algorithm) not in _PAIRS:
        return False
    try:
        way(made, key, whole)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):  # also a key that is none: it made no signature
        return False
    return True


def _rsa(made: Signature, key: PublicKey, whole: bytes) -> None:
    modulus, exponent = (int.from_bytes(value, "big") for value in key.values)
    size = (modulus.bit_length() + 7) // 8
    if not LEAST_RSA_BITS <= modulus.bit_length() <= _MOST_RSA_BITS or len(made.values[0]) > size:
        raise ValueError("a key of that size proves nothing")
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    value = made.values[0].rjust(size, b"\0")
    public.verify(value, whole, padding.PKCS1v15(), utils.Prehashed(_HASHES[made.hash_name]))


def _ecdsa(made: Signature, key: PublicKey, whole: bytes) -> None:
    curve = _CURVES.get(key.curve)
    if curve is None:
        raise ValueError("a curve that is not known")
    public = ec.EllipticCurvePublicKey.from_encoded_point(curve, key.values[0])
    numbers = (int.from_bytes(value, "big") for value in made.values)
    public.verify(utils.encode_dss_signature(*numbers), whole, ec.ECDSA(utils.Prehashed(_HASHES[made.hash_name])))


def _ed25519_old(made: Signature, key: PublicKey, whole: bytes) -> None:
    """EdDSA as RFC 9580 keeps it for keys of before: the point with 0x40 in front, both halves without leading zeroes."""
    if key.curve != _ED25519_OLD or key.values[0][:1] != b"\x40" or any(len(value) > 32 for value in made.values):
        raise ValueError("a curve that is not known")
    halves = b"".join(value.rjust(32, b"\0") for value in made.values)
    ed25519.Ed25519PublicKey.from_public_bytes(key.values[0][1:]).verify(halves, whole)


def _ed25519(made: Signature, key: PublicKey, whole: bytes) -> None:
    ed25519.Ed25519PublicKey.from_public_bytes(key.values[0]).verify(made.values[0], whole)


_WAYS: dict[int, Callable[[Signature, PublicKey, bytes], None]] = {
    RSA: _rsa,
    RSA_SIGN: _rsa,
    ECDSA: _ecdsa,
    EDDSA: _ed25519_old,
    ED25519: _ed25519,
}
_PAIRS = frozenset({(RSA, RSA), (RSA_SIGN, RSA), (RSA, RSA_SIGN), (RSA_SIGN, RSA_SIGN)}) | {
    (each, each) for each in (ECDSA, EDDSA, ED25519)
}
