"""The restorer: what restic or Holdfast saved comes back to the last bit, and nothing that is damaged is restored silently."""

import gc
import os
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.restorer import NoSuchPath, Overwrite, Restorer, find_tree
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import Handle, StoreError
from actions.backup.tree import encode_tree
from actions.backup.walking import steps
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.odd_tree import make, shape


def restore(repository: Repository, root: Path, target: Path, id: str = "") -> list[object]:
    repository.load_index()
    snapshots = dict(repository.snapshots())
    tree = find_tree(repository, snapshots[id or next(iter(snapshots))].tree, str(root))
    return list(Restorer(repository, verify=True).restore(tree, str(target)).failed)


def inner(found: dict[bytes, tuple[object, ...]]) -> dict[bytes, tuple[object, ...]]:
    """Without the top directory, which the target was before."""
    return {path: what for path, what in found.items() if path != b"."}


def test_what_holdfast_saved_comes_back_even_what_restic_014_cannot(where: Path, tmp_path: Path, version: int) -> None:
    root = make(tmp_path / "tree")
    repository = Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    Archiver(repository).snapshot([str(root)], hostname="here")
    assert restore(repository, root, tmp_path / "restored") == []
    assert inner(shape(tmp_path / "restored", sparse=True)) == {
        **inner(shape(root, sparse=True)),
    }


@pytest.mark.parametrize(
    "words", [("--repository-version", "1"), ("--repository-version", "2")], ids=["version 1", "version 2"]
)
@pytest.mark.parametrize("compression", ["auto", "max", "off"])
def test_what_restic_saved_comes_back(
    where: Path, tmp_path: Path, restic: Restic, words: tuple[str, str], compression: str
) -> None:
    root = make(tmp_path / "tree", non_utf8_links=False)
    restic("init", *words)
    if words[1] == "2":
        restic("--compression", compression, "backup", root)
    else:
        restic("backup", root)
    repository = Repository.open(LocalStore(where), PASSWORD)
    assert repository.config.version == int(words[1])
    assert restore(repository, root, tmp_path / "restored") == []
    assert inner(shape(tmp_path / "restored")) == inner(shape(root))


