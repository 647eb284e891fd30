"""Replication to a real sshd: cut, killed, full, restarted, torn and strange; what is on the target is always whole, and restic agrees.

`HOLDFAST_BACKUP_CUTS` and `HOLDFAST_BACKUP_KILLS` say how often the line is cut and the process killed, `HOLDFAST_SEED` where.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.locks import take_lock
from actions.backup.replicate import Problem, Progress, Replicated, Verify, replicate, replicate_to
from actions.backup.repository import Repository
from actions.backup.stores.local import TEMPORARY, LocalStore
from actions.backup.stores.retrying import RetryingStore
from actions.backup.stores.sftp import SftpStore
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.store import CONFIG, FileType, Handle, Store
from tests.actions.backup.conftest import CHEAP, PASSWORD
from tests.actions.backup.stores.proxy import Proxy
from tests.actions.backup.stores.sshd import WRITE_ONCE, Sshd, chrooted, make_write_once_folders, normal

CUTS = int(os.environ.get("HOLDFAST_BACKUP_CUTS", "100"))
KILLS = int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30"))
SEED = int(os.environ.get("HOLDFAST_SEED", "5"))
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with normal() as running:
        yield running


@pytest.fixture(scope="module")
def vault() -> Iterator[Sshd]:
    with chrooted(WRITE_ONCE) as running:
        yield running


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three snapshots, some packs and index files, and a lock that somebody holds."""
    folder = tmp_path_factory.mktemp("source")
    tree = folder / "tree"
    tree.mkdir()
    repository = Repository.create(LocalStore(folder / "repository"), PASSWORD, cost=CHEAP)
    for turn in range(3):
        for number in range(3):
            (tree / f"{turn} {number}").write_bytes(random.Random(turn * 10 + number).randbytes(150_000))
        repository.load_index()
        Archiver(repository).snapshot([str(tree)], hostname="here")
    take_lock(repository.files)
    return folder / "repository"


@pytest.fixture
def source(original: Path, tmp_path: Path) -> LocalStore:
    shutil.copytree(original, tmp_path / "repository")
    return LocalStore(tmp_path / "repository")


@pytest.fixture
def target(server: Sshd) -> SftpTarget:
    return server.target()


def on_disk(target: SftpTarget) -> Path:
    return Path(target.path)


