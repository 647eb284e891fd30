"""Whoever may only add can be a nuisance, but neither stops a prune for good nor has anything good removed."""

import os
import random
from pathlib import Path

import pytest

from actions.backup.errors import Damaged, LockLost
from actions.backup.forget import forget_ids
from actions.backup.ids import id_of
from actions.backup.index_files import encode_index
from actions.backup.prune import prune
from actions.backup.prune_plan import MaxUnused, PruneOptions, plan_prune
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.rubbish import clear_locks, find_rubbish, load_what_reads, rebuild_index, remove_rubbish
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle
from tests.actions.backup.conftest import PASSWORD, Restic, flip
from tests.actions.backup.histories import change, save, whole


@pytest.fixture
def ids(where: Path, tmp_path: Path, repository: Repository) -> list[str]:
    dice = random.Random(1)
    found = []
    for number in range(3):
        change(tmp_path / "tree", dice)
        found.append(save(where, tmp_path / "tree", number))
    return found


def add(where: Path, type: FileType, data: bytes, name: str = "") -> str:
    """What an attacker with the rights to add does."""
    name = name or id_of(data).hex()
    LocalStore(where).save(Handle(type, name), [data])
    return name


def test_a_target_full_of_rubbish_is_pruned_all_the_same(
    ids: list[str], where: Path, repository: Repository, restic: Restic
) -> None:
    foreign = {str(Handle(type, add(where, type, os.urandom(500)))) for type in (FileType.INDEX, FileType.SNAPSHOT)}
    foreign.add(str(Handle(FileType.SNAPSHOT, add(where, FileType.SNAPSHOT, b""))))
    for _ in range(3):
        add(where, FileType.LOCK, os.urandom(300))
        add(where, FileType.PACK, os.urandom(30_000))
    with pytest.raises(Damaged):
        repository.lock(exclusive=True)
    assert len(clear_locks(repository.files)) == 3
    with repository.lock(exclusive=True) as lock:
        with pytest.raises(Damaged):
            repository.load_index()
        found = find_rubbish(repository)
        assert {str(rubbish.handle) for rubbish in found} == foreign
        assert {str(handle) for handle in remove_rubbish(repository, found, lock)} == foreign
        repository.load_index()
        forget_ids(repository, ids[:2], lock)
        plan = plan_prune(repository, PruneOptions(max_unused=MaxUnused(0.0)))
        assert len(plan.unnamed) == 3
        prune(repository, plan, lock)
    assert whole(where) == {ids[2]}
    assert b"no errors were found" in restic("check", "--read-data").stdout


def test_reading_goes_on_past_rubbish(ids: list[str], where: Path, repository: Repository, tmp_path: Path) -> None:
    name = add(where, FileType.INDEX, os.urandom(500))
    assert [problem.where for problem in load_what_reads(repository)] == [f"index/{name}"]
    restored = Restorer(repository).restore(repository.load_snapshot(ids[2]).tree, str(tmp_path / "restored"))
    assert restored.failed == []
    assert restored.files > 5


def test_what_may_be_damage_stays_and_is_told(ids: list[str], where: Path, repository: Repository) -> None:
    path = where / "snapshots" / ids[0]
    flip(path, path.stat().st_size - 1)
    (rubbish,) = find_rubbish(repository)
    assert (str(rubbish.handle), rubbish.foreign) == (f"snapshot/{ids[0]}", False)
    with repository.lock(exclusive=True) as lock:
        assert remove_rubbish(repository, [rubbish], lock) == []
        assert path.exists()
        repository.load_index()
        with pytest.raises(Damaged, match=ids[0]):
            plan_prune(repository, PruneOptions())


def test_locks_of_others_are_not_cleared(ids: list[str], repository: Repository) -> None:
    with repository.lock() as lock:
        assert clear_locks(repository.files) == []
        assert lock.name in set(repository.files.names(FileType.LOCK))


def test_an_index_that_lies_is_made_anew_from_the_packs(
    ids: list[str], where: Path, repository: Repository, restic: Restic
) -> None:
    """Written by a host that was taken over, with its own key: it names every pack, and nothing in it."""
    repository.load_index()
    for _ in range(8):  # so that one of them sorts before the true one
        repository.files.save(FileType.INDEX, encode_index([(pack, []) for pack in repository.index.packs()]))
    junk = add(where, FileType.PACK, os.urandom(5000))
    before = len(repository.index)
    with repository.lock(exclusive=True) as lock:
        rebuilt = rebuild_index(repository, lock)
    assert len(repository.index) == before
    assert rebuilt.indexes_removed == 11
    assert [problem.where for problem in rebuilt.unreadable] == [f"data/{junk}"]
    assert whole(where) == set(ids)
    restic("check", "--read-data")


def test_damaged_index_files_go_only_after_the_new_ones_are_there(
    ids: list[str], where: Path, repository: Repository
) -> None:
    for path in (where / "index").iterdir():
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    with repository.lock(exclusive=True) as lock:
        lock._lost = "somebody removed it"
        with pytest.raises(LockLost):
            rebuild_index(repository, lock)
        assert len(list((where / "index").iterdir())) >= 3
        lock._lost = ""
        rebuild_index(repository, lock)
    assert whole(where) == set(ids)
    assert Repository.open(LocalStore(where), PASSWORD).config == repository.config
