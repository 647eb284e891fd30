"""Backup straight to a server, restore and check from it, over lines that are cut, slow or far, and with keys that are refused.

Nothing is torn, and no cut reads as damage.

`HOLDFAST_BACKUP_CUTS` says how often the line is cut (a third each for backup, restore and check), `HOLDFAST_SEED` where.
"""

import hashlib
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actions.backup import pack
from actions.backup.archiver import Choices
from actions.backup.checker import Checker
from actions.backup.job import Done, Run
from actions.backup.memory import Memory
from actions.backup.options import JobOptions, PressureOptions, SshOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import TEMPORARY, LocalStore
from actions.backup.stores.retrying import RetryingStore
from actions.backup.stores.sftp import SftpStore, open_sftp
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.store import FileType, NoSpace, Store, StoreError
from actions.backup.upkeep import Upkeep
from contracts.errors import HoldfastError
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD
from tests.actions.backup.stores.proxy import Proxy
from tests.actions.backup.stores.sshd import WRITE_ONCE, Sshd, chrooted, make_key, make_write_once_folders, normal

CUTS = -(-int(os.environ.get("HOLDFAST_BACKUP_CUTS", "100")) // 3)
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))
FILES = LinuxHost().files


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with normal() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.backup.locks.SETTLE_S", 0.0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    grow(root, random.Random(SEED))
    return root


@pytest.fixture
def target(server: Sshd) -> SftpTarget:
    """A repository without snapshots on the server."""
    made = server.target()
    Repository.create(LocalStore(made.path), PASSWORD, cost=CHEAP)
    return made


def grow(root: Path, dice: random.Random) -> None:
    """A few files more, of which some are large enough for packs of their own."""
    for _ in range(6):
        (root / f"{dice.randrange(40)}").write_bytes(dice.randbytes(dice.choice((100, 9_000, 120_000))))


def back_up(tree: Path, store: Store, **options: object) -> Done:
    job = JobOptions(repository=store.location, paths=(str(tree),), **options)  # type: ignore[arg-type]
    patience = Patience(PressureOptions(pause_at_most=0.0), FILES)
    return Run("etc", job, store, PASSWORD, Choices(), patience, hostname="here").back_up()


def once(target: SftpTarget) -> Store:
    """A store that gives up at the first cut."""
    return RetryingStore(SftpStore(target), patience_s=0)


