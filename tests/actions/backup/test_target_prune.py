"""Pruning on the side of a write-once target: by its owner's key, while the host replicates, and never for a suspicious history."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.checker import Checker
from actions.backup.errors import Damaged
from actions.backup.hold import Held
from actions.backup.ids import id_of
from actions.backup.keys import add_key
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, parse_max_unused, plan_prune
from actions.backup.replicate import replicate_to
from actions.backup.repository import Repository
from actions.backup.retention import Policy
from actions.backup.stores.local import LocalStore
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.store import FileType, Handle
from actions.backup.target_prune import prune_target
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.histories import change
from tests.actions.backup.stores.sshd import WRITE_ONCE, Sshd, chrooted, make_write_once_folders

ROUNDS = int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30")) // 10
HOUR_NS = 3600 * 10**9
STEP_H = min(7.0, 60 / (ROUNDS + 4))
OWNERS = "the owner of the target"


@pytest.fixture(scope="module")
def vault() -> Iterator[Sshd]:
    with chrooted(WRITE_ONCE) as running:
        yield running


class Both:
    """A host with its repository, and a write-once copy of it that its owner opens with a key of his own."""

    def __init__(self, vault: Sshd, where: Path, tmp_path: Path) -> None:
        self.where, self.tree = where, tmp_path / "tree"
        self.dice = random.Random(7)
        repository = Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
        add_key(LocalStore(where), OWNERS, repository.key, cost=CHEAP)
        name = f"r{where.parent.name[-8:]}"
        make_write_once_folders(vault, name)
        self.target: SftpTarget = vault.target(f"/repositories/{name}")
        self.root = vault.root / "repositories" / name
        self.number = 0

    def backup(self) -> str:
        """One more snapshot some hours after the last, all within the last three days."""
        change(self.tree, self.dice)
        self.number += 1
        repository = Repository.open(LocalStore(self.where), PASSWORD)
        at_ns = time.time_ns() + int((self.number * STEP_H - 70) * HOUR_NS)
        with repository.lock():
            repository.load_index()
            return Archiver(repository).snapshot([str(self.tree)], hostname="here", time_ns=at_ns)[0]

    def retire_here(self, keep: int) -> None:
        """What the host itself does: the same policy over its own repository."""
        repository = Repository.open(LocalStore(self.where), PASSWORD)
        with repository.lock(exclusive=True) as lock:
            found = sorted(repository.snapshots(), key=lambda pair: pair[1].time_ns)
            for id, _ in found[:-keep]:
                repository.store.remove(Handle(FileType.SNAPSHOT, id))
            repository.load_index()
            prune(repository, plan_prune(repository, PruneOptions(max_unused=parse_max_unused("0%"))), lock)

    def there(self) -> Repository:
        return Repository.open(LocalStore(self.root), OWNERS)


@pytest.fixture
def both(vault: Sshd, where: Path, tmp_path: Path) -> Both:
    return Both(vault, where, tmp_path)


def whole(repository: Repository) -> None:
    found = Checker(repository, read_data=True).check()
    assert (found.problems, found.losses) == ([], [])


def test_its_owner_retires_what_the_host_cannot(both: Both, restic: Restic) -> None:
    for _ in range(4):
        both.backup()
        assert replicate_to(LocalStore(both.where), both.target).ok
    both.retire_here(2)
    done = prune_target(both.there(), Policy(last=2), spare_s=0)
    assert len(done.forgotten.ids) == 2
    assert done.pruned.packs_removed > 0
    whole(both.there())
    assert replicate_to(LocalStore(both.where), both.target).ok
    whole(both.there())
    assert len(list(both.there().snapshots())) == 2
    owner = (both.root / "config").stat().st_uid
    assert {path.stat().st_uid for path in both.root.rglob("*") if path.is_file()} == {owner}


_OWNER = """
import sys
from actions.backup.repository import Repository
from actions.backup.retention import Policy
from actions.backup.stores.local import LocalStore
from actions.backup.target_prune import prune_target
prune_target(Repository.open(LocalStore(sys.argv[1]), sys.argv[2]), Policy(last=3))
"""


def test_both_at_once_leave_a_whole_copy(both: Both) -> None:
    """While one run copies, the owner prunes again and again: whatever that run says, the next is whole, and no snapshot lacks anything."""
    for _ in range(3):
        both.backup()
    assert replicate_to(LocalStore(both.where), both.target).ok
    for _ in range(max(3, ROUNDS)):
        both.backup()
        both.retire_here(3)
        ended = threading.Event()
        prunes = 0

        def copy(ended: threading.Event = ended) -> None:
            try:
                replicate_to(LocalStore(both.where), both.target, patience_s=5)
            finally:
                ended.set()

        thread = threading.Thread(target=copy)
        thread.start()
        while not ended.is_set() or not prunes:
            subprocess.run([sys.executable, "-c", _OWNER, both.root, OWNERS], check=True)
            prunes += 1
        thread.join()
        again = replicate_to(LocalStore(both.where), both.target)
        assert again.ok, again.problems
        whole(both.there())


def test_rubbish_goes_and_a_suspicious_history_is_refused_as_a_whole(both: Both) -> None:
    ids = [both.backup() for _ in range(3)]
    assert replicate_to(LocalStore(both.where), both.target).ok
    status = (both.root / "config").stat()
    owner = (status.st_uid, status.st_gid)  # as what comes over SFTP
    added = os.urandom(400)
    name = id_of(added).hex()
    LocalStore(both.root).save(Handle(FileType.SNAPSHOT, name), [added])
    LocalStore(both.root).save(Handle(FileType.LOCK, name), [added])
    for folder in ("snapshots", "locks"):
        os.chown(both.root / folder / name, *owner)
    both.number = 40  # by the host's own password: snapshots of the future, which would count the good ones out
    both.backup()
    replicate_to(LocalStore(both.where), both.target)
    with pytest.raises(Held, match="future"):
        prune_target(both.there(), Policy(last=1), spare_s=0)
    left = {id for id, _ in both.there().snapshots()}
    assert set(ids) <= left
    assert name not in left, "what no key holder wrote is gone all the same"
    assert list((both.root / "locks").iterdir()) == []


def test_an_index_file_that_is_not_what_its_name_says_is_outlived(
    repository: Repository, where: Path, tmp_path: Path, restic: Restic
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    repository.load_index()
    for number in range(3):
        (source / "file").write_text(f"{number}" * 1000)
        Archiver(repository).snapshot([str(source)], hostname="here", time_ns=time.time_ns() - (3 - number) * 10**9)
    (where / "index" / ("ab" * 32)).write_bytes(os.urandom(300))
    done = prune_target(Repository.open(LocalStore(where), PASSWORD), Policy(last=1), spare_s=0.0)
    assert (len(done.forgotten.ids), done.rubbish, done.doubtful) == (2, [f"index/{'ab' * 32}"], [])
    assert b"no errors were found" in restic("check", "--read-data").stdout

    (where / "snapshots" / ("cd" * 32)).write_bytes(os.urandom(300))
    with pytest.raises(Damaged, match="cdcdcd") as caught:
        prune_target(Repository.open(LocalStore(where), PASSWORD), Policy(last=1), spare_s=0.0)
    assert "remove the file" in caught.value.advice
