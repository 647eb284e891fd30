"""Prune: nothing that a snapshot needs is ever missing, whatever is pruned, by whom, and when it is killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from actions.backup import pack, prune_plan
from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, Locked, LockLost
from actions.backup.forget import forget_ids
from actions.backup.ids import id_of
from actions.backup.index_files import encode_index
from actions.backup.prune import Pruned, prune
from actions.backup.prune_plan import Plan, PruneOptions, parse_max_unused, plan_prune
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.saver import Saver
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle, StoreError
from actions.backup.used import Incomplete
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.histories import change, save, whole
from tests.actions.backup.odd_tree import make, shape

KILLS = int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30"))
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))
ALL = PruneOptions(max_unused=parse_max_unused("0%"))


def run(where: Path, options: PruneOptions = ALL, forget: Sequence[str] = ()) -> tuple[Plan, Pruned]:
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, forget, lock)
        repository.load_index()
        plan = plan_prune(repository, options)
        pruned = prune(repository, plan, lock)
    return plan, pruned


@pytest.fixture
def past(where: Path, tmp_path: Path, version: int) -> list[str]:
    """Six snapshots in a repository of either version."""
    Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    dice = random.Random(SEED)
    ids = []
    for number in range(6):
        change(tmp_path / "tree", dice)
        ids.append(save(where, tmp_path / "tree", number))
    return ids


def test_what_only_forgotten_snapshots_used_goes_and_the_rest_stays(
    past: list[str], where: Path, tmp_path: Path, restic: Restic
) -> None:
    before = sum(size for _, size in LocalStore(where).list(FileType.PACK))
    plan, pruned = run(where, forget=past[:5])
    after = sum(size for _, size in LocalStore(where).list(FileType.PACK))
    assert before - after == pruned.bytes_freed > 3 << 20
    assert whole(where) == {past[5]}
    assert plan.numbers.unused_after_bytes == 0
    assert b"no errors were found" in restic("check", "--read-data").stdout
    assert b"unused" not in restic("check", "--read-data").stdout
    restic("restore", "latest", "--target", tmp_path / "restored")
    assert shape(tmp_path / "restored" / (tmp_path / "tree").relative_to("/")) == shape(tmp_path / "tree")
    again, nothing = run(where)
    assert again.empty
    assert nothing == Pruned()


def test_what_killed_runs_left_under_temporary_names_goes_and_what_is_being_written_stays(
    past: list[str], where: Path
) -> None:
    store = LocalStore(where)
    drafts = [store.draft(), store.draft()]
    for draft in drafts:
        draft.add(bytes(100))
    left, young = sorted(path for path in where.rglob("*-tmp-*"))
    os.utime(left, (time.time() - 2 * 86_400,) * 2)
    _, pruned = run(where)
    assert (pruned.leftovers_removed, left.exists(), young.exists()) == (1, False, True)
    assert whole(where) == set(past)


def test_numbers_are_those_of_stock_restic(past: list[str], where: Path, restic: Restic, version: int) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, past[1:4], lock)
    said = restic("prune", "--dry-run", "--max-unused", "0", "-v", "-v").stdout.decode()
    lines: dict[str, list[str]] = {}
    for line in said.splitlines():
        lines.setdefault(line.split(":")[0], line.split()[1:])
    plan, _ = run(where)
    numbers = plan.numbers
    assert int(lines["used"][0]) == numbers.used.blobs
    assert int(lines["unused"][0]) == numbers.unused.blobs
    assert int(lines["to repack"][1]) == numbers.repack.blobs
    assert int(lines["this removes"][1]) == numbers.repack_remove.blobs
    assert int(lines["to delete"][1]) == numbers.remove.blobs
    assert int(lines["totally used packs"][2]) == numbers.packs_used
    assert int(lines["partly used packs"][2]) == numbers.packs_partly_used
    assert int(lines["unused packs"][1]) == numbers.packs_unused
    assert numbers.unused.blobs > 5


def test_a_dry_run_changes_nothing_and_plans_as_if_snapshots_were_gone(past: list[str], where: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in where.rglob("*") if path.is_file()}
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    assert plan_prune(repository, ALL).empty
    plan = plan_prune(repository, ALL, without=past[:5])
    assert plan.numbers.freed_bytes > 3 << 20
    assert {path: path.stat().st_mtime_ns for path in where.rglob("*") if path.is_file()} == before
    forgotten, _ = run(where, forget=past[:5])
    assert (forgotten.repack, forgotten.remove, forgotten.numbers) == (plan.repack, plan.remove, plan.numbers)


def test_limits_are_kept(past: list[str], where: Path) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    unlimited = plan_prune(repository, PruneOptions(max_unused=parse_max_unused("unlimited")), without=past[1:])
    none = plan_prune(repository, ALL, without=past[1:])
    little = plan_prune(
        repository, PruneOptions(max_unused=parse_max_unused("0%"), max_repack_bytes=1_000_000), without=past[1:]
    )
    assert none.numbers.unused_after_bytes == 0
    assert little.numbers.repack.bytes < 1_000_000
    assert unlimited.numbers.repack.bytes <= none.numbers.repack.bytes
    assert unlimited.remove == none.remove == little.remove
    cacheable = plan_prune(repository, PruneOptions(repack_cacheable_only=True), without=past[1:])
    types = {pack: {blob.type for blob in blobs} for pack, blobs in repository.index.by_pack()}
    assert all(types[pack] == {BlobType.TREE} for pack in cacheable.repack)


def test_uncompressed_packs_are_packed_anew_when_asked(where: Path, tmp_path: Path, restic: Restic) -> None:
    """Such as come from an upgrade, or from a backup with compression off."""
    restic("init", "--repository-version", "2")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "text").write_bytes(b"line\n" * 200_000)
    restic("backup", "--compression", "off", tmp_path / "tree")
    before = sum(size for _, size in LocalStore(where).list(FileType.PACK))
    plan, _ = run(where, PruneOptions(repack_uncompressed=True))
    assert plan.numbers.repack.blobs >= 1
    assert sum(size for _, size in LocalStore(where).list(FileType.PACK)) < before / 10
    assert len(whole(where)) == 1
    restic("check", "--read-data")


def test_many_small_packs_become_few(where: Path, tmp_path: Path, repository: Repository, restic: Restic) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(12):
        (tmp_path / "tree" / f"{number}").write_bytes(os.urandom(5000))
        save(where, tmp_path / "tree", number)
    assert len(list(LocalStore(where).list(FileType.PACK))) == 24
    plan, pruned = run(where, PruneOptions())
    assert len(plan.repack) == 24
    assert pruned.packs_written == len(list(LocalStore(where).list(FileType.PACK))) == 2
    assert len(list(LocalStore(where).list(FileType.INDEX))) == 1
    assert len(whole(where)) == 12
    restic("check", "--read-data")


def test_what_restic_wrote_is_pruned_and_both_work_in_turn(
    where: Path, tmp_path: Path, restic: Restic, version: int
) -> None:
    restic("init", "--repository-version", str(version))
    dice = random.Random(SEED)
    tree = tmp_path / "tree"
    for number in range(2):
        change(tree, dice)
        restic("backup", "--host", "there", "--time", f"2026-01-0{number + 1} 10:00:00", tree)
        change(tree, dice)
        save(where, tree, number)
    for turn in range(3):
        ids = sorted(whole(where))
        gone = dice.sample(ids, 1)
        if turn % 2:
            restic("forget", "--prune", "--max-unused", "0", *gone)
        else:
            plan, _ = run(where, forget=gone)
            assert plan.numbers.unused_after_bytes == 0
        assert whole(where) == set(ids) - set(gone)
        said = restic("check", "--read-data").stdout
        assert b"no errors were found" in said


def test_everything_goes_when_no_snapshot_is_left(past: list[str], where: Path, restic: Restic) -> None:
    run(where, forget=past)
    assert list(LocalStore(where).list(FileType.PACK)) == []
    assert list(LocalStore(where).list(FileType.INDEX)) == []
    restic("check")


def test_metadata_of_odd_files_survives_packing_anew(where: Path, tmp_path: Path, repository: Repository) -> None:
    tree = make(tmp_path / "tree")
    keep = save(where, tree, 0)
    (tree / "more").write_bytes(os.urandom(100_000))
    gone = save(where, tree, 1)
    (tree / "more").unlink()
    os.utime(tree, ns=(1, 1_600_000_000_123_456_000))
    run(where, PruneOptions(parse_max_unused("0"), repack_small=True), forget=[gone])
    opened = Repository.open(LocalStore(where), PASSWORD)
    opened.load_index()
    restored = Restorer(opened).restore(opened.load_snapshot(keep).tree, tmp_path / "restored")
    assert restored.failed == []
    assert shape(tmp_path / "restored" / tree.relative_to("/")) == shape(tree)


def test_packs_that_no_index_names_go_unless_they_are_spared(past: list[str], where: Path) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    saver = repository.saver()
    saver.save(BlobType.DATA, os.urandom(1000))
    saver.finish()
    (added,) = (p for p in repository.index.packs())
    newest = max((where / "index").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.unlink()
    plan, _ = run(where, PruneOptions(spare=lambda name: name == added.hex()))
    assert plan.unnamed == []
    plan, pruned = run(where)
    assert plan.unnamed == [added.hex()]
    assert pruned.packs_removed == 1
    assert whole(where) == set(past)


def test_nothing_is_removed_when_something_needed_is_missing(past: list[str], where: Path) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    for pack_id in repository.index.packs():
        path = where / "data" / pack_id.hex()[:2] / pack_id.hex()
        data = path.read_bytes()
        path.unlink()
        files = {path for path in where.rglob("*") if path.is_file()}
        with pytest.raises((Incomplete, Damaged)):
            run(where, forget=[])
        assert {path for path in where.rglob("*") if path.is_file()} == files
        path.write_bytes(data[:-1])
        with pytest.raises((Incomplete, Damaged)):
            run(where)
        path.write_bytes(data)
    for path in list((where / "index").iterdir()):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(Incomplete, match="in no index"):
            run(where)
        path.write_bytes(data)
    assert whole(where) == set(past)


def test_a_damaged_blob_that_must_move_stops_the_prune(past: list[str], where: Path) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    plan = plan_prune(repository, ALL, without=past[:5])
    hit = next(
        (p, b)
        for p, bs in repository.index.by_pack()
        if p in plan.repack
        for b in bs
        if plan.used.has(b.type, b.id) and b.type is BlobType.DATA
    )
    path = where / "data" / hit[0].hex()[:2] / hit[0].hex()
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[hit[1].offset + 20] ^= 1
    path.write_bytes(data)
    before = {path for path in where.rglob("*") if path.is_file() and path.parent.name != "snapshots"}
    with pytest.raises(Incomplete, match="data blob"):
        run(where, forget=past[:5])
    assert before <= {path for path in where.rglob("*") if path.is_file()}


def test_rubbish_under_a_good_name_never_takes_the_place_of_the_good_copy(past: list[str], where: Path) -> None:
    """Whoever may add to a target may name rubbish as a second copy of every blob, in a pack that seems better to keep."""
    repository = Repository.open(LocalStore(where), PASSWORD)
    repository.load_index()
    plan = plan_prune(repository, ALL, without=past[:5])
    for _, blobs in list(repository.index.by_pack()):
        needed = [blob for blob in blobs if plan.used.has(blob.type, blob.id)]
        builder = pack.PackBuilder(blobs[0].type)
        for blob in needed:
            builder.add(blob.id, bytearray(os.urandom(blob.length)), blob.uncompressed_length)
        if needed:
            name, parts = builder.finish(repository.key)
            repository.store.save(Handle(FileType.PACK, name.hex()), parts)
            repository.files.save(FileType.INDEX, encode_index([(name, builder.blobs)]))
    run(where, forget=past[:5])
    opened = Repository.open(LocalStore(where), PASSWORD)
    opened.load_index()
    (kept,) = opened.snapshots()
    used = prune_plan.find_used(opened, [kept[1].tree])
    for _, blob in opened.index.blobs():
        if used.has(blob.type, blob.id):
            assert id_of(opened.load_blob(blob.type, blob.id)) == blob.id


def test_another_lock_keeps_a_prune_away_and_a_lost_lock_stops_it(past: list[str], where: Path) -> None:
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(), pytest.raises(Locked):
        run(where)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, past[:5], lock)
        repository.load_index()
        plan = plan_prune(repository, ALL)
        lock._lost = "our lock was removed"
        files = {path for path in (where / "data").rglob("*") if path.is_file()}
        with pytest.raises(LockLost):
            prune(repository, plan, lock)
        assert files <= {path for path in (where / "data").rglob("*") if path.is_file()}
    assert whole(where) == {past[5]}


class _Stubborn(LocalStore):
    """A place that does not let packs go."""

    def remove(self, handle: Handle) -> None:
        if handle.type is FileType.PACK:
            raise StoreError("not today")
        super().remove(handle)


def test_packs_that_cannot_be_removed_are_told_and_do_no_harm(past: list[str], where: Path, restic: Restic) -> None:
    repository = Repository.open(_Stubborn(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, past[:5], lock)
        repository.load_index()
        plan = plan_prune(repository, ALL)
        pruned = prune(repository, plan, lock)
    assert {name for name, _ in pruned.left} == {p.hex() for p in plan.repack | plan.remove}
    assert pruned.packs_removed == 0
    restic("check", "--read-data")
    plan, pruned = run(where)
    assert len(plan.unnamed) == pruned.packs_removed > 0
    assert whole(where) == {past[5]}


_PRUNER = """
import os, random, sys
from actions.backup import pack, index_files, index_rewrite, saver
from actions.backup.forget import forget_ids
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, parse_max_unused, plan_prune
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType
pack.TARGET_SIZE = 120_000
saver.INDEX_EVERY_S = 0.0
index_rewrite.MAX_BLOBS = 20
stop = int(sys.argv[3])
class Dying(LocalStore):
    '''Dies before or after the n-th deed; with no n it tells how many there were.'''
    deeds = 0
    def deed(self):
        Dying.deeds += 1
        if Dying.deeds == stop:
            os.kill(os.getpid(), 9)
    def save(self, handle, parts):
        if handle.type is FileType.LOCK:
            return super().save(handle, parts)
        self.deed()
        super().save(handle, parts)
    def remove(self, handle):
        if handle.type is FileType.LOCK:
            return super().remove(handle)
        self.deed()
        super().remove(handle)
