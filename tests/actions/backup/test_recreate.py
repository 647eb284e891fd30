"""Bringing blobs back from the source: only what is the same to the bit, and only from regular files."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.index import Index
from actions.backup.recreate import Recreated, Recreator
from actions.backup.repository import Repository
from actions.backup.walk import entry_at
from tests.actions.backup.histories import quiet_place, save

pytestmark = pytest.mark.usefixtures("cut_alike")


@pytest.fixture
def lost(where: Path, repository: Repository) -> Iterator[tuple[Path, str, dict[bytes, int]]]:
    """A file of several blobs in a snapshot, and an index that knows none of its data; with the lengths of before."""
    with quiet_place() as root:
        yield _lost(where, repository, root)


def _lost(where: Path, repository: Repository, root: Path) -> tuple[Path, str, dict[bytes, int]]:
    root.mkdir()
    (root / "file").write_bytes(random.Random(1).randbytes(9 << 20))
    (root / "small").write_bytes(b"small")
    id = save(where, root, 0)
    repository.load_index()
    clean, lengths = Index(), {}
    for pack, blobs in repository.index.by_pack():
        if blobs[0].type is BlobType.TREE:
            clean.add_pack(pack, blobs)
        lengths.update({blob.id: blob.plain_length for blob in blobs if blob.type is BlobType.DATA})
    repository.index = clean
    return root, id, lengths


def bring(repository: Repository, id: str, lengths: dict[bytes, int], roots: tuple[bytes, ...] = (b"",)) -> Recreated:
    saver = repository.saver()
    try:
        return Recreator(repository, saver, lengths, roots, None).walk([repository.load_snapshot(id)])
    finally:
        saver.close()


def missing(repository: Repository, id: str, path: Path) -> int:
    node = entry_at(repository, repository.load_snapshot(id).tree, os.fsencode(path)).node
    return sum(not repository.index.has(BlobType.DATA, bytes.fromhex(content)) for content in node.content or ())


def test_an_unchanged_source_gives_everything_back(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]]
) -> None:
    root, id, lengths = lost
    found = bring(repository, id, lengths)
    assert found.blobs == len(lengths) > 3
    assert found.bytes == (9 << 20) + 5
    assert missing(repository, id, root / "file") == missing(repository, id, root / "small") == 0


def test_without_lengths_the_chunker_finds_them(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]]
) -> None:
    root, id, lengths = lost
    assert bring(repository, id, {}).blobs == len(lengths)
    assert missing(repository, id, root / "file") == 0


def test_one_unknown_length_follows_from_the_size(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, id, lengths = lost
    monkeypatch.setattr(Recreator, "_cut_anew", lambda *_: iter(()))
    node = entry_at(repository, repository.load_snapshot(id).tree, os.fsencode(root / "file")).node
    del lengths[bytes.fromhex((node.content or [])[1])]
    assert bring(repository, id, lengths).bytes == (9 << 20) + 5
    assert missing(repository, id, root / "file") == 0


def test_a_change_in_the_middle_costs_only_its_blob(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]]
) -> None:
    root, id, lengths = lost
    with (root / "file").open("r+b") as file:
        file.seek(4 << 20)
        file.write(b"!")
    assert bring(repository, id, lengths).blobs == len(lengths) - 1
    assert missing(repository, id, root / "file") == 1


@pytest.mark.parametrize("what", ["gone", "fifo", "directory", "link", "empty"])
def test_what_took_its_place_gives_nothing_and_hangs_nobody(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]], what: str
) -> None:
    root, id, lengths = lost
    (root / "file").rename(root / "elsewhere")
    if what == "fifo":
        os.mkfifo(root / "file")
    elif what == "directory":
        (root / "file").mkdir()
    elif what == "link":
        (root / "file").symlink_to("elsewhere")
    elif what == "empty":
        (root / "file").touch()
    assert bring(repository, id, lengths).blobs == 1
    assert missing(repository, id, root / "file") == len(lengths) - 1


def test_another_root_is_looked_at_next(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]], tmp_path: Path
) -> None:
    root, id, lengths = lost
    copy = tmp_path / "copy" / root.relative_to("/")
    copy.parent.mkdir(parents=True)
    shutil.copytree(root, copy)
    shutil.rmtree(root)
    assert bring(repository, id, lengths).blobs == 0
    assert bring(repository, id, lengths, (b"", os.fsencode(tmp_path / "copy"))).blobs == len(lengths)


def test_no_snapshot_appears_when_a_tree_is_saved_again(
    repository: Repository, lost: tuple[Path, str, dict[bytes, int]]
) -> None:
    root, id, lengths = lost
    repository.index = Index()
    found = bring(repository, id, lengths)
    assert found.trees == 1
    assert [name for name, _ in repository.snapshots()] == [id]
    assert missing(repository, id, root / "file") == 0
