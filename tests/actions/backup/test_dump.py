"""Dump: a file byte for byte, a directory as an archive from which GNU tar makes the same directory again; damage is never passed on."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.dump import Dumped, dump
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.repository import Repository
from actions.backup.walk import NoSuchEntry, entry_at
from contracts.errors import HoldfastError
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.histories import save
from tests.actions.backup.odd_tree import make, shape


@pytest.fixture
def saved(where: Path, tmp_path: Path, version: int) -> tuple[Repository, str, Path]:
    """Everything a file system can hold, in a repository of either version, and a file of zeros in the middle."""
    from actions.backup.stores.local import LocalStore

    repository = Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    root = make(tmp_path / "tree")
    with (root / "holes").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.seek(48 << 20, os.SEEK_CUR)
        file.write(os.urandom(1 << 20))
        file.truncate(80 << 20)
    long = root / ("long " * 20) / ("name " * 30)
    long.mkdir(parents=True)
    (long / "file").write_text("far down")
    os.symlink("target " * 30, long / "link")
    os.utime(root / "empty", ns=(5, 1_000_000_007))  # GNU tar loses the sign of parts of a second before 1970
    os.utime(root, ns=(1, 1_600_000_000_123_456_000))
    id = save(where, root, 0)
    repository.load_index()
    return repository, repository.load_snapshot(id).tree, root


def test_a_file_comes_out_byte_for_byte(saved: tuple[Repository, str, Path], restic: Restic) -> None:
    repository, tree, root = saved
    for name in (b"big random", b"empty", b"sparse", b"\xff\xfe not utf-8"):
        out = io.BytesIO()
        path = os.fsencode(root) + b"/" + name
        dumped = dump(repository, tree, path, out)
        assert out.getvalue() == Path(os.fsdecode(path)).read_bytes()
        assert dumped == Dumped(1, len(out.getvalue()))
    assert restic("dump", "latest", root / "big text").stdout == (root / "big text").read_bytes()


def test_gnu_tar_makes_the_same_directory_again(saved: tuple[Repository, str, Path], tmp_path: Path) -> None:
    repository, tree, root = saved
    archive = tmp_path / "dump.tar"
    with archive.open("wb") as out:
        dumped = dump(repository, tree, os.fsencode(root), out)
    assert dumped.entries > 60
    assert archive.stat().st_size < 50 << 20, "the holes were written in full"
    target = tmp_path / "out"
    target.mkdir()
    words = ["--xattrs", "--xattrs-include=*", "--acls", "--same-owner", "-xpf"]
    done = subprocess.run(["tar", "-C", target, *words, archive], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    copy = target / root.relative_to("/")
    assert (copy / "holes").stat().st_blocks * 512 < 40 << 20
    assert shape(copy) == shape(root)


def test_python_reads_the_archive_too(saved: tuple[Repository, str, Path], tmp_path: Path) -> None:
    repository, tree, root = saved
    archive = tmp_path / "dump.tar"
    with archive.open("wb") as out:
        dump(repository, tree, os.fsencode(root), out)
    with tarfile.open(archive) as found:
        names = {os.fsencode("/" + member.name): member for member in found.getmembers()}
        hole = names[os.fsencode(root / "holes")]
        assert hole.issparse()
        assert (hole.size, found.extractfile(hole).read()) == (80 << 20, (root / "holes").read_bytes())  # type: ignore[union-attr]
        links = [member for member in names.values() if member.islnk()]
        assert len(links) == 2
    on_disk = {
        os.path.join(os.fsencode(folder), os.fsencode(name))
        for folder, dirs, files in os.walk(root)
        for name in dirs + files
    }
    assert set(names) == {os.fsencode(root), *on_disk} - {os.fsencode(root / "socket")}


def test_the_whole_snapshot_begins_at_the_root(saved: tuple[Repository, str, Path], tmp_path: Path) -> None:
    repository, tree, root = saved
    archive = tmp_path / "dump.tar"
    with archive.open("wb") as out:
        dump(repository, tree, b"/", out)
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, check=True).stdout.splitlines()
    assert listed[0] == b"/".join(os.fsencode(root).split(b"/")[1:2]) + b"/"


@pytest.mark.parametrize(("name", "why"), [("nope", "no such path"), ("link", "is a symlink"), ("fifo", "is a fifo")])
def test_what_is_neither_file_nor_directory_is_refused(
    saved: tuple[Repository, str, Path], name: str, why: str
) -> None:
    repository, tree, root = saved
    out = io.BytesIO()
    with pytest.raises(NoSuchEntry, match=why):
        dump(repository, tree, os.fsencode(root / name), out)
    assert out.getvalue() == b""


def test_a_damaged_file_is_never_passed_on(saved: tuple[Repository, str, Path], where: Path) -> None:
    repository, tree, root = saved
    node = entry_at(repository, tree, os.fsencode(root / "big random")).node
    assert node.content
    (place,) = repository.index.find(BlobType.DATA, bytes.fromhex(node.content[-1]))
    path = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[place.offset + place.length // 2] ^= 1
    path.write_bytes(data)
    out = io.BytesIO()
    with pytest.raises(Damaged, match=place.pack.hex()):
        dump(repository, tree, os.fsencode(root / "big random"), out)
    assert (root / "big random").read_bytes().startswith(out.getvalue())
    out = io.BytesIO()
    with pytest.raises(Damaged):
        dump(repository, tree, os.fsencode(root), out)
    assert not out.getvalue().endswith(bytes(1024)), "an archive that is cut off has no end mark"


def test_what_is_known_to_be_missing_is_told_and_left_out(
    saved: tuple[Repository, str, Path], where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, tree, root = saved
    node = entry_at(repository, tree, os.fsencode(root / "big random")).node
    gone = bytes.fromhex((node.content or [""])[0])
    real = repository.index.plain_length
    monkeypatch.setattr(repository.index, "plain_length", lambda type, id: None if id == gone else real(type, id))
    told: list[tuple[bytes, HoldfastError]] = []
    archive = tmp_path / "dump.tar"
    with archive.open("wb") as out:
        dump(repository, tree, os.fsencode(root), out, trouble=lambda *what: told.append(what))
    assert [path for path, _ in told] == [os.fsencode(root / "big random")]
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, check=True).stdout
    assert b"big random" not in listed
    assert b"big text" in listed
    with pytest.raises(NoSuchBlob):
        dump(repository, tree, os.fsencode(root), io.BytesIO())


def test_a_file_whose_length_is_not_what_it_says_is_damaged(
    saved: tuple[Repository, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, tree, root = saved
    from actions.backup import dump as module

    entry = entry_at(repository, tree, os.fsencode(root / "big text"))
    for wrong in (entry.node.size + 1, entry.node.size - 1):
        entry.node.size = wrong
        monkeypatch.setattr(module, "entry_at", lambda *_: entry)
        with pytest.raises(Damaged, match="it is said to have"):
            dump(repository, tree, entry.path, io.BytesIO())
