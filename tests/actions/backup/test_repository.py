"""The repository: Holdfast and the stock restic work in one in turn, and either reads all that the other wrote."""

import os
import random
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.checker import Checker
from actions.backup.errors import AlreadyRepository, Damaged, NoSuchBlob
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import StoreError
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.odd_tree import make, shape


@pytest.mark.parametrize("begins", ["holdfast", "restic"])
def test_both_work_in_one_repository_in_turn(
    where: Path, tmp_path: Path, restic: Restic, version: int, begins: str
) -> None:
    root = make(tmp_path / "tree", non_utf8_links=False)
    if begins == "restic":
        restic("init", "--repository-version", str(version))
    else:
        Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    dice = random.Random(7)
    wanted: dict[str, dict[bytes, tuple[object, ...]]] = {}
    for turn in range(4):
        (root / f"turn {turn}").write_bytes(dice.randbytes(200_000) * 3)
        (root / "big text").write_bytes(b"line of turn %d\n" % turn * 200_000)
        repository = Repository.open(LocalStore(where), PASSWORD)
        repository.load_index()
        before = {name for name, _ in repository.snapshots()}
        if (turn + (begins == "restic")) % 2:
            restic("backup", "--host", "here", root)
        else:
            latest = max(repository.snapshots(), key=lambda pair: pair[1].time_ns, default=None)
            with repository.lock():
                Archiver(repository).snapshot([str(root)], hostname="here", parent=latest)
        (new,) = {name for name, _ in repository.snapshots()} - before
        wanted[new] = shape(root)
        if turn == 2:
            first = next(iter(wanted))
            restic("forget", first, "--prune")
            del wanted[first]
    restic("check", "--read-data")
    repository = Repository.open(LocalStore(where), PASSWORD)
    checked = Checker(repository, read_data=True).check()
    assert (checked.problems, checked.losses) == ([], [])
    assert {name for name, _ in repository.snapshots()} == set(wanted)
    for number, (name, expected) in enumerate(wanted.items()):
        restic("restore", name, "--target", tmp_path / f"theirs {number}")
        assert shape(tmp_path / f"theirs {number}" / root.relative_to("/")) == expected
        restored = Restorer(repository).restore(repository.load_snapshot(name).tree, str(tmp_path / f"ours {number}"))
        assert restored.failed == []
        assert shape(tmp_path / f"ours {number}" / root.relative_to("/")) == expected


def test_what_holdfast_has_is_not_saved_again_by_restic(repository: Repository, tmp_path: Path, restic: Restic) -> None:
    """Small files are one blob with either chunker, so they are shared."""
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(20):
        (root / str(number)).write_bytes(os.urandom(10_000))
    Archiver(repository).snapshot([str(root)], hostname="here")
    import json

    said = [json.loads(line) for line in restic("backup", "--json", "--force", root).stdout.splitlines()]
    assert next(line for line in said if line["message_type"] == "summary")["data_blobs"] == 0


def test_creating_where_one_is(repository: Repository, where: Path) -> None:
    with pytest.raises(AlreadyRepository):
        Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    (where / "config").unlink()
    with pytest.raises(AlreadyRepository):
        Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)


def test_a_second_copy_serves_when_the_first_is_damaged(repository: Repository, where: Path) -> None:
    for _ in range(2):
        other = Repository.open(LocalStore(where), PASSWORD)  # knows nothing of the first copy
        saver = other.saver()
        id = saver.save(BlobType.DATA, b"precious" * 100)[0]
        saver.finish()
    repository.load_index()
    places = repository.index.find(BlobType.DATA, id)
    assert len(places) == 2
    for count, place in enumerate(places, 1):
        path = where / "data" / place.pack.hex()[:2] / place.pack.hex()
        path.chmod(0o600)
        path.write_bytes(b"\0" * path.stat().st_size)
        if count == 1:
            assert repository.load_blob(BlobType.DATA, id) == b"precious" * 100
    with pytest.raises(Damaged) as caught:
        repository.load_blob(BlobType.DATA, id)
    assert all(place.pack.hex() in caught.value.where for place in places)


def test_a_blob_of_no_index(repository: Repository) -> None:
    with pytest.raises(NoSuchBlob):
        repository.load_blob(BlobType.DATA, bytes(32))


def test_a_store_that_fails_for_now_is_not_called_damage(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = repository.saver()
    id = saver.save(BlobType.DATA, b"x")[0]
    saver.finish()

    def fail(*_: object) -> bytes:
        raise StoreError("the line is down", permanent=False)

    monkeypatch.setattr(LocalStore, "load", fail)
    with pytest.raises(StoreError):
        repository.load_blob(BlobType.DATA, id)


def test_a_damaged_index_is_named(repository: Repository, where: Path) -> None:
    saver = repository.saver()
    saver.save(BlobType.DATA, b"x")
    saver.finish()
    (path,) = (where / "index").iterdir()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged) as caught:
        repository.load_index()
    assert caught.value.where == f"index/{path.name}"