def files_of(root: Path) -> dict[str, bytes]:
    """What lies under final names, locks left out."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if TEMPORARY not in name and not name.startswith("locks/")}


def nothing_torn(root: Path, source: Store) -> None:
    """Every file under a final name is what its name says, and what the source holds under it."""
    for name, data in files_of(root).items():
        if name != "config":
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2], name
        else:
            assert data == source.load(CONFIG)


def restic(root: Path | str, *words: str) -> str:
    done = subprocess.run(
        ["restic", "--no-cache", "--no-lock", "-r", str(root), *words],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def whole_copy(done: Replicated, source: LocalStore, root: Path) -> None:
    assert done.ok, done
    assert files_of(root) == files_of(Path(source.location))
    restic(root, "check", "--read-data")


# what it does


def test_everything_but_locks_arrives_and_restic_reads_it(source: LocalStore, target: SftpTarget) -> None:
    done = replicate_to(source, target)
    whole_copy(done, source, on_disk(target))
    mine = files_of(Path(source.location))
    assert (done.files, done.bytes) == (len(mine), sum(map(len, mine.values())))
    assert (done.verified_files, done.verified_bytes) == (done.files, done.bytes)
    assert list((on_disk(target) / "locks").iterdir()) == []
    assert list(source.list(FileType.LOCK)) != []
    assert len(restic(on_disk(target), "snapshots", "--json").split('"tree"')) == 4


def test_the_second_run_adds_only_what_is_new(source: LocalStore, target: SftpTarget, tmp_path: Path) -> None:
    first = replicate_to(source, target)
    again = replicate_to(source, target)
    assert (again.ok, again.files, again.files_there) == (True, 0, first.files)
    assert again.verified_files > 0
    repository = Repository.open(source, PASSWORD)
    repository.load_index()
    (tmp_path / "new").write_bytes(os.urandom(1000))
    Archiver(repository).snapshot([str(tmp_path / "new")], hostname="here")
    more = replicate_to(source, target)
    assert 3 <= more.files <= 4
    whole_copy(more, source, on_disk(target))


def test_snapshots_come_last_and_index_files_after_packs(source: LocalStore, target: SftpTarget) -> None:
    seen: list[str] = []
    replicate_to(source, target, progress=lambda progress: seen.append(progress.doing))
    copied = [doing.removeprefix("copying ") for doing in seen if doing.startswith("copying")]
    order = ["key", "config", "data", "index", "snapshot"]
    assert copied == sorted(copied, key=order.index)
    assert set(copied) == set(order)


def test_progress_reaches_the_end(source: LocalStore, target: SftpTarget) -> None:
    told: list[Progress] = []
    done = replicate_to(source, target, verify=Verify.SIZES, progress=told.append)
    assert (told[-1].files_done, told[-1].files) == (done.files, done.files)
    assert (told[-1].bytes_done, told[-1].bytes) == (done.bytes, done.bytes)
    assert [one.bytes_done for one in told] == sorted(one.bytes_done for one in told)
    assert done.verified_files == 0


def test_a_run_that_is_cancelled_leaves_a_whole_target_and_is_gone_on_with(
    source: LocalStore, target: SftpTarget
) -> None:
    stop = threading.Event()

    def after_three(progress: Progress) -> None:
        if progress.files_done >= 3:
            stop.set()

    done = replicate_to(source, target, stop=stop, progress=after_three)
    assert (done.cancelled, done.complete, done.ok) == (True, False, False)
    assert 3 <= done.files <= 6
    nothing_torn(on_disk(target), source)
    whole_copy(replicate_to(source, target), source, on_disk(target))


def test_a_write_once_target_takes_it_and_its_second_names_cost_no_room(source: LocalStore, vault: Sshd) -> None:
    make_write_once_folders(vault, "r")
    target = vault.target("/repositories/r")
    done = replicate_to(source, target)
    root = vault.root / "repositories" / "r"
    whole_copy(done, source, root)
    assert all(path.stat().st_nlink == 2 for path in (root / "tmp").iterdir())
    assert replicate_to(source, target, verify=Verify.WHOLE).ok


def test_two_targets_are_two_runs(source: LocalStore, server: Sshd) -> None:
    gone, there = server.target(port=1), server.target()
    results = [replicate_to(source, one, patience_s=0.1) for one in (gone, there)]
    assert [done.ok for done in results] == [False, True]
    assert results[0].problems[0].where == str(gone)


# what goes wrong at the target


def spoiled(path: Path, data: bytes) -> Path:
    path.chmod(0o600)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("folder", ["keys", "data", "index", "snapshots"])
@pytest.mark.parametrize("how", ["cut", "empty", "longer"])
def test_a_torn_file_under_its_final_name_is_named_and_the_rest_goes_on(
    source: LocalStore, target: SftpTarget, folder: str, how: str, tmp_path: Path
) -> None:
    replicate_to(source, target)
    victim = sorted(path for path in (on_disk(target) / folder).rglob("*") if path.is_file())[0]
    whole = victim.read_bytes()
    spoiled(victim, {"cut": whole[:-7], "empty": b"", "longer": whole + b"x"}[how])
    repository = Repository.open(source, PASSWORD)
    repository.load_index()
    (tmp_path / "new").write_bytes(os.urandom(1000))
    Archiver(repository).snapshot([str(tmp_path / "new")], hostname="here")
    done = replicate_to(source, target)
    assert not done.ok
    (problem,) = done.problems
    assert victim.name in problem.where
    assert "torn or changed" in problem.what
    assert ("restic refuses" in problem.what) == (folder in {"index", "snapshots"})
    victim.unlink()
    whole_copy(replicate_to(source, target), source, on_disk(target))


@pytest.mark.parametrize("folder", ["data", "index", "snapshots", "keys"])
def test_a_changed_file_of_the_same_size_is_found_by_reading_all(
    source: LocalStore, target: SftpTarget, folder: str
) -> None:
    replicate_to(source, target)
    victim = sorted(path for path in (on_disk(target) / folder).rglob("*") if path.is_file())[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    spoiled(victim, bytes(data))
    done = replicate_to(source, target, verify=Verify.WHOLE)
    assert (done.complete, done.ok) == (True, False)
    assert [victim.name in problem.where for problem in done.problems] == [True]


def test_rubbish_on_the_target_is_survived_and_counted(source: LocalStore, target: SftpTarget) -> None:
    replicate_to(source, target)
    root = on_disk(target)
    rubbish = "ab" * 32
    for name in (f"data/ab/{rubbish}", f"index/{rubbish}", f"snapshots/{rubbish}", "snapshots/letter", "data/zz"):
        (root / name).write_bytes(b"rubbish")
    (root / "keys" / rubbish).symlink_to("/etc/shadow")
    done = replicate_to(source, target, verify=Verify.WHOLE)
    assert done.complete
    assert done.strangers == {"data": 1, "index": 1, "snapshot": 1}
    assert sorted(problem.where for problem in done.problems) == sorted(
        [f"data/{rubbish}", f"index/{rubbish}", f"snapshot/{rubbish}"]
    )


def test_another_repository_is_not_mixed_with(source: LocalStore, target: SftpTarget, tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "other")
    Repository.create(other, PASSWORD, cost=CHEAP)
    replicate_to(other, target)
    before = files_of(on_disk(target))
    done = replicate_to(source, target)
    assert "another repository" in done.problems[0].what
    assert "empty folder" in done.problems[0].advice
    assert files_of(on_disk(target)) == before


def test_a_full_server_is_told_and_gone_on_with_when_there_is_room(source: LocalStore, server: Sshd) -> None:
    small = server.root / "full"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", small], check=True)
    try:
        target = server.target(f"{small}/repository")
        done = replicate_to(source, target)
        assert not done.complete
        assert any("no space left" in problem.what for problem in done.problems)
        assert done.problems[0].advice == "make room there"
        nothing_torn(on_disk(target), source)
        assert list((on_disk(target) / "snapshots").iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        whole_copy(replicate_to(source, target), source, on_disk(target))
    finally:
        subprocess.run(["umount", "-l", small], check=True)


class Lying(LocalStore):
    """A store that says yes to every second pack and keeps nothing of it, or half of it."""

    def __init__(self, path: Path, keep: float) -> None:
        super().__init__(path, connections=1)
        self._keep = keep
        self._turn = 0

    def save(self, handle: Handle, parts) -> None:  # type: ignore[no-untyped-def]
        self._turn += 1
        if handle.type is FileType.PACK and self._turn % 2:
            whole = b"".join(parts)
            if self._keep:
                super().save(handle, [whole[: int(len(whole) * self._keep)]])
            return
        super().save(handle, list(parts))


@pytest.mark.parametrize(("keep", "says"), [(0.0, "is not on the target"), (0.5, "torn or changed")])
def test_a_store_that_lies_about_success_is_found_out(
    source: LocalStore, tmp_path: Path, keep: float, says: str
) -> None:
    done = replicate(source, Lying(tmp_path / "lying", keep))
    assert not done.complete
    assert done.problems
    assert all(says in problem.what for problem in done.problems)


# what goes wrong at the source


def test_a_pack_that_rotted_here_is_not_published_there(source: LocalStore, target: SftpTarget) -> None:
    victim = sorted(path for path in Path(source.location, "data").rglob("*") if path.is_file())[0]
    data = victim.read_bytes()
    spoiled(victim, data[:-1] + bytes([data[-1] ^ 1]))
    done = replicate_to(source, target)
    assert not done.complete
    where = f"data/{victim.name}"
    assert [problem.where for problem in done.problems] == [where]
    assert "damaged in" in done.problems[0].what
    assert "backup check" in done.problems[0].advice
    assert not (on_disk(target) / "data" / victim.name[:2] / victim.name).exists()
    nothing_torn(on_disk(target), source)
    spoiled(victim, data)
    whole_copy(replicate_to(source, target), source, on_disk(target))


def test_a_prune_beside_is_noticed_and_planned_anew(source: LocalStore, target: SftpTarget) -> None:
    """After the first pack the source is pruned: what vanishes must not make a target that names it."""
    pruned = threading.Event()

    def prune(progress: Progress) -> None:
        if progress.doing == "copying data" and not pruned.is_set():
            pruned.set()
            environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
            words = ["restic", "--no-cache", "-q", "-r", source.location, "unlock", "--remove-all"]
            subprocess.run(words, env=environment, check=True)
            words = ["restic", "--no-cache", "-q", "-r", source.location, "forget", "--keep-last", "1", "--prune"]
            subprocess.run([*words, "--max-unused", "0"], env=environment, check=True)

    done = replicate_to(source, replace(target, connections=1), progress=prune)
    assert done.complete, done
    mine = files_of(Path(source.location))
    assert mine.items() <= files_of(on_disk(target)).items()
    restic(on_disk(target), "check", "--read-data")


def test_a_source_that_is_no_repository_is_said_plainly(tmp_path: Path, target: SftpTarget) -> None:
    done = replicate_to(LocalStore(tmp_path / "nothing"), target)
    assert not done.complete
    assert "nothing/config" in str(done.problems[0])
    assert not on_disk(target).exists()


# cuts and kills


def bare(target: SftpTarget) -> Store:
    """A store that gives up at the first cut."""
    return RetryingStore(SftpStore(target), patience_s=0)


def test_a_line_cut_anywhere_never_tears_a_name_and_the_next_run_goes_on(source: LocalStore, server: Sshd) -> None:
    """Each run's connections are cut after a random number of bytes; when a target is complete, another is begun."""
    dice = random.Random(SEED)
    size = sum(len(data) for data in files_of(Path(source.location)).values())
    with Proxy(server.port) as proxy:
        server.pin(proxy.port)
        target = server.target(port=proxy.port)
        completed = 0
        while proxy.cuts < CUTS:
            proxy.cut_after = int(dice.choice((8_000, 60_000, size)) * dice.random()) + 2_500
            store = bare(replace(target, connections=dice.choice((1, 2))))
            done = replicate(source, store, verify=dice.choice(list(Verify)), dice=dice)
            store.close()
            nothing_torn(on_disk(target), source)
            for problem in done.problems:
                assert problem.where == store.location, (problem, proxy.cut_after)
            if done.complete:
                completed += 1
                whole_copy(replicate_to(source, replace(target, port=server.port)), source, on_disk(target))
                target = replace(target, path=server.target().path)
        proxy.cut_after = None
        whole_copy(replicate_to(source, target), source, on_disk(target))
        assert completed