def restic(path: str, *words: str) -> None:
    argv = ["restic", "--no-cache", "--no-lock", "-r", path, *words]
    done = subprocess.run(argv, env={**os.environ, "RESTIC_PASSWORD": PASSWORD}, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def nothing_torn(path: str) -> None:
    """Every file under a final name is what its name says, and every snapshot is whole."""
    for file in Path(path).rglob("*"):
        if file.is_file() and TEMPORARY not in file.name and file.name != "config":
            assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name, file
    checked = Checker(Repository.open(LocalStore(path), PASSWORD), read_data=True).check()
    assert (checked.problems, checked.losses) == ([], [])


def same(one: Path, other: Path) -> bool:
    return subprocess.run(["diff", "-r", one, other], check=False).returncode == 0


def restore(store: Store, place: Path) -> None:
    repository = Repository.open(store, PASSWORD)
    repository.load_index()
    _, snapshot = max(repository.snapshots(), key=lambda pair: pair[1].time_ns)
    restored = Restorer(repository, verify=True).restore(snapshot.tree, str(place))
    assert restored.failed == []


def cut_often(server: Sshd, target: SftpTarget, attempt: Callable[[SftpTarget], int], dice: random.Random) -> None:
    """Call `attempt` over lines that are cut after a random number of bytes until there were enough cuts.

    It gives the bytes that it carries when nothing is cut. Of a cut it may raise nothing but an error in passing.
    """
    with Proxy(server.port) as proxy:
        server.pin(proxy.port)
        far = replace(target, port=proxy.port)
        size, done = 400_000, 0
        while proxy.cuts < CUTS:
            proxy.cut_after = int(dice.choice((6_000, 40_000, size)) * dice.random()) + 2_000
            try:
                size = max(size // 2, attempt(replace(far, connections=dice.choice((1, 2)))))
                done += 1
            except HoldfastError as error:
                assert isinstance(error, StoreError), (error, proxy.cut_after)
                assert not error.permanent, (error, proxy.cut_after)
        proxy.cut_after = None
        attempt(far)
        assert done


def test_a_backup_whose_line_is_cut_anywhere_tears_nothing_and_the_next_goes_on(
    server: Sshd, target: SftpTarget, tree: Path, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    path = target.path
    reported: set[str] = set()
    runs = 0

    def attempt(far: SftpTarget) -> int:
        nonlocal runs
        runs += 1
        store = once(far)
        try:
            reported.add(back_up(tree, store).snapshot)
        finally:
            store.close()
            if runs % 5 == 0:
                nothing_torn(path)
        grow(tree, dice)
        return 300_000

    cut_often(server, target, attempt, dice)
    nothing_torn(path)
    restic(path, "check", "--read-data")
    found = {id for id, _ in Repository.open(LocalStore(path), PASSWORD).snapshots()}
    assert reported <= found
    back_up(tree, LocalStore(path))
    restore(LocalStore(path), tmp_path / "restored")
    assert same(tree, tmp_path / "restored" / str(tree)[1:])


def test_a_restore_whose_line_is_cut_leaves_no_file_under_its_name_that_is_not_whole(
    server: Sshd, target: SftpTarget, tree: Path, tmp_path: Path
) -> None:
    back_up(tree, LocalStore(target.path))
    place = tmp_path / "restored"

    def attempt(far: SftpTarget) -> int:
        shutil.rmtree(place, ignore_errors=True)
        store = once(far)
        try:
            restore(store, place)
        except HoldfastError:
            for file in place.rglob("*") if place.exists() else ():
                if file.is_file():
                    assert file.read_bytes() == (tree / file.name).read_bytes(), file
            raise
        finally:
            store.close()
        assert same(tree, place / str(tree)[1:])
        return 500_000

    cut_often(server, target, attempt, random.Random(SEED))


def test_a_check_whose_line_is_cut_has_not_looked_and_finds_no_damage(
    server: Sshd, target: SftpTarget, tree: Path
) -> None:
    back_up(tree, LocalStore(target.path))

    def attempt(far: SftpTarget) -> int:
        store = once(far)
        try:
            checked = Checker(Repository.open(store, PASSWORD), read_data=True).check()
        finally:
            store.close()
        assert (checked.problems, checked.losses) == ([], [])
        return 500_000

    cut_often(server, target, attempt, random.Random(SEED + 1))


def test_who_tries_again_gets_through_a_line_that_is_cut_all_the_time(
    server: Sshd, target: SftpTarget, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "TARGET_SIZE", 300_000)
    for number in range(12):
        (tree / f"large {number}").write_bytes(os.urandom(250_000))
    with Proxy(server.port, cut_after=900_000) as proxy:
        server.pin(proxy.port)
        store = open_sftp(replace(target, port=proxy.port), patience_s=60)
        back_up(tree, store)
        restore(store, tmp_path / "restored")
        checked = Checker(Repository.open(store, PASSWORD), read_data=True).check()
        store.close()
        assert (checked.problems, checked.losses) == ([], [])
        assert proxy.cuts >= 5
    assert same(tree, tmp_path / "restored" / str(tree)[1:])


def test_a_server_that_is_restarted_meanwhile_is_waited_for(tree: Path, tmp_path: Path) -> None:
    with normal() as server:
        target = server.target()
        Repository.create(LocalStore(target.path), PASSWORD, cost=CHEAP)
        (tree / "large").write_bytes(os.urandom(30_000_000))
        store = open_sftp(target, patience_s=60)

        def restart() -> None:
            server.stop()
            time.sleep(0.5)
            server.start()

        soon = threading.Timer(0.3, restart)
        soon.start()
        back_up(tree, store)
        soon.join()
        sooner = threading.Timer(0.1, restart)
        sooner.start()
        restore(store, tmp_path / "restored")
        sooner.join()
        store.close()
        nothing_torn(target.path)
        assert same(tree, tmp_path / "restored" / str(tree)[1:])


def test_a_full_server_ends_the_backup_without_a_snapshot_and_it_goes_on_when_there_is_room(
    server: Sshd, tree: Path, tmp_path: Path
) -> None:
    small = server.root / "full"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        target = server.target(f"{small}/repository")
        Repository.create(LocalStore(target.path), PASSWORD, cost=CHEAP)
        (tree / "large").write_bytes(os.urandom(2_000_000))
        store = open_sftp(target)
        with pytest.raises(NoSpace, match="no space left") as caught:
            back_up(tree, store)
        assert (caught.value.exit_code, str(target.host) in str(caught.value)) == (1, True)
        assert list((small / "repository" / "snapshots").iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        back_up(tree, store)
        store.close()
        nothing_torn(target.path)
        restore(LocalStore(target.path), tmp_path / "restored")
        assert same(tree, tmp_path / "restored" / str(tree)[1:])
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.parametrize("line", [{"delay_s": 0.02}, {"rate": 2e6}], ids=["far", "slow"])
def test_a_slow_and_a_distant_line_are_no_hindrance(
    server: Sshd, target: SftpTarget, tree: Path, tmp_path: Path, line: dict[str, float]
) -> None:
    with Proxy(server.port, **line) as proxy:  # type: ignore[arg-type]
        server.pin(proxy.port)
        store = open_sftp(replace(target, port=proxy.port, timeout_s=5, connections=0))
        back_up(tree, store)
        restore(store, tmp_path / "restored")
        checked = Checker(Repository.open(store, PASSWORD), read_data=True).check()
        store.close()
    assert (checked.problems, checked.losses) == ([], [])
    assert same(tree, tmp_path / "restored" / str(tree)[1:])


@pytest.mark.parametrize("deed", ["backup", "restore", "check"])
@pytest.mark.parametrize("change", ["host key", "client key"])
def test_a_changed_host_key_and_a_wrong_key_are_refused_before_anything_is_done(
    target: SftpTarget, tree: Path, tmp_path: Path, server: Sshd, deed: str, change: str
) -> None:
    back_up(tree, LocalStore(target.path))
    before = {path: path.read_bytes() for path in Path(target.path).rglob("*") if path.is_file()}
    make_key(tmp_path / "other")
    if change == "host key":
        pinned = " ".join((tmp_path / "other.pub").read_text().split()[:2])
        (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {pinned}\n")
        target, says = replace(target, known_hosts=str(tmp_path / "known")), "key"
    else:
        target, says = replace(target, key_file=str(tmp_path / "other")), "does not take the key"
    deeds: dict[str, Callable[[Store], object]] = {
        "backup": lambda store: back_up(tree, store),
        "restore": lambda store: restore(store, tmp_path / "restored"),
        "check": lambda store: Checker(Repository.open(store, PASSWORD), read_data=True).check(),
    }
    store = open_sftp(target, patience_s=30)
    with pytest.raises(HoldfastError) as caught:
        deeds[deed](store)
    store.close()
    assert caught.value.permanent, "another attempt would be refused again"
    assert says in str(caught.value)
    assert caught.value.advice
    assert {path: path.read_bytes() for path in Path(target.path).rglob("*") if path.is_file()} == before
    assert not (tmp_path / "restored").exists()


def test_a_job_straight_to_a_write_once_server_leaves_no_lock_is_proved_and_attacked(
    tree: Path, tmp_path: Path
) -> None:
    with chrooted(WRITE_ONCE) as vault:
        make_write_once_folders(vault, "direct")
        target = vault.target("/repositories/direct")
        store = open_sftp(target)
        Repository.create(store, PASSWORD, cost=CHEAP)
        for _ in range(2):
            done = back_up(tree, store)
            grow(tree, random.Random(_))
        ssh = SshOptions(key_file=target.key_file, known_hosts=target.known_hosts)
        place = f"sftp://{target.user}@{target.host}:{target.port}//repositories/direct"
        job = JobOptions(repository=place, ssh=ssh, paths=(str(tree),))
        upkeep = Upkeep("etc", job, store, PASSWORD, "here", str(tmp_path), Memory(), [done.snapshot])
        assert [event.kind for event in upkeep.run("prove")] == ["backup.proved"]
        assert [event.kind for event in upkeep.run("replicate")] == ["backup.target_immutable"]
        assert list(store.list(FileType.LOCK)) == []
        store.close()
