"""rpm's state: packages, keys that only the database holds, and headers that cannot be read."""

import random
from pathlib import Path

import pytest

from analysis.integrity.openpgp import signatures
from collectors.integrity.packages.rpm_keys import RpmKeys
from collectors.integrity.packages.rpm_state import RpmState
from contracts.errors import Malformed
from host.linux import LinuxHost


def test_packages_and_keys_are_told_apart(rpms, tmp_path: Path) -> None:
    rpms.key_file()
    rpms.installed()
    rpms.rpm("--import", str(rpms.keys / "RPM-GPG-KEY-test"))
    state = RpmState(LinuxHost(), str(rpms.database), tmp_path)
    state.refresh()
    (one,) = state.held
    assert one.package.identity == ("hf-tool", "1.0-1", "noarch") and state.is_installed(one.package.identity)
    assert list(state.files(one)) == [b"/usr/bin/hf-tool"] and state.flaws == ()
    fingerprint = rpms.gpg("--list-keys", "--with-colons").decode().partition("fpr:::::::::")[2][:40]
    assert [fingerprint.endswith(key) for key in state.keys] == [True]
    state.close()


def test_a_header_that_cannot_be_read_is_named_and_the_others_are_read(rpms, tmp_path: Path) -> None:
    rpms.install(rpms.build())
    rpms.edit(lambda blob: blob[:-1])
    state = RpmState(LinuxHost(), str(rpms.database), tmp_path)
    state.refresh()
    assert state.held == [] and state.flaws[0].startswith("header 1 of rpm's database cannot be read: ")
    state.close()


def test_lists_that_do_not_fit_are_named_by_package(rpms, tmp_path: Path) -> None:
    rpms.install(rpms.build())
    rpms.edit(
        lambda blob: blob.replace((1116).to_bytes(4, "big") + b"\0\0\0\4", (1115).to_bytes(4, "big") + b"\0\0\0\4")
    )
    state = RpmState(LinuxHost(), str(rpms.database), tmp_path)
    state.refresh()
    with pytest.raises(Malformed, match="the files of hf-tool cannot be read"):
        state.files(state.held[0])
    state.close()


def test_no_byte_under_the_signature_can_change_without_breaking_it(rpms, tmp_path: Path) -> None:
    rpms.key_file()
    rpms.installed()
    state, keys, chance = RpmState(LinuxHost(), str(rpms.database), tmp_path), RpmKeys(LinuxHost()), random.Random(8)
    state.refresh()
    (made,) = signatures(state.held[0].package.signatures[0])
    whole = b"".join(state.header(state.held[0]).signed())
    assert keys.signer(made, [whole]) in keys.fingerprints()
    for _ in range(200):
        blob = bytearray(whole)
        blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
        assert keys.signer(made, [bytes(blob)]) is None
    state.close()