r = Repository.open(Dying(sys.argv[1]), sys.argv[2])
with r.lock(exclusive=True) as lock:
    forget_ids(r, sys.argv[4:], lock)
    r.load_index()
    print("go", flush=True)
    prune(r, plan_prune(r, PruneOptions(max_unused=parse_max_unused("0%"), repack_small=True)), lock)
print("done", Dying.deeds, flush=True)
"""


def start(where: Path, stop: int, gone: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _PRUNER, where, PASSWORD, str(stop), *gone], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def original(
    where: Path, tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[str]]:
    """A repository with small packs, to be copied for each kill."""
    monkeypatch.setattr(pack, "TARGET_SIZE", 120_000)
    monkeypatch.setattr("actions.backup.saver.INDEX_EVERY_S", 0.0)
    dice = random.Random(SEED)
    ids = []
    for number in range(4):
        change(tmp_path / "tree", dice)
        (tmp_path / "tree" / "big").unlink()
        ids.append(save(where, tmp_path / "tree", number))
    shutil.copytree(where, tmp_path / "original")
    return tmp_path / "original", ids


def copy_back(original: Path, where: Path) -> None:
    shutil.rmtree(where)
    shutil.copytree(original, where)


def test_death_at_every_single_deed_leaves_each_kept_snapshot_whole(
    original: tuple[Path, list[str]], where: Path, restic: Restic
) -> None:
    source, ids = original
    gone = ids[:3]
    with start(where, 0, gone) as undisturbed:
        said = undisturbed.stdout.read().split() if undisturbed.stdout else []
    assert said[:2] == ["go", "done"]
    deeds = int(said[2])
    assert deeds > 20
    for stop in range(1, deeds + 1, 1 if KILLS >= 100 else 3):
        copy_back(source, where)
        with start(where, stop, gone) as pruner:
            pruner.wait()
        # The threads of the saver share the blobs out to packs as they come: now and then that makes a pack less.
        assert pruner.returncode == -signal.SIGKILL or (pruner.returncode == 0 and stop > deeds // 2)
        assert ids[3] in whole(where), stop
        if stop % 8 in (0, 1):
            restic("unlock")
            assert b"no errors were found" in restic("check", "--read-data").stdout
        run(where, forget=[id for id in gone if (where / "snapshots" / id).exists()])
        assert whole(where) == {ids[3]}
        assert run(where)[0].empty, "what the kill left was not cleaned up"


def duration(where: Path, gone: list[str]) -> float:
    """How long it takes, on this machine now, from the first deed to the last."""
    with start(where, 0, gone) as pruner:
        assert pruner.stdout is not None
        assert pruner.stdout.readline() == "go\n"
        begun = time.monotonic()
        assert pruner.stdout.readline().startswith("done")
        return time.monotonic() - begun


def test_kill_at_random_moments_never_harms(original: tuple[Path, list[str]], where: Path, restic: Restic) -> None:
    source, ids = original
    dice = random.Random(SEED)
    took = duration(where, ids[:2])
    before_end, finished = 0, True
    for turn in range(KILLS):
        if finished or turn % 5 == 0:  # else the next works on what the kill left
            copy_back(source, where)
        gone = [id for id in ids[:3] if (where / "snapshots" / id).exists()]
        with start(where, 0, dice.sample(gone, min(len(gone), turn % 3 + 1))) as pruner:
            assert pruner.stdout is not None
            assert pruner.stdout.readline() == "go\n"
            time.sleep(dice.uniform(0, took))
            pruner.send_signal(signal.SIGKILL)
            finished = "done" in pruner.stdout.read()
            before_end += not finished
        # What it took the first time is a guess where the machine has other work: kills that come too late come sooner.
        took = took * 0.8 if finished else took * 1.05
        found = whole(where)
        assert ids[3] in found
        assert set(gone[3:]) <= found
        if turn % 10 == 9 or turn == KILLS - 1:
            restic("unlock")
            assert b"no errors were found" in restic("check", "--read-data").stdout
    assert before_end > KILLS // 10, "the kills come too late: the test has lost its teeth"


def test_memory_stays_bounded(where: Path) -> None:
    """A hundred times as many bytes as the limit are packed anew."""
    Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    code = f"""
