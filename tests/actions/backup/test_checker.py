"""The checker: each byte of a small repository flipped in turn is detected and named, and so is what it costs."""

import os
import shutil
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.checker import Checked, Checker
from actions.backup.errors import Damaged, NoRepository, Unsupported, WrongPassword
from actions.backup.ids import id_of
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import LocalStore
from contracts.errors import HoldfastError
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic, flip
from tests.actions.backup.odd_tree import make


def check(where: Path, *, read_data: bool = True) -> Checked:
    return Checker(Repository.open(LocalStore(where), PASSWORD), read_data=read_data).check()


@pytest.fixture
def small(where: Path, tmp_path: Path, version: int) -> Path:
    """A repository of some kilobytes: two files and a directory in one snapshot."""
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "one").write_bytes(b"one" * 50)
    (root / "sub" / "two").write_bytes(os.urandom(40))
    repository = Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    Archiver(repository).snapshot([str(root)], hostname="here")
    return root


def test_a_whole_repository_has_no_problem(small: Path, where: Path) -> None:
    found = check(where)
    assert (found.problems, found.losses, found.unnamed_packs, found.packs) == ([], [], [], 2)


def test_each_flipped_byte_is_detected_and_its_file_named(small: Path, where: Path) -> None:
    files = sorted(path for path in where.rglob("*") if path.is_file())
    assert len(files) == 6
    missed = []
    opened = Repository.open(LocalStore(where), PASSWORD)
    for path in files:
        at_opening = path.name == "config" or path.parent.name == "keys"
        for position in range(path.stat().st_size):
            flip(path, position, position % 8)
            try:
                problems = (check(where) if at_opening else Checker(opened, read_data=True).check()).problems
            except Damaged as error:
                problems = [error]
            flip(path, position, position % 8)
            if not any(path.name in problem.where for problem in problems):
                missed.append((path.name, position, problems))
    assert missed == []
    assert check(where).problems == []


STRIDE = 1 if os.environ.get("HOLDFAST_BACKUP_BYTES") else 5
"""`make soak-backup` takes every byte; else every fifth."""


def test_no_flipped_byte_is_ever_restored(small: Path, where: Path, tmp_path: Path) -> None:
    """Whatever byte of whatever file is flipped, a restore from scratch yields the right bytes, or says what is missing or damaged."""
    originals = (small / "one", small / "sub" / "two")
    said = 0
    for path in sorted(path for path in where.rglob("*") if path.is_file()):
        size = path.stat().st_size
        for position in range(size % STRIDE, size, STRIDE):
            flip(path, position, position % 8)
            target = tmp_path / "restored"
            try:
                repository = Repository.open(LocalStore(where), PASSWORD)
                repository.load_index()
                ((_, snapshot),) = repository.snapshots()
                restored = Restorer(repository).restore(snapshot.tree, str(target))
            except HoldfastError as error:
                assert error.message
                said += 1
                assert not target.exists() or list(target.rglob("*")) == []
                continue
            finally:
                flip(path, position, position % 8)
            for original in originals:
                copy = target / original.relative_to("/")
                if copy.exists():
                    assert copy.read_bytes() == original.read_bytes()
                else:
                    said += 1
                    assert any(os.fsencode(str(original)[1:]).startswith(told.path) for told in restored.failed)
            shutil.rmtree(target)
    assert said > 100


@pytest.mark.parametrize("folder", ["data", "index", "snapshots", "keys"])
def test_a_missing_or_cut_file_is_noticed(small: Path, where: Path, folder: str) -> None:
    for path in sorted(path for path in (where / folder).rglob("*") if path.is_file()):
        whole = path.read_bytes()
        path.chmod(0o600)
        for cut in (0, 1, 31, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:cut])
            try:
                problems = check(where).problems
            except Damaged as error:
                problems = [error]
            assert any(path.name in problem.where for problem in problems), (path, cut)
        path.unlink()
        if folder == "data":
            found = check(where)
            assert path.name in found.problems[0].where
            assert found.losses
        elif folder == "index":
            assert [loss.path for loss in check(where).losses] == [b"/"]
        elif folder == "keys":
            with pytest.raises(Damaged):
                check(where)
        path.write_bytes(whole)
    assert check(where).problems == []


def test_what_a_lost_pack_costs_is_named_exactly(where: Path, tmp_path: Path, repository: Repository) -> None:
    root = tmp_path / "tree"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_bytes(os.urandom(1000))
        first, _ = Archiver(repository).snapshot([str(root / name)], hostname="here")
        repository.load_index()
    (place,) = repository.index.find(BlobType.DATA, id_of((root / "b" / "file").read_bytes()))
    lost = place.pack.hex()
    (where / "data" / lost[:2] / lost).unlink()
    found = check(where, read_data=False)
    assert [(loss.snapshot, loss.path) for loss in found.losses] == [(first, os.fsencode(root / "b" / "file"))]
    assert lost in found.losses[0].why


def test_what_restic_wrote_is_whole_to_us(where: Path, tmp_path: Path, restic: Restic, version: int) -> None:
    restic("init", "--repository-version", str(version))
    restic("backup", make(tmp_path / "tree", non_utf8_links=False))
    found = check(where)
    assert (found.problems, found.losses) == ([], [])
    assert found.packs >= 2


def test_what_is_not_a_repository_is_said_plainly(where: Path, tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(NoRepository) as missing:
        Repository.open(LocalStore(tmp_path / "nothing"), PASSWORD)
    assert missing.value.exit_code == 10
    with pytest.raises(WrongPassword) as wrong:
        Repository.open(LocalStore(where), "battery staple")
    assert wrong.value.exit_code == 12
    with pytest.raises(Unsupported):
        Repository.create(LocalStore(tmp_path / "new"), PASSWORD, version=3, cost=CHEAP)
    assert not (tmp_path / "new").exists()
