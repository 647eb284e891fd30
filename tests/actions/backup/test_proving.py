"""A proof that can fail: a damaged pack, a source that is not what was saved, and a snapshot that holds nothing."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from actions.backup import proving
from actions.backup.archiver import Archiver, Choices
from actions.backup.proving import Proof, choose, prove
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    for number in range(12):
        path = made / f"folder{number % 3}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1000 + number))
    (made / "empty").mkdir()
    (made / "link").symlink_to("nowhere")
    return made


@pytest.fixture
def snapshot(repository: Repository, source: Path) -> Snapshot:
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(source)], hostname="here")
    repository.load_index()
    return repository.load_snapshot(id)


def tried(repository: Repository, snapshot: Snapshot, tmp_path: Path, **limits: int) -> Proof:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    given = {"files": 50, "max_bytes": 1 << 20, **limits}
    found = prove(repository, snapshot, str(scratch), dice=random.Random(1), **given)
    assert list(scratch.iterdir()) == [], "nothing is left"
    return found


def test_files_come_back_and_are_the_same_as_their_sources(
    repository: Repository, snapshot: Snapshot, tmp_path: Path
) -> None:
    proof = tried(repository, snapshot, tmp_path)
    assert proof.holds
    assert proof.files == proof.same_as_source == 12


def test_a_damaged_pack_is_found_and_the_file_named(
    repository: Repository, snapshot: Snapshot, tmp_path: Path, where: Path
) -> None:
    for pack in (where / "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > 5000:
            pack.chmod(0o600)
            with pack.open("r+b") as file:
                file.seek(200)
                file.write(b"damaged")
    proof = tried(repository, snapshot, tmp_path)
    assert not proof.holds
    assert b"/file" in proof.failed[0].path


def test_a_source_that_seems_unchanged_and_is_not_is_found(
    repository: Repository, snapshot: Snapshot, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in source.rglob("file*"):
        path.write_bytes(os.urandom(path.stat().st_size))
    monkeypatch.setattr("actions.backup.proving.same_source", lambda *_: True)
    proof = tried(repository, snapshot, tmp_path)
    assert not proof.holds
    assert "unchanged source" in proof.failed[0].what


def test_what_changed_or_went_since_is_compared_with_its_hashes_alone(
    repository: Repository, snapshot: Snapshot, tmp_path: Path, source: Path
) -> None:
    (source / "folder0" / "file0").unlink()
    (source / "folder1" / "file1").write_text("new")
    proof = tried(repository, snapshot, tmp_path)
    assert (proof.holds, proof.files, proof.same_as_source) == (True, 12, 10)


def test_only_so_many_and_so_much_is_restored_and_each_file_once(
    repository: Repository, snapshot: Snapshot, tmp_path: Path
) -> None:
    found = list(choose(repository, snapshot.tree, 5, random.Random(2)))
    assert len({chosen.path for chosen in found}) == 5
    proof = tried(repository, snapshot, tmp_path, max_bytes=3500)
    assert proof.holds
    assert proof.files == 3
    assert proof.bytes <= 3500 + 1011, "of the one that passes the limit a piece is read"


def test_files_too_large_for_the_limit_are_read_in_part(
    repository: Repository, snapshot: Snapshot, tmp_path: Path
) -> None:
    proof = tried(repository, snapshot, tmp_path, max_bytes=10)
    assert (proof.holds, proof.files, proof.parts) == (True, 0, 1)
    assert proof.bytes >= 1000


def test_a_file_that_the_snapshot_lacks_is_named_and_one_that_is_left_out_is_not(
    repository: Repository, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = source / "folder1" / "file4"
    repository.load_index()
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda at: [name for name in real(at) if name not in (b"file4", "file4")])
    id, _ = Archiver(repository).snapshot([str(source)], hostname="here")
    monkeypatch.undo()
    repository.load_index()
    given: Any = {"files": 50, "max_bytes": 1 << 20, "dice": random.Random(1)}
    snapshot = repository.load_snapshot(id)
    (tmp_path / "scratch").mkdir()
    proof = prove(repository, snapshot, str(tmp_path / "scratch"), choices=Choices(), **given)
    assert [told.path for told in proof.failed] == [os.fsencode(lacking)]
    assert proof.listed >= 4
    leaves_out = Choices(excluded=lambda path, _: path == os.fsencode(lacking))
    assert prove(repository, snapshot, str(tmp_path / "scratch"), choices=leaves_out, **given).holds
    (source / "folder1" / "new").touch()
    assert prove(repository, snapshot, str(tmp_path / "scratch"), choices=Choices(), **given).holds, "it changed since"


def test_no_more_than_one_percent_of_a_large_backup_is_restored(
    repository: Repository, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "LEAST", 2000)
    proof = tried(repository, snapshot, tmp_path)
    assert proof.holds
    assert proof.bytes < 2000 + 1011


def test_a_snapshot_without_files_proves_nothing(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "hollow" / "below").mkdir(parents=True)
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(tmp_path / "hollow")], hostname="here")
    repository.load_index()
    proof = tried(repository, repository.load_snapshot(id), tmp_path)
    assert not proof.holds