def test_what_exists_is_left_alone_and_reported(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_text("saved")
    (root / "sub" / "file").write_text("saved")
    Archiver(repository).snapshot([str(root)], hostname="here")
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (target / "sub").symlink_to(tmp_path / "elsewhere")
    failed = restore(repository, root, target)
    assert [told.path for told in failed] == [b"file", b"sub"]  # type: ignore[attr-defined]
    assert (target / "file").read_text() == "mine"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_whose_content_is_damaged_is_not_there_and_is_named(
    repository: Repository, tmp_path: Path, where: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "good").write_bytes(os.urandom(1000))
    (root / "bad").write_bytes(os.urandom(2000))
    Archiver(repository).snapshot([str(root)], hostname="here")
    repository.load_index()
    place = next(
        repository.index.find(blob.type, blob.id)[0]
        for _, blob in repository.index.blobs()
        if blob.type is BlobType.DATA and blob.plain_length == 2000
    )
    pack = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    data = bytearray(pack.read_bytes())
    data[place.offset + 100] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    failed = restore(repository, root, tmp_path / "restored")
    assert [told.path for told in failed] == [b"bad"]  # type: ignore[attr-defined]
    assert place.pack.hex() in str(failed[0])
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["good"]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", ".", "", "a\\x00b", "sub/file"])
def test_a_snapshot_with_names_that_lead_outside_is_refused(repository: Repository, tmp_path: Path, name: str) -> None:
    now = "2026-01-01T00:00:00Z"
    honest = Node(name="ok", type="file", mode=0o644, mtime=now, atime=now, ctime=now, uid=0, gid=0, content=[])
    blob = encode_tree([honest]).replace(b'"name":"ok"', b'"name":"%s"' % name.replace("\\", "\\\\").encode())
    saver = repository.saver()
    tree = saver.save(BlobType.TREE, blob)[0]
    saver.finish()
    restored = Restorer(repository).restore(tree.hex(), str(tmp_path / "target"))
    assert len(restored.failed) == 1
    assert list((tmp_path / "target").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_a_store_that_breaks_off_ends_the_restore_and_leaves_only_whole_files(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are written by several threads at once: what one of them meets ends all."""
    root = tmp_path / "tree"
    for number in range(300):
        (root / f"{number % 20}").mkdir(parents=True, exist_ok=True)
        (root / f"{number % 20}" / f"file{number:03d}").write_bytes(os.urandom(500))
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(root)], hostname="here")
    repository.load_index()
    tree = find_tree(repository, dict(repository.snapshots())[id].tree, str(root))
    load, left = LocalStore.load, iter(range(26))  # trees, and the files of each directory together

    def breaking(self: LocalStore, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        if next(left, None) is None:
            raise StoreError("the link is cut", permanent=False)
        return load(self, handle, offset, length)

    monkeypatch.setattr(LocalStore, "load", breaking)
    gc.collect()  # what other tests have left open is closed now, not meanwhile
    before = len(os.listdir("/proc/self/fd"))
    target = tmp_path / "restored"
    with pytest.raises(StoreError, match="cut"):
        Restorer(repository, verify=True).restore(tree, str(target))
    assert len(os.listdir("/proc/self/fd")) == before
    there = [path for path in target.rglob("*") if path.is_file()]
    assert 60 < len(there) < 300
    assert all(path.read_bytes() == (root / path.relative_to(target)).read_bytes() for path in there)


def test_a_path_that_is_not_in_the_snapshot(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    id, _ = Archiver(repository).snapshot([str(tmp_path / "file")], hostname="here")
    for path in ("/nowhere", str(tmp_path / "file")):
        with pytest.raises(NoSuchPath):
            find_tree(repository, repository.load_snapshot(id).tree, path)


def place(tmp_path: Path, repository: Repository) -> tuple[str, Path]:
    """A small snapshot's tree and a target in which something else stands in its way."""
    root = tmp_path / "small"
    (root / "folder").mkdir(parents=True)
    for name in ("same", "changed", "folder/deep"):
        (root / name).write_text(f"saved {name}")
        os.utime(root / name, ns=(10**18, 10**18))
    (root / "link").symlink_to("same")
    os.link(root / "same", root / "twin")
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(root)], hostname="here")
    repository.load_index()
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    target = tmp_path / "target"
    Restorer(repository).restore(tree, target)
    (target / "changed").write_text("changed since")
    (target / "own").write_text("not in the snapshot")
    (target / "link").unlink()
    (target / "link").mkdir()
    return tree, target


def test_overwriting_always_replaces_what_stands_there_and_leaves_the_rest(
    repository: Repository, tmp_path: Path
) -> None:
    tree, target = place(tmp_path, repository)
    before = (target / "same").stat().st_ino
    done = Restorer(repository, overwrite=Overwrite.ALWAYS, verify=True).restore(tree, target)
    assert (target / "changed").read_text() == "saved changed"
    assert (target / "own").read_text() == "not in the snapshot"
    assert (target / "same").stat().st_ino != before
    assert (target / "same").stat().st_ino == (target / "twin").stat().st_ino
    assert [told.path for told in done.failed] == [b"link"], "a directory is not removed for a link"
    assert not [path for path in target.rglob("*") if path.name.startswith(".holdfast-")]


def test_overwriting_what_changed_reads_no_more_than_it_must(repository: Repository, tmp_path: Path) -> None:
    tree, target = place(tmp_path, repository)
    (target / "link").rmdir()
    (target / "same").chmod(0o600)
    done = Restorer(repository, overwrite=Overwrite.IF_CHANGED).restore(tree, target)
    assert done.failed == []
    assert (target / "changed").read_text() == "saved changed"
    assert (target / "same").stat().st_mode & 0o777 == 0o644
    assert done.unchanged == 3
    assert os.readlink(target / "link") == "same"


def test_a_file_that_only_seems_unchanged_is_found_by_verifying(repository: Repository, tmp_path: Path) -> None:
    tree, target = place(tmp_path, repository)
    (target / "link").rmdir()
    (target / "folder" / "deep").write_text("forged folder/deep"[:17])
    os.utime(target / "folder" / "deep", ns=(10**18, 10**18))
    assert Restorer(repository, overwrite=Overwrite.IF_CHANGED).restore(tree, target).failed == []
    assert (target / "folder" / "deep").read_text().startswith("forged")
    Restorer(repository, overwrite=Overwrite.IF_CHANGED, verify=True).restore(tree, target)
    assert (target / "folder" / "deep").read_text() == "saved folder/deep"


def test_never_overwriting_leaves_and_counts(repository: Repository, tmp_path: Path) -> None:
    tree, target = place(tmp_path, repository)
    (target / "folder" / "deep").unlink()
    done = Restorer(repository, overwrite=Overwrite.NEVER).restore(tree, target)
    assert (target / "changed").read_text() == "changed since"
    assert (target / "folder" / "deep").read_text() == "saved folder/deep"
    assert (done.files, done.skipped, done.failed) == (1, 4, [])


def test_only_what_is_asked_for_is_restored(repository: Repository, tmp_path: Path) -> None:
    tree, _ = place(tmp_path, repository)
    target = tmp_path / "other"
    done = Restorer(repository, excluded=lambda path: path == b"/changed").restore(tree, target)
    assert not (target / "changed").exists()
    assert (target / "same").exists()
    wanted = steps([b"/folder/deep", b"/nowhere/at all", b"/same/below"])
    target = tmp_path / "part"
    done = Restorer(repository).restore(tree, target, wanted)
    assert sorted(path.name for path in target.rglob("*")) == ["deep", "folder"]
    assert sorted(told.path for told in done.failed) == [b"nowhere", b"same"]
