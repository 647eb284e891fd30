"""Packages are found in lists that a signed Release names, whatever way they are kept."""

import gzip
import lzma
import os

import pytest

from collectors.integrity.packages.indices import find
from collectors.integrity.packages.signatures import Signatures
from host.linux import LinuxHost

NAMES = frozenset({"hf-tool"})


@pytest.fixture
def releases(made, tmp_path):
    for version in ("1.0", "1.1"):
        made.archive(version)
    made.packages = "Package: other\nVersion: 1\nSHA256: " + "0" * 64 + "\n\n" + made.packages
    made.sign()
    return Signatures(LinuxHost(), tmp_path / "rings").releases()[0]


def test_every_version_of_a_package_is_found_with_its_signer(releases) -> None:
    found, flaws = find(LinuxHost(), releases, NAMES)
    assert flaws == [] and [one.stanza.version for one in found] == ["1.0", "1.1"]
    assert all(len(one.signers[0]) == 40 for one in found)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_list_that_is_kept_compressed_is_read(made, releases, ending: str, pack) -> None:
    file = next((made.folder / "lists").glob("*_Packages"))
    (made.folder / "lists" / (file.name + ending)).write_bytes(pack(file.read_bytes()))
    file.unlink()
    assert len(find(LinuxHost(), releases, NAMES)[0]) == 2


def test_a_list_that_is_not_the_signed_one_yields_nothing_and_is_named(made, releases) -> None:
    file = next((made.folder / "lists").glob("*_Packages"))
    file.write_text(file.read_text().replace("Version: 1.1", "Version: 6.6"))
    found, flaws = find(LinuxHost(), releases, NAMES)
    assert found == [] and "is not the one that the signed Release names" in flaws[0]


def test_a_list_that_cannot_be_unpacked_is_named(made, releases) -> None:
    file = next((made.folder / "lists").glob("*_Packages"))
    os.rename(file, f"{file}.xz")
    found, flaws = find(LinuxHost(), releases, NAMES)
    assert found == [] and len(flaws) == 1