def test_a_run_that_tries_again_survives_a_line_that_is_cut_all_the_time(source: LocalStore, server: Sshd) -> None:
    with Proxy(server.port, cut_after=700_000) as proxy:
        server.pin(proxy.port)
        target = server.target(port=proxy.port)
        done = replicate_to(source, target, patience_s=60)
        assert proxy.cuts >= 2
        whole_copy(done, source, on_disk(target))


def test_a_server_that_is_restarted_meanwhile_is_waited_for(source: LocalStore) -> None:
    with normal() as server:
        later = threading.Timer(0.7, server.start)

        def restart(progress: Progress) -> None:
            if progress.files_done == 3 and not later.ident:
                server.stop()
                later.start()

        target = server.target()
        done = replicate_to(source, target, progress=restart, patience_s=60)
        later.join()
        whole_copy(done, source, on_disk(target))


def test_a_slow_and_distant_line_is_no_hindrance(source: LocalStore, server: Sshd) -> None:
    for proxy in (Proxy(server.port, delay_s=0.02), Proxy(server.port, rate=1e6)):
        with proxy:
            server.pin(proxy.port)
            target = server.target(port=proxy.port, timeout_s=5, connections=0)
            whole_copy(replicate_to(source, target), source, on_disk(target))


_RUN = """
import sys
from actions.backup.replicate import replicate_to
from actions.backup.stores.local import LocalStore
from actions.backup.stores.sftp_target import SftpTarget
host, port, user, path, key, known, source = sys.argv[1:]
target = SftpTarget(host=host, port=int(port), user=user, path=path, key_file=key, known_hosts=known)
print("go", flush=True)
done = replicate_to(LocalStore(source), target)
print("complete" if done.ok else done, flush=True)
"""


