"""Signatures of GnuPG verified, of every kind of key that counts; and those that do not."""

import struct
import subprocess
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from analysis.integrity.openpgp import PublicKey, packets, public_key, signature, signatures
from collectors.integrity.packages.openpgp_verify import signing_keys, verifies
from tests.analysis.integrity.test_openpgp import Gpg

SIGNATURE, SUBKEY = 2, 14
"""Packets of OpenPGP (RFC 4880, 4.3)."""
KINDS = ("rsa2048", "ed25519", "nistp256", "nistp384")


@pytest.fixture(scope="module")
def gpg(tmp_path_factory) -> Iterator[Gpg]:
    made = Gpg(tmp_path_factory.mktemp("verify") / "home")
    for kind in KINDS:
        made("--quick-gen-key", f"{kind} <{kind}@example.org>", kind, "sign", "0")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent"], check=False)


@pytest.mark.parametrize(
    ("kind", "digest"), [*((kind, "SHA512") for kind in KINDS), *((kind, "SHA256") for kind in KINDS[:3])]
)
def test_a_good_signature_verifies_and_one_over_another_text_does_not(gpg, kind, digest) -> None:
    ((one,), flaws) = signing_keys(gpg("--export", f"{kind}@example.org"))
    words = ("--detach-sign", "--digest-algo", digest, "-u", f"{kind}@example.org")
    (made,) = signatures(gpg(*words, text=b"a text"))
    assert flaws == [] and one.primary == one.key.fingerprint
    assert verifies(made, one.key, [b"a ", b"text"]) and not verifies(made, one.key, [b"a texT"])
    others = [each.key for each in signing_keys(gpg("--export"))[0] if each.key != one.key]
    assert len(others) == len(KINDS) - 1 and not any(verifies(made, key, [b"a text"]) for key in others)


def test_a_subkey_counts_for_its_primary_key_and_not_for_another(gpg) -> None:
    primary = gpg.fingerprints()[0]
    gpg("--quick-add-key", primary, "ed25519", "sign", "0")
    content = gpg("--export", primary)
    whole, _ = signing_keys(content)
    assert [one.primary for one in whole] == [primary, primary]
    stranger = gpg("--export", "nistp384@example.org")
    body = next(body for kind, body in packets(content) if kind == SUBKEY)
    subkey = content[content.index(body) - 2 :]  # GnuPG writes its kind and one byte of length before it
    assert [kind for kind, _ in packets(subkey)] == [SUBKEY, SIGNATURE]
    assert len(signing_keys(stranger + subkey)[0]) == 1, "nobody signed that it belongs there"


def _mpi(value: int) -> bytes:
    return struct.pack(">H", value.bit_length()) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def _own_key(bits: int) -> tuple[rsa.RSAPrivateKey, PublicKey]:
    secret = rsa.generate_private_key(65537, bits)
    numbers = secret.public_key().public_numbers()
    return secret, public_key(b"\4" + bytes(4) + b"\1" + _mpi(numbers.n) + _mpi(numbers.e))


def _third_version(secret: rsa.RSAPrivateKey, text: bytes) -> bytes:
    trailer = b"\0" + struct.pack(">I", 1700000000)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(text + trailer)
    value = secret.sign(text + trailer, padding.PKCS1v15(), hashes.SHA256())
    head = b"\3\5" + trailer + bytes(8) + b"\1\x08" + digest.finalize()[:2]
    return head + _mpi(int.from_bytes(value, "big"))


def test_a_signature_of_version_3_as_some_distributions_have_them_verifies() -> None:
    secret, key = _own_key(2048)
    made = signature(_third_version(secret, b"text"))
    assert made.version == 3 and verifies(made, key, [b"text"]) and not verifies(made, key, [b"texT"])


def test_a_small_key_proves_nothing() -> None:
    secret, key = _own_key(1024)
    assert not verifies(signature(_third_version(secret, b"text")), key, [b"text"])
