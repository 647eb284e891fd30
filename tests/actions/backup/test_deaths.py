"""Death at every single write: backup, repair, prune, replicate end at each deed of the store in turn, and nothing that was there is lost.

In the test's own process and without a clock, so that a window between two writes cannot be missed: the store lets the first so many deeds
happen and then is dead for good, as after a kill or a loss of power. `HOLDFAST_BACKUP_DEATHS=1` tries every deed, else every third.
"""

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from actions.backup import index_rewrite, pack, saver
from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.checker import Checker
from actions.backup.forget import forget_ids
from actions.backup.ids import id_of
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, parse_max_unused, plan_prune
from actions.backup.repair import RepairOptions, repair
from actions.backup.replicate import Verify, replicate
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import Buffer, FileType, Handle
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic, flip
from tests.actions.backup.histories import NOW, NS, change, save, whole

SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))
STRIDE = 1 if os.environ.get("HOLDFAST_BACKUP_DEATHS") else 3
ALL = PruneOptions(max_unused=parse_max_unused("0%"), repack_small=True)


class Dead(BaseException):
    """The process is gone; no handler of errors may live on."""


class Mortal(LocalStore):
    """Lets `deeds` writes and removals happen, and is dead from then on; `done` counts them. Locks are none of them."""

    def __init__(self, path: Path, deeds: int) -> None:
        super().__init__(path)
        self._left = deeds
        self.done = 0

    @property
    def dead(self) -> bool:
        """Whether a deed was refused."""
        return self._left < 0

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        self._deed(handle)
        super().save(handle, parts)

    def replace(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        self._deed(handle)
        super().replace(handle, parts)

    def remove(self, handle: Handle) -> None:
        self._deed(handle)
        super().remove(handle)

    def _deed(self, handle: Handle) -> None:
        if self._left < 0:
            raise Dead
        if handle.type is FileType.LOCK:
            return
        self._left -= 1
        if self._left < 0:
            raise Dead
        self.done += 1


class Plain(Mortal):
    """Can replace nothing, as a store on a server."""

    replace: Any = None


@pytest.fixture(autouse=True)
def _many_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pack is named at once and index files are small, so that there are many deeds and many orders of them."""
    monkeypatch.setattr(pack, "TARGET_SIZE", 60_000)
    monkeypatch.setattr(saver, "INDEX_EVERY_S", 0.0)
    monkeypatch.setattr(index_rewrite, "MAX_BLOBS", 12)


@pytest.fixture
def past(where: Path, tmp_path: Path) -> list[str]:
    """Three snapshots of a tree that is still as the last one has it."""
    Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    dice = random.Random(SEED)
    ids = []
    for number in range(3):
        change(tmp_path / "tree", dice)
        (tmp_path / "tree" / "big").write_bytes(dice.randbytes(90_000))
        ids.append(save(where, tmp_path / "tree", number))
    return ids


def every_death(
    where: Path, tmp_path: Path, deed: Callable[[Any], None], after: Callable[[int], None], kind: type[Mortal] = Mortal
) -> int:
    """Do `deed` with a store that dies after 0, 1, 2, … deeds, each time from the same beginning, and look with `after`.

    Returns how many deeds there are.
    """
    shutil.copytree(where, tmp_path / "beginning")
    living = kind(where, 1 << 30)
    deed(living)
    assert living.done, "there was nothing to die at"
    for left in range(0, living.done, STRIDE):
        shutil.rmtree(where)
        shutil.copytree(tmp_path / "beginning", where)
        mortal = kind(where, left)
        try:
            deed(mortal)
        except Dead:
            assert mortal.dead
        else:
            # The threads of the saver share the blobs out to packs as they come: now and then that makes a pack less.
            assert not mortal.dead, "it took a write that was never done for done"
            assert left > living.done // 2
        for lock in (where / "locks").iterdir():
            lock.unlink()  # its process is gone
        after(left)
    return living.done


def losses(where: Path) -> set[tuple[str, bytes]]:
    found = Checker(Repository.open(LocalStore(where), PASSWORD), read_data=True).check()
    return {loss[:2] for loss in found.losses}


def no_worse(after: set[tuple[str, bytes]], before: set[tuple[str, bytes]]) -> bool:
    """Whether each loss was one before: by itself, or within a directory of the same snapshot that could not be read at all.

    A tree that only a damaged index named is lost as a whole; once it is named again, what is lost in it can be told.
    """

    def was(snapshot: str, path: bytes) -> bool:
        parts = path.split(b"/")
        ways = {b"/".join(parts[:count]) or b"/" for count in range(1, len(parts) + 1)}
        return any((snapshot, way) in before for way in ways)

    return all(was(*loss) for loss in after)


def mend(store: LocalStore, options: RepairOptions | None = None) -> Any:
    repository = Repository.open(store, PASSWORD)
    with repository.lock(exclusive=True) as lock:
        return repair(repository, Checker(repository, read_data=True).check(), lock, options)


def packs_that_the_source_has(where: Path, tree: Path) -> list[Path]:
    """Packs of which every data blob is the content of a file of today."""
    today = {id_of(path.read_bytes()) for path in tree.rglob("*") if path.is_file()}
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    return [
        where / "data" / name.hex()[:2] / name.hex()
        for name, blobs in repository.index.by_pack()
        if all(blob.type is BlobType.DATA and blob.id in today for blob in blobs)
    ]


@pytest.mark.parametrize("harm", ["flipped packs", "a lost pack", "every index", "pack and index"])
def test_repair_dies_at_each_deed(past: list[str], where: Path, tmp_path: Path, restic: Restic, harm: str) -> None:
    """What could be restored before still can be, and the next repair brings back the rest."""
    tree = tmp_path / "tree"
    packs = packs_that_the_source_has(where, tree)
    assert len(packs) >= 2
    if harm in {"flipped packs", "pack and index"}:
        flip(packs[0])
        flip(packs[1])
    if harm == "a lost pack":
        packs[0].unlink()
    indexes = sorted((where / "index").iterdir())
    for path in {"every index": indexes, "pack and index": indexes[:1]}.get(harm, []):
        flip(path)
    before = losses(where)
    assert before

    def after(left: int) -> None:
        assert no_worse(losses(where), before), (left, losses(where), before)
        repaired = mend(LocalStore(where))
        assert (repaired.losses, repaired.problems) == ([], []), left
        assert whole(where) == set(past), left
        if left % 4 == 0:
            assert b"no errors were found" in restic("check", "--read-data").stdout

    assert every_death(where, tmp_path, mend, after) >= 2


@pytest.mark.parametrize("kind", [Mortal, Plain])
def test_repair_from_a_replica_dies_at_each_deed(
    past: list[str], where: Path, tmp_path: Path, restic: Restic, kind: type[Mortal]
) -> None:
    """A bad file goes only when another takes its place; of a snapshot, which nothing names, one that is whole is always there."""
    shutil.copytree(where, tmp_path / "replica")
    options = RepairOptions(replicas=(LocalStore(tmp_path / "replica"),))
    trees = {snapshot.tree for _, snapshot in Repository.open(LocalStore(where), PASSWORD).snapshots()}
    for path in (*sorted((where / "snapshots").iterdir())[:1], *sorted((where / "index").iterdir())[:2]):
        flip(path)
    flip(next(path for path in sorted((where / "data").rglob("*")) if path.is_file()))

    def after(left: int) -> None:
        repaired = mend(LocalStore(where), options)
        assert (repaired.losses, repaired.problems) == ([], []), left
        found = whole(where)
        assert found == set(past) if kind is Mortal else len(found) <= len(past) + 1, left
        assert {snapshot.tree for _, snapshot in Repository.open(LocalStore(where), PASSWORD).snapshots()} == trees
        assert b"no errors were found" in restic("check", "--read-data").stdout

    every_death(where, tmp_path, lambda store: mend(store, options), after, kind)


def test_backup_dies_at_each_deed(past: list[str], where: Path, tmp_path: Path, restic: Restic) -> None:
    """No snapshot is there that is not whole, none is lost, and what was stored is not stored again."""
    change(tmp_path / "tree", random.Random(SEED + 1))

    def back_up(store: LocalStore) -> None:
        repository = Repository.open(store, PASSWORD)
        with repository.lock():
            repository.load_index()
            repository.adopt()
            Archiver(repository).snapshot([str(tmp_path / "tree")], hostname="here", time_ns=(NOW + 9 * 86400) * NS)

    def after(left: int) -> None:
        assert whole(where) == set(past), left
        assert b"no errors were found" in restic("check", "--read-data").stdout
        there = {path.name for path in (where / "data").rglob("*") if path.is_file()}
        back_up(LocalStore(where))
        assert len(whole(where)) == len(past) + 1
        assert there <= {path.name for path in (where / "data").rglob("*")}

    assert every_death(where, tmp_path, back_up, after) > 5


def test_forget_and_prune_die_at_each_deed(past: list[str], where: Path, tmp_path: Path, restic: Restic) -> None:
    def run(store: LocalStore) -> None:
        repository = Repository.open(store, PASSWORD)
        with repository.lock(exclusive=True) as lock:
            forget_ids(repository, [id for id in past[:2] if (where / "snapshots" / id).exists()], lock)
            repository.load_index()
            prune(repository, plan_prune(repository, ALL), lock)

    def after(left: int) -> None:
        assert past[2] in whole(where), left
        assert b"no errors were found" in restic("check", "--read-data").stdout
        run(LocalStore(where))
        assert whole(where) == {past[2]}

    assert every_death(where, tmp_path, run, after) > 10


def test_replication_dies_at_each_deed(past: list[str], where: Path, tmp_path: Path, restic: Restic) -> None:
    """The target is a repository at every moment: each snapshot that it shows is whole."""
    source = tmp_path / "source"
    shutil.copytree(where, source)
    for path in (*(where / "snapshots").iterdir(), *(where / "index").iterdir(), *(where / "data").rglob("*")):
        if path.is_file():
            path.unlink()

    def run(store: LocalStore) -> None:
        done = replicate(LocalStore(source), store, verify=Verify.SIZES)
        assert done.ok, done.problems

    def after(left: int) -> None:
        assert whole(where) <= set(past), left
        if left % 4 == 0:
            assert b"no errors were found" in restic("check", "--read-data").stdout
        run(LocalStore(where))
        assert whole(where) == set(past), left

    assert every_death(where, tmp_path, run, after) > 10
