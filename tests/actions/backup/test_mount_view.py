"""A repository as a tree of files, without FUSE: paths, attributes, bytes, and exactly what damage hurts."""

import os
import random
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged
from actions.backup.forget import forget_ids
from actions.backup.mount_view import REFRESH_S, View
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, parse_max_unused, plan_prune
from actions.backup.repository import Repository
from tests.actions.backup.odd_tree import make


def save(repository: Repository, root: Path) -> str:
    repository.load_index()
    return Archiver(repository).snapshot([str(root)], hostname="here", tags=["etc"])[0]


def under(root: Path, *names: bytes) -> bytes:
    return b"/snapshots/%s" % b"/".join((os.fsencode(root).lstrip(b"/"), *names))


def spoil(repository: Repository, where: Path, id: bytes) -> str:
    """Change a byte of the blob in its pack; returns the pack's name."""
    place = repository.index.find(BlobType.DATA, id)[0]
    pack = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[place.offset + 20] ^= 1
    pack.write_bytes(data)
    return place.pack.hex()


def node_path(view: View, root: Path, name: bytes) -> bytes:
    (first,) = [each for each, _, _ in view.names(view.find(b"/ids"))]
    return b"/ids/" + first + os.fsencode(root) + b"/" + name


def test_every_attribute_is_that_of_the_source(repository: Repository, tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    save(repository, root)
    view = View(repository)
    for name in os.listdir(os.fsencode(root)):
        status = os.lstat(os.fsencode(root) + b"/" + name)
        if stat.S_ISSOCK(status.st_mode):
            continue
        found = view.attributes(view.find(node_path(view, root, name)))
        assert (found.mode, found.uid, found.gid) == (status.st_mode, status.st_uid, status.st_gid), name
        assert found.mtime_ns == status.st_mtime_ns, name
        if not stat.S_ISDIR(status.st_mode):
            assert (found.size, found.links, found.device) == (status.st_size, status.st_nlink, status.st_rdev), name
    linked = {view.attributes(view.find(node_path(view, root, name))).inode for name in (b"plain", b"hard link")}
    assert len(linked) == 1
    assert view.attributes(view.find(node_path(view, root, b"sparse"))).blocks * 512 < 8 << 20, "holes take no room"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(offset=st.integers(0, 3_000_100), size=st.integers(1, 1_500_000))
def test_any_part_of_a_file_is_what_the_source_has_there(
    repository: Repository, tmp_path: Path, offset: int, size: int
) -> None:
    root = tmp_path / "tree"
    if not root.exists():
        root.mkdir()
        (root / "file").write_bytes(os.urandom(3_000_000))
        save(repository, root)
    view = View(repository, cache_bytes=1 << 20)
    read = view.read(view.find(node_path(view, root, b"file")), size, offset)
    assert read == (root / "file").read_bytes()[offset : offset + size]


def test_damage_hurts_the_bytes_of_its_blob_alone_and_names_the_pack(
    repository: Repository, tmp_path: Path, where: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    content = os.urandom(6 << 20)
    (root / "big").write_bytes(content)
    save(repository, root)
    repository.load_index()
    view = View(repository, cache_bytes=1)
    found = view.find(node_path(view, root, b"big"))
    ids = [bytes.fromhex(id) for id in found.node.content]  # type: ignore[union-attr]
    assert len(ids) > 2
    pack = spoil(repository, where, ids[1])
    begin = repository.index.plain_length(BlobType.DATA, ids[0]) or 0
    end = begin + (repository.index.plain_length(BlobType.DATA, ids[1]) or 0)
    assert view.read(found, begin, 0) == content[:begin]
    assert view.read(found, len(content), end) == content[end:]
    with pytest.raises(Damaged, match=pack):
        view.read(found, 2, begin - 1)
    with pytest.raises(Damaged, match=pack):
        view.read(found, 1, end - 1)


def test_what_is_not_there_and_what_is_no_directory(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_text("x")
    save(repository, root)
    view = View(repository)
    for path in (b"/nothing", b"/ids/00000000", node_path(view, root, b"nothing")):
        with pytest.raises(FileNotFoundError):
            view.find(path)
    with pytest.raises(NotADirectoryError):
        view.find(node_path(view, root, b"file/below"))
    with pytest.raises(NotADirectoryError):
        list(view.names(view.find(node_path(view, root, b"file"))))
    with pytest.raises(IsADirectoryError):
        view.open(view.find(b"/ids"))
    with pytest.raises(OSError, match="Invalid"):
        view.target(view.find(b"/ids"))
    assert view.extended(view.find(b"/ids")) == {}


def test_new_snapshots_appear_after_a_while(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_text("one")
    save(repository, root)
    now = 0.0
    view = View(Repository.open(repository.store, "correct horse"), clock=lambda: now)
    (root / "new").write_bytes(b"later")
    save(repository, root)
    assert len(list(view.names(view.find(b"/ids")))) == 1
    now = REFRESH_S + 1
    assert len(list(view.names(view.find(b"/ids")))) == 2
    latest = b"/snapshots/" + view.target(view.find(b"/snapshots/latest"))
    assert view.read(view.find(latest + os.fsencode(root) + b"/new"), 100, 0) == b"later"


def test_without_a_lock_a_prune_elsewhere_is_followed(repository: Repository, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "stays").write_bytes(os.urandom(40_000))
    (root / "goes").write_bytes(os.urandom(900_000))
    first = save(repository, root)
    (root / "goes").unlink()
    save(repository, root)
    view = View(Repository.open(repository.store, "correct horse"), locked=False, clock=lambda: 1000.0)
    latest = b"/snapshots/" + view.target(view.find(b"/snapshots/latest"))
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, [first], lock)
        repository.load_index()
        prune(repository, plan_prune(repository, PruneOptions(max_unused=parse_max_unused("0%"))), lock)
    assert view.read(view.find(latest + os.fsencode(root) + b"/stays"), 1 << 20, 0) == (root / "stays").read_bytes()


@pytest.mark.usefixtures("cut_alike")
def test_who_reads_from_front_to_back_finds_the_next_blobs_loaded(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    content = random.Random(3).randbytes(12 << 20)
    (root / "film").write_bytes(content)
    save(repository, root)
    view = View(repository)
    by: list[str] = []
    real = Repository.load_blob

    def load_blob(self: Repository, type: BlobType, id: bytes) -> bytes:
        if type is BlobType.DATA:
            by.append(threading.current_thread().name)
        return real(self, type, id)

    monkeypatch.setattr(Repository, "load_blob", load_blob)
    found = view.find(node_path(view, root, b"film"))
    pieces: list[bytes] = []
    for offset in range(0, len(content), 128 << 10):
        pieces.append(view.read(found, 128 << 10, offset))
        until = time.monotonic() + 60
        while view._ahead._waiting:  # this reader is slower than the loads
            assert time.monotonic() < until
            time.sleep(0.001)
    view.close()
    assert b"".join(pieces) == content
    blobs = len(view._file(found).ids)
    assert blobs > 4
    assert len(by) == blobs, "each is loaded once"
    assert sum(name.startswith("ahead") for name in by) >= blobs // 2
