"""Archives are read once, wholly, and what dpkg-deb says of them is what is found."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.integrity.packages.deb import read
from contracts.errors import Malformed


def _read(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read(descriptor, str(path))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_every_compression_is_read_and_the_digest_is_the_whole_files(made, compression: str) -> None:
    archive = made.archive(files={"usr/bin/a": b"a" * 100_000, "etc/b": b""}, compression=compression)
    deb, files = _read(archive)
    assert (deb.package, deb.version, deb.architecture) == ("hf-tool", "1.0", "all")
    assert deb.sha256 == hashlib.sha256(archive.read_bytes()).digest() and "/var/lib/hf/made" in deb.scripts
    by_path = {file.path: file for file in files}
    assert by_path[b"/usr/bin/a"].content == hashlib.sha256(b"a" * 100_000).digest()
    assert by_path[b"/etc/b"].size == 0 and stat.S_ISDIR(by_path[b"/usr/bin"].mode)


def test_links_and_second_names_are_what_dpkg_deb_lists(made, tmp_path) -> None:
    tree = made.folder / "tree-9-xz"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/one").write_bytes(b"1")
    os.link(tree / "usr/bin/one", tree / "usr/bin/two")
    (tree / "usr/bin/link").symlink_to("one")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 9\nArchitecture: all\nMaintainer: T <t@e.org>\nDescription: t\n"
    )
    target = tmp_path / "x.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(target)], check=True, capture_output=True)
    _, files = _read(target)
    by_path = {file.path: file for file in files}
    assert by_path[b"/usr/bin/one"].content == by_path[b"/usr/bin/two"].content == hashlib.sha256(b"1").digest()
    assert by_path[b"/usr/bin/link"].target == b"one" and by_path[b"/usr/bin/one"].owner == "root"
    told = subprocess.run(["dpkg-deb", "-c", str(target)], capture_output=True, text=True, check=True).stdout
    assert len(told.splitlines()) == sum(not file.path.startswith(b"/var/lib/dpkg") for file in files) + 1


def test_what_dpkg_lays_into_info_is_shipped_too(made) -> None:
    _, files = _read(made.archive())
    by_path = {file.path: file for file in files}
    assert by_path[b"/var/lib/dpkg/info/hf-tool.postinst"].mode & 0o777 == 0o755
    listed = b"/.\n/usr\n/usr/bin\n/usr/bin/hf-tool\n"
    assert by_path[b"/var/lib/dpkg/info/hf-tool.list"].content == hashlib.sha256(listed).digest()


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_has_another_digest(tmp_path_factory, cut: int, byte: int) -> None:
    import glob

    real = sorted(glob.glob("/var/cache/holdfast-tests/bookworm/var/cache/apt/archives/hostname_*.deb"))
    content = Path(real[0]).read_bytes() if real else b"!<arch>\n"
    at = cut % len(content)
    path = tmp_path_factory.mktemp("deb") / "x.deb"
    path.write_bytes(content[:at] + bytes([byte]) + content[at + 1 : len(content) - cut % 7])
    try:
        deb, _ = _read(path)
    except Malformed:
        return
    assert deb.sha256 == hashlib.sha256(path.read_bytes()).digest()
