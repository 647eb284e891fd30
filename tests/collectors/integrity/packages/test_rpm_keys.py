"""Key files, read again when they change; what is in them and counts for nothing is named."""

from analysis.integrity.openpgp import signatures
from collectors.integrity.packages.rpm_keys import RpmKeys
from host.linux import LinuxHost


def test_keys_are_read_from_files_armoured_or_not_and_again_when_they_change(rpms) -> None:
    keys = RpmKeys(LinuxHost())
    assert keys.fingerprints() == frozenset()
    rpms.key_file()
    (first,) = keys.fingerprints()
    rpms.key("Other <o@example.org>", "ed25519")
    (rpms.keys / "plain.gpg").write_bytes(rpms.gpg("--export", "o@example.org"))
    assert len(keys.fingerprints()) == 2 and first in keys.fingerprints() and keys.flaws == ()


def test_a_signer_is_named_unknown_or_none(rpms) -> None:
    keys = RpmKeys(LinuxHost())
    (made,) = signatures(rpms.gpg("--detach-sign", text=b"text"))
    assert keys.signer(made, [b"text"]) == "", "no key file has it"
    rpms.key_file()
    assert keys.signer(made, [b"text"]) in keys.fingerprints() and keys.signer(made, [b"texT"]) is None


def test_what_is_no_key_is_named(rpms) -> None:
    (rpms.keys / "bad").write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n")
    (rpms.keys / "noise").write_bytes(b"noise")
    keys = RpmKeys(LinuxHost())
    keys.read()
    assert ["armoured key is damaged" in keys.flaws[0], "no packet begins" in keys.flaws[1]] == [True, True]
