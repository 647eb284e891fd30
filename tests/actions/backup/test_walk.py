"""The walk meets every entry once, in order, and says what it could not read."""

import os
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.repository import Repository
from actions.backup.walk import NoSuchEntry, entry_at, go_text, walk
from contracts.errors import HoldfastError
from tests.actions.backup.histories import save


@pytest.fixture
def tree(where: Path, tmp_path: Path, repository: Repository) -> tuple[str, bytes]:
    root = tmp_path / "tree"
    (root / "a" / "deep").mkdir(parents=True)
    (root / "a" / "deep" / "file").write_text("x")
    (root / "a-file").write_text("y")
    (root / "b").mkdir()
    os.symlink("a", os.fsencode(root) + b"/\xff")
    id = save(where, root, 0)
    repository.load_index()
    return repository.load_snapshot(id).tree, os.fsencode(root)


def test_every_entry_comes_once_parents_first(repository: Repository, tree: tuple[str, bytes]) -> None:
    id, root = tree
    found = [entry.path for entry in walk(repository, id)]
    below = [path.removeprefix(root) for path in found if path.startswith(root)]
    assert below == [b"", b"/a", b"/a/deep", b"/a/deep/file", b"/a-file", b"/b", b"/\xff"]
    assert found[0] == b"/" + root.split(b"/")[1]


def test_directories_are_entered_only_when_asked(repository: Repository, tree: tuple[str, bytes]) -> None:
    id, root = tree
    found = [e.path for e in walk(repository, id, enter=lambda e: root.startswith(e.path)) if e.path.startswith(root)]
    assert found == [root, *(root + name for name in (b"/a", b"/a-file", b"/b", b"/\xff"))]


def test_an_entry_is_found_by_its_path(repository: Repository, tree: tuple[str, bytes]) -> None:
    id, root = tree
    entry = entry_at(repository, id, root + b"//a/./deep/file".replace(b"/./", b"/"))
    assert (entry.path, entry.node.size) == (root + b"/a/deep/file", 1)
    assert entry_at(repository, id, root + b"/\xff").text.endswith("/\ufffd")


@pytest.mark.parametrize("below", [b"/nope", b"/a-file/x", b"/a/../b", b"/\xff/deep"])
def test_a_path_that_is_not_there_is_refused(repository: Repository, tree: tuple[str, bytes], below: bytes) -> None:
    with pytest.raises(NoSuchEntry):
        entry_at(repository, tree[0], tree[1] + below)
    with pytest.raises(NoSuchEntry, match="the snapshot itself"):
        entry_at(repository, tree[0], b"/")


def test_a_directory_that_cannot_be_read_is_told_and_the_rest_comes(
    repository: Repository, tree: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    id, root = tree
    lost = entry_at(repository, id, root + b"/a").node.subtree
    load = Repository.load_blob

    def damaged(self: Repository, type: BlobType, id: bytes) -> bytes:
        if id.hex() == lost:
            raise NoSuchBlob("it is in no index")
        return load(self, type, id)

    monkeypatch.setattr(Repository, "load_blob", damaged)
    told: list[tuple[bytes, HoldfastError]] = []
    found = [entry.path for entry in walk(repository, id, trouble=lambda *what: told.append(what))]
    assert [path for path, _ in told] == [root + b"/a"]
    assert root + b"/b" in found
    assert root + b"/a/deep" not in found
    with pytest.raises(NoSuchBlob):
        list(walk(repository, id))


def test_a_directory_without_a_tree_is_damage(repository: Repository, tree: tuple[str, bytes]) -> None:
    entry = entry_at(repository, tree[0], tree[1] + b"/a")
    entry.node.subtree = None
    told: list[bytes] = []
    from actions.backup.walk import _entries

    assert _entries(repository, None, b"/a", lambda path, _: told.append(path)) == []
    assert told == [b"/a"]
    with pytest.raises(Damaged):
        _entries(repository, None, b"/a", None)


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"plain", "plain"), ("é😀".encode(), "é😀"), (b"a\xff\xfeb", "a\ufffd\ufffdb"), (b"\xf0\x9f\x98", "\ufffd" * 3)],
)
def test_bytes_that_are_not_utf_8_are_shown_as_go_does(raw: bytes, text: str) -> None:
    assert go_text(raw) == text
