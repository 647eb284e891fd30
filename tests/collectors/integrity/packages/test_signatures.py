"""Releases count only with a good signature of a key that apt trusts for that very source."""

import pytest

from collectors.integrity.packages.signatures import Signatures
from host.linux import LinuxHost


@pytest.fixture
def signatures(made, tmp_path) -> Signatures:
    made.archive()
    made.sign()
    return Signatures(LinuxHost(), tmp_path / "rings")


def _source(made, line: str) -> None:
    (made.folder / "apt/sources.list").write_text(line + "\n")


def test_a_signed_release_names_its_files_and_its_signer(made, signatures) -> None:
    (release,), flaws = signatures.releases()
    assert flaws == [] and list(release.files) == ["main/binary-amd64/Packages"]
    assert len(release.signers[0]) == 40 and release.signers[0].encode() in made.gpg("--with-colons", "--list-keys")


def test_a_detached_signature_is_as_good(made, signatures) -> None:
    next((made.folder / "lists").glob("*InRelease")).unlink()
    made.sign(detached=True)
    next((made.folder / "lists").glob("*InRelease"), None)
    (release,), _ = signatures.releases()
    assert release.files


def test_one_letter_changed_and_it_is_no_release(made, signatures) -> None:
    file = next((made.folder / "lists").glob("*InRelease"))
    file.write_bytes(file.read_bytes().replace(b"Origin: test", b"Origin: tess"))
    found, flaws = signatures.releases()
    assert found == [] and "no good signature" in flaws[0]


def test_what_stands_before_the_signed_text_is_not_read(made, signatures) -> None:
    file = next((made.folder / "lists").glob("*InRelease"))
    file.write_bytes(b"SHA256:\n " + b"0" * 64 + b" 1 evil/Packages\n\n" + file.read_bytes())
    found, _ = signatures.releases()
    assert all("evil/Packages" not in release.files for release in found)


def test_a_source_with_a_keyring_of_its_own_does_not_take_the_others(made, signatures) -> None:
    other = made.folder / "other.gpg"
    _source(made, f"deb [signed-by={other}] http://deb.example.org/debian stable main")
    assert signatures.releases()[0] == []
    other.write_bytes(made.ring.read_bytes())
    assert len(signatures.releases()[0]) == 1


def test_an_armoured_keyring_and_a_block_in_the_source_are_read(made, signatures) -> None:
    block = made.gpg("--export", "--armor").decode()
    made.ring.with_suffix(".asc").write_text(block)
    made.ring.unlink()
    assert len(signatures.releases()[0]) == 1
    made.ring.with_suffix(".asc").unlink()
    lines = "\n".join(f" {line or '.'}" for line in block.splitlines())
    text = f"Types: deb\nURIs: http://deb.example.org/debian\nSuites: stable\nComponents: main\nSigned-By:\n{lines}\n"
    (made.folder / "apt/sources.list").unlink()
    (made.folder / "apt/sources.list.d/x.sources").write_text(text)
    assert len(signatures.releases()[0]) == 1


def test_a_fingerprint_in_the_source_counts_alone(made, signatures) -> None:
    (release,), _ = signatures.releases()
    _source(made, f"deb [signed-by={release.signers[0]}] http://deb.example.org/debian stable main")
    assert len(signatures.releases()[0]) == 1
    _source(made, f"deb [signed-by={'0' * 40}] http://deb.example.org/debian stable main")
    assert signatures.releases()[0] == []