def test_killed_at_any_moment_the_target_is_whole_and_the_next_run_goes_on(source: LocalStore, server: Sshd) -> None:
    dice = random.Random(SEED)
    target = server.target()
    kills = completed = 0
    longest = 0.4
    while kills < KILLS:
        words = [str(target.port), target.user, target.path, target.key_file, target.known_hosts, source.location]
        run = subprocess.Popen(
            [sys.executable, "-c", _RUN, target.host, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None
        assert run.stdout.readline() == "go\n"
        began = time.monotonic()
        try:
            run.wait(dice.uniform(0, longest))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            kills += 1
        said = run.stdout.read()
        run.wait()
        run.stdout.close()
        if on_disk(target).exists():
            nothing_torn(on_disk(target), source)
        if "complete" in said:
            longest = max(0.2, 0.9 * (time.monotonic() - began))
            completed += 1
            assert files_of(on_disk(target)) == files_of(Path(source.location))
            restic(on_disk(target), "check", "--read-data")
            target = server.target()
        else:
            assert said == ""
            longest = min(5.0, longest * 1.05)
    whole_copy(replicate_to(source, target), source, on_disk(target))


def test_a_problem_reads_as_a_sentence() -> None:
    assert str(Problem("index/ab", "is torn", "remove it")) == "index/ab: is torn; remove it"
    assert str(Problem("index/ab", "is torn")) == "index/ab: is torn"
