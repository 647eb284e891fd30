"""Repair: what can be had comes back under the same ids, what cannot is named to the file; stock restic says whether all is well."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup.blobs import Blob, BlobType
from actions.backup.checker import Checked, Checker
from actions.backup.forget import forget_ids
from actions.backup.ids import id_of
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, plan_prune
from actions.backup.repair import Repaired, RepairOptions, repair
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import Handle, StoreError
from actions.backup.walk import entry_at
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic, flip
from tests.actions.backup.histories import change, quiet_place, save, whole
from tests.actions.backup.odd_tree import make, shape

KILLS = int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30"))
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))


def mend(where: Path, options: RepairOptions | None = None) -> tuple[Checked, Repaired]:
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        checked = Checker(repository, read_data=True).check()
        return checked, repair(repository, checked, lock, options)


def pack_file(where: Path, pack: bytes) -> Path:
    return where / "data" / pack.hex()[:2] / pack.hex()


def packs_of(where: Path, type: BlobType) -> list[Path]:
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    return [pack_file(where, pack) for pack, blobs in repository.index.by_pack() if blobs[0].type is type]


@pytest.fixture
def place() -> Iterator[Path]:
    with quiet_place() as path:
        yield path


@pytest.fixture
def odd(where: Path, place: Path, version: int) -> tuple[str, Path]:
    """A snapshot of a directory with everything in it, which is still there unchanged."""
    Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    root = make(place)
    return save(where, root, 0), root


def restored(where: Path, id: str, target: Path) -> Restorer:
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    restorer = Restorer(repository)
    restorer.restore(repository.load_snapshot(id).tree, target)
    return restorer


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "flipped", "header"])
@pytest.mark.parametrize("type", list(BlobType), ids=["data", "tree"])
def test_every_damaged_pack_comes_back_from_the_source(
    odd: tuple[str, Path], where: Path, tmp_path: Path, restic: Restic, how: str, type: BlobType
) -> None:
    id, root = odd
    for path in packs_of(where, type):
        path.chmod(0o600)
        size = path.stat().st_size
        if how == "gone":
            path.unlink()
        elif how == "empty":
            path.write_bytes(b"")
        elif how == "cut":
            path.write_bytes(path.read_bytes()[: size // 2])
        else:
            flip(path, size - 10 if how == "header" else size // 2)
    checked, repaired = mend(where)
    assert checked.bad_packs
    assert (repaired.losses, repaired.problems, repaired.packs_left) == ([], [], [])
    assert whole(where) == {id}
    assert b"no errors were found" in restic("check", "--read-data").stdout
    assert restored(where, id, tmp_path / "restored").restored.failed == []
    assert shape(tmp_path / "restored" / root.relative_to("/")) == shape(root)
    if how == "flipped":
        assert repaired.salvaged, "the rest of the pack was thrown away"


def test_what_the_source_has_no_more_is_named_exactly(odd: tuple[str, Path], where: Path) -> None:
    id, root = odd
    lost = {b"plain", b"big text", b"a<b>&c"}
    for name in lost:
        os.unlink(os.path.join(os.fsencode(root), name))
    for path in packs_of(where, BlobType.DATA):
        path.unlink()
    _, repaired = mend(where)
    # "plain" comes back from its hard links, which still hold its content.
    assert {loss.path for loss in repaired.losses} == {os.fsencode(root) + b"/" + name for name in lost - {b"plain"}}
    assert all(loss.snapshot == id and "is in no index" in loss.why for loss in repaired.losses)
    assert repaired.recreated.blobs > 10


def test_a_changed_file_gives_back_what_only_moved(where: Path, tmp_path: Path, repository: Repository) -> None:
    """Bytes put in front move all that follow: the chunker finds most of it again."""
    root = tmp_path / "tree"
    root.mkdir()
    data = random.Random(SEED).randbytes(20 << 20)
    (root / "file").write_bytes(data)
    save(where, root, 0)
    for path in packs_of(where, BlobType.DATA):
        path.unlink()
    (root / "file").write_bytes(b"in front" * 1000 + data)
    _, repaired = mend(where)
    assert repaired.recreated.bytes > 10 << 20
    assert [loss.path for loss in repaired.losses] == [os.fsencode(root / "file")]
    (root / "file").write_bytes(data)
    _, repaired = mend(where)
    assert repaired.losses == []
    assert len(whole(where)) == 1


def test_a_copy_elsewhere_serves_as_source(where: Path, tmp_path: Path, repository: Repository) -> None:
    root = tmp_path / "tree"
    change(root, random.Random(SEED))
    id = save(where, root, 0)
    copy = tmp_path / "copy" / root.relative_to("/")
    shutil.copytree(root, copy)
    shutil.rmtree(root)
    for path in packs_of(where, BlobType.DATA):
        path.unlink()
    _, repaired = mend(where, RepairOptions(roots=(b"", os.fsencode(tmp_path / "copy"))))
    assert repaired.losses == []
    assert whole(where) == {id}


def test_what_restic_cut_is_found_at_its_old_places(where: Path, tmp_path: Path, restic: Restic) -> None:
    restic("init")
    root = make(tmp_path / "tree", non_utf8_links=False)
    restic("backup", root)
    for path in packs_of(where, BlobType.DATA):
        flip(path, path.stat().st_size // 3)
        flip(path, path.stat().st_size // 2)
    _, repaired = mend(where)
    assert repaired.losses == []
    assert repaired.recreated.blobs >= 1
    restic("check", "--read-data")
    assert len(whole(where)) == 1


def test_trees_of_several_snapshots_come_back_with_the_help_of_those_that_are_whole(
    where: Path, place: Path, restic: Restic
) -> None:
    """restic cut the big file otherwise than we would: only a snapshot beside knows its pieces."""
    restic("init")
    root = make(place, non_utf8_links=False)
    restic("backup", root)
    before = set(packs_of(where, BlobType.TREE))
    (root / "deep" / "more").write_text("more")
    restic("backup", root)
    (lost,) = set(packs_of(where, BlobType.TREE)) - before
    lost.unlink()
    _, repaired = mend(where)
    assert (repaired.losses, repaired.problems) == ([], [])
    assert repaired.recreated.trees >= 1
    restic("check", "--read-data")
    assert len(whole(where)) == 2


def test_a_directory_on_the_way_that_changed_is_named_with_all_that_hangs_on_it(
    where: Path, place: Path, repository: Repository
) -> None:
    """The tree of the root holds the time of the directory on the way: once that has moved, no way leads back."""
    root = make(place)
    id = save(where, root, 0)
    os.utime(place.parent, (1, 1))
    for path in packs_of(where, BlobType.TREE):
        path.unlink()
    _, repaired = mend(where)
    assert [(loss.snapshot, loss.path) for loss in repaired.losses] == [(id, b"/")]


def test_a_damaged_index_is_made_again_from_the_packs(odd: tuple[str, Path], where: Path, restic: Restic) -> None:
    id, _ = odd
    for path in (where / "index").iterdir():
        flip(path, 40)
    checked, repaired = mend(where)
    assert [loss.path for loss in checked.losses] == [b"/"]
    assert repaired.adopted >= 2
    assert len(repaired.indexes_dropped) == 1
    assert repaired.losses == []
    assert whole(where) == {id}
    restic("check", "--read-data")


def test_index_and_pack_damaged_at_once(odd: tuple[str, Path], where: Path, restic: Restic) -> None:
    id, _ = odd
    for path in packs_of(where, BlobType.DATA):
        flip(path, path.stat().st_size // 2)
    for path in (where / "index").iterdir():
        flip(path, 40)
    _, repaired = mend(where)
    assert repaired.losses == []
    assert repaired.salvaged
    assert whole(where) == {id}
    restic("prune")
    restic("check", "--read-data")


def test_a_line_that_breaks_ends_the_repair_instead_of_giving_up_what_it_could_not_look_at(
    odd: tuple[str, Path], where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bad pack that no index names the header is read again: when the store is away then, its blobs are not lost for that."""
    bad = packs_of(where, BlobType.DATA)
    for path in bad:
        flip(path, path.stat().st_size // 2)
    for path in (where / "index").iterdir():
        flip(path, 40)
    real = Repository.pack_header

    def away(repository: Repository, pack: str, size: int) -> list[Blob]:
        if pack in {path.name for path in bad}:
            raise StoreError("the server is away", permanent=False)
        return real(repository, pack, size)

    monkeypatch.setattr(Repository, "pack_header", away)
    before = {path: path.read_bytes() for path in where.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match="is away"):
        mend(where)
    assert all(path.read_bytes() == data for path, data in before.items()), "nothing was taken away"


def test_a_replica_that_is_away_is_named_and_its_repair_comes_when_it_is_back(
    odd: tuple[str, Path], where: Path, tmp_path: Path
) -> None:
    id, root = odd
    shutil.copytree(where, tmp_path / "copy")
    (root / "big random").unlink()
    for path in packs_of(where, BlobType.DATA):
        flip(path, path.stat().st_size // 2)

    class Away(LocalStore):
        def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
            raise StoreError("the line is down", permanent=False)

    copy = tmp_path / "copy"
    _, repaired = mend(where, RepairOptions(replicas=(Away(copy),)))
    assert repaired.away == {str(copy): "the line is down"}
    _, repaired = mend(where, RepairOptions(replicas=(LocalStore(copy),)))
    assert (repaired.away, repaired.losses, repaired.problems) == ({}, [], [])
    assert whole(where) == {id}


def test_a_replica_gives_back_whole_files(odd: tuple[str, Path], where: Path, tmp_path: Path, restic: Restic) -> None:
    """Snapshots too, which nothing else can bring back."""
    id, root = odd
    shutil.copytree(where, tmp_path / "replica")
    shutil.rmtree(root)
    files = [path for path in where.rglob("*") if path.is_file() and path.parent.name in {"index", "snapshots"}]
    for path in (*files, *packs_of(where, BlobType.DATA)):
        flip(path, 45)
    (gone,) = packs_of(tmp_path / "replica", BlobType.TREE)
    (where / gone.relative_to(tmp_path / "replica")).unlink()
    bad = LocalStore(tmp_path / "bad")
    shutil.copytree(where, tmp_path / "bad")
    _, first = mend(where, RepairOptions(replicas=(bad,)))
    assert first.from_replica == []
    _, repaired = mend(where, RepairOptions(replicas=(bad, LocalStore(tmp_path / "replica"))))
    assert f"snapshot/{id}" in repaired.from_replica
    assert repaired.recreated.from_replicas, "the tree that no index names any more must come blob by blob"
    assert repaired.losses == []
    assert whole(where) == {id}
    restic("check", "--read-data")


def test_a_pack_that_only_a_damaged_index_named_is_looked_at_when_the_index_is_back(
    odd: tuple[str, Path], where: Path, tmp_path: Path
) -> None:
    shutil.copytree(where, tmp_path / "replica")
    packs = packs_of(where, BlobType.DATA)
    for path in (*(where / "index").iterdir(), *packs):
        flip(path, path.stat().st_size // 2)
    _, repaired = mend(where, RepairOptions(replicas=(LocalStore(tmp_path / "replica"),)))
    assert (repaired.losses, repaired.problems) == ([], [])
    assert whole(where) == {odd[0]}


def test_a_lost_snapshot_is_named_and_the_rest_is_repaired(where: Path, tmp_path: Path, repository: Repository) -> None:
    root = tmp_path / "tree"
    change(root, random.Random(1))
    first = save(where, root, 0)
    second = save(where, root, 1)
    flip(where / "snapshots" / first, 50)
    packs_of(where, BlobType.DATA)[0].unlink()
    _, repaired = mend(where)
    assert [problem.where for problem in repaired.problems] == [f"snapshot/{first}"]
    assert repaired.losses == []
    opened = Repository.open(LocalStore(where), PASSWORD)
    assert opened.load_snapshot(second).paths == [str(root)]


def test_a_whole_repository_is_left_as_it_is(odd: tuple[str, Path], where: Path) -> None:
    def state() -> dict[Path, bytes]:
        return {path: id_of(path.read_bytes()) for path in where.rglob("*") if path.is_file()}

    before = state()
    checked, repaired = mend(where)
    assert checked.problems == []
    assert repaired == Repaired()
    assert state() == before


def test_what_is_lost_goes_with_its_snapshot(
    odd: tuple[str, Path], where: Path, tmp_path: Path, restic: Restic
) -> None:
    """The way out that the message names: forget the snapshots that are named, prune, and all is well again."""
    id, root = odd
    (root / "big random").unlink()
    other = save(where, root, 1)
    for path in packs_of(where, BlobType.DATA):
        flip(path, path.stat().st_size // 2)
    _, repaired = mend(where)
    assert {loss.snapshot for loss in repaired.losses} <= {id}
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, sorted({loss.snapshot for loss in repaired.losses}), lock)
        repository.load_index()
        prune(repository, plan_prune(repository, PruneOptions()), lock)
    assert other in whole(where)
    restic("check", "--read-data")


def test_a_subset_says_what_it_read(odd: tuple[str, Path], where: Path) -> None:
    data = packs_of(where, BlobType.DATA)
    flip(data[0], data[0].stat().st_size // 2)
    opened = Repository.open(LocalStore(where), PASSWORD)
    other = Checker(opened, read_data=True, chosen={path.name for path in data[1:]}).check()
    assert (other.problems, other.packs_read) == ([], len(data) - 1)
    hit = Checker(opened, read_data=True, chosen={data[0].name}).check()
    assert [problem.where for problem in hit.problems] == [f"data/{data[0].name}"]
    assert hit.packs_read == 1
    assert hit.bytes_read == data[0].stat().st_size
    assert hit.bad_packs == [data[0].name]
    assert hit.losses


_MENDER = """
import sys
from actions.backup import saver
from actions.backup.checker import Checker
from actions.backup.repair import repair
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.walk import entry_at
saver.INDEX_EVERY_S = 0.0
r = Repository.open(LocalStore(sys.argv[1]), sys.argv[2])
with r.lock(exclusive=True) as lock:
    checked = Checker(r, read_data=True).check()
    print("go", flush=True)
    repair(r, checked, lock)
print("done", flush=True)
"""


def test_a_kill_while_repairing_loses_nothing_more(
    where: Path, tmp_path: Path, repository: Repository, restic: Restic
) -> None:
    """What was whole before stays whole, and the next repair ends the work."""
    root = tmp_path / "tree"
    dice = random.Random(SEED)
    ids = []
    for number in range(3):
        change(root, dice)
        ids.append(save(where, root, number))
    repository.load_index()
    content = entry_at(repository, repository.load_snapshot(ids[-1]).tree, os.fsencode(root / "big")).node.content
    assert content
    (lies,) = repository.index.find(BlobType.DATA, bytes.fromhex(content[0]))
    lost = pack_file(where, lies.pack)  # of the last run: all that is in it the source still has
    flip(lost, lost.stat().st_size // 2)
    shutil.copytree(where, tmp_path / "original")
    lost_before = set(Checker(Repository.open(LocalStore(where), PASSWORD), read_data=True).check().losses)
    assert lost_before
    before_end = 0
    for turn in range(max(5, KILLS // 5)):
        shutil.rmtree(where)
        shutil.copytree(tmp_path / "original", where)
        with subprocess.Popen(
            [sys.executable, "-c", _MENDER, where, PASSWORD], stdout=subprocess.PIPE, text=True
        ) as mender:
            assert mender.stdout is not None
            assert mender.stdout.readline() == "go\n"
            time.sleep(dice.uniform(0, 0.08))
            mender.send_signal(signal.SIGKILL)
            before_end += "done" not in mender.stdout.read()
        opened = Repository.open(LocalStore(where), PASSWORD)
        left = Checker(opened, read_data=True).check()
        assert {loss[:2] for loss in left.losses} <= {loss[:2] for loss in lost_before}
        _, repaired = mend(where)
        assert repaired.losses == []
        assert whole(where) == set(ids)
        if turn % 5 == 4:
            restic("unlock")
            restic("check", "--read-data")
    assert before_end