import os
from pathlib import Path
from actions.backup.blobs import BlobType
from actions.backup.node import Node
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, parse_max_unused, plan_prune
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stores.local import LocalStore
from actions.backup.tree import encode_tree
now = "2026-01-01T00:00:00Z"
r = Repository.open(LocalStore({str(where)!r}), {PASSWORD!r})
s = r.saver()
nodes = []
for number in range(400):
    id = s.save(BlobType.DATA, os.urandom(1 << 20))[0].hex()
    if number % 2:
        nodes.append(Node(name=f"f{{number}}", type="file", mtime=now, atime=now, ctime=now, uid=0, gid=0, size=1 << 20, content=[id]))
tree = s.save(BlobType.TREE, encode_tree(nodes))[0].hex()
s.finish()
r.save_snapshot(Snapshot(time=now, tree=tree, paths=["/x"], hostname="h"))
with r.lock(exclusive=True) as lock:
    pruned = prune(r, plan_prune(r, PruneOptions(max_unused=parse_max_unused("0%"))), lock)
assert pruned.bytes_freed > 190 << 20, pruned
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 160_000


def test_progress_is_told(past: list[str], where: Path) -> None:
    told: list[tuple[str, int, int]] = []
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, past[:5], lock)
        repository.load_index()
        prune(repository, plan_prune(repository, ALL), lock, lambda *step: told.append(step))
    assert list(dict.fromkeys(step for step, _, _ in told)) == ["repack", "index", "remove"]
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]


def test_a_saver_beside_is_not_confused(past: list[str], where: Path) -> None:
    """The index of the repository is the new one after a prune: a backup in the same process goes on with it."""
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock(exclusive=True) as lock:
        forget_ids(repository, past[:5], lock)
        repository.load_index()
        gone = {id for _, b in repository.index.blobs() if b.type is BlobType.DATA for id in [b.id]}
        prune(repository, plan_prune(repository, ALL), lock)
    assert len(repository.index) < len(gone) + 20
    saver = Saver(repository.files, repository.key, repository.index, compressed=True)
    saver.save(BlobType.DATA, b"after" * 1000)
    saver.finish()
    assert whole(where) == {past[5]}
