"""OpenPGP's packets, over keys and signatures that GnuPG makes, and over anything at all."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.openpgp import BINARY, certificates, packets, public_key, signature, signatures, unarmoured


class Gpg:
    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.home = home

    def __call__(self, *words: str, text: bytes = b"") -> bytes:
        base = ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*base, *words], input=text, capture_output=True, check=True).stdout

    def fingerprints(self) -> list[str]:
        lines = self("--list-keys", "--with-colons").decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]


@pytest.fixture(scope="module")
def gpg(tmp_path_factory) -> Iterator[Gpg]:
    made = Gpg(tmp_path_factory.mktemp("openpgp") / "home")
    made("--quick-gen-key", "T <t@example.org>", "ed25519", "sign", "0")
    made("--quick-add-key", made.fingerprints()[0], "rsa2048", "sign", "0")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent"], check=False)


def test_a_certificate_has_the_fingerprints_that_gnupg_tells_armoured_or_not(gpg) -> None:
    for data in (gpg("--export"), unarmoured(gpg("--export", "--armor"))):
        (one,), flaws = certificates(data)
        told = [one.primary.fingerprint, *(key.fingerprint for key, _ in one.subkeys)]
        assert told == gpg.fingerprints() and flaws == [] and not one.revoked
        assert one.primary.key_id == told[0][-16:] and len(one.subkeys[0][1]) == 1


def test_a_signature_names_its_key_and_its_hash(gpg) -> None:
    for key in gpg.fingerprints():
        (one,) = signatures(gpg("--detach-sign", "--digest-algo", "SHA512", "-u", f"{key}!", text=b"text"))
        assert (one.version, one.kind, one.hash_name, one.key_id) == (4, BINARY, "sha512", key[-16:])


def test_a_weak_hash_and_versions_that_are_not_known_are_refused(gpg) -> None:
    ((_, body),) = packets(gpg("--detach-sign", text=b"text"))
    for at, value, why in ((3, 2, "hash function 2"), (0, 6, "version 6"), (2, 17, "algorithm 17")):
        with pytest.raises(ValueError, match=why):
            signature(body[:at] + bytes([value]) + body[at + 1 :])
    with pytest.raises(ValueError, match="bytes after"):
        signature(body + b"\0")
    with pytest.raises(ValueError, match="version 6"):
        public_key(b"\6" + bytes(40))


def test_something_critical_that_is_not_known_makes_a_signature_void(gpg) -> None:
    ((_, body),) = packets(gpg("--detach-sign", text=b"text"))
    length = int.from_bytes(body[4:6], "big")
    hashed = body[6 : 6 + length] + b"\x02\xe4\x00"
    with pytest.raises(ValueError, match="critical of kind 100"):
        signature(body[:4] + len(hashed).to_bytes(2, "big") + hashed + body[6 + length :])


def test_a_key_that_was_revoked_is_told(gpg) -> None:
    (path,) = (gpg.home / "openpgp-revocs.d").iterdir()
    text = path.read_bytes().replace(b":-----BEGIN", b"-----BEGIN")
    revoked = unarmoured(text)
    found = list(packets(gpg("--export")))
    assert [kind for kind, _ in packets(revoked)] == [2] and found[0][0] == 6
    whole = _packet(*found[0]) + revoked + b"".join(_packet(*each) for each in found[1:])
    ((one,), _) = certificates(whole)
    assert one.revoked


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([0xC0 | kind, 255]) + len(body).to_bytes(4, "big") + body


@given(st.lists(st.tuples(st.integers(1, 60), st.binary(max_size=300)), max_size=5))
def test_packets_are_read_as_they_were_written(written) -> None:
    assert list(packets(b"".join(_packet(*each) for each in written))) == written


@given(st.binary(max_size=120))
def test_bytes_of_any_kind_are_packets_or_a_clear_error(data) -> None:
    for read in (
        lambda: list(packets(data)),
        lambda: certificates(data),
        lambda: signature(data),
        lambda: public_key(data),
    ):
        try:
            read()
        except ValueError as error:
            assert str(error)


def test_a_certificate_and_a_signature_that_were_damaged_anywhere_are_read_or_refused(gpg) -> None:
    chance, refused = random.Random(6), 0
    for whole in (gpg("--export"), gpg("--detach-sign", text=b"text")):
        for _ in range(1500):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 3)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            for read in (certificates, signatures):
                try:
                    read(bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
                except ValueError:
                    refused += 1
    assert refused > 500


def test_damaged_armour_is_refused() -> None:
    with pytest.raises(ValueError, match="armoured key is damaged"):
        unarmoured(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n")
