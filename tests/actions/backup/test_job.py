"""One job from start to end, with what can go wrong on the way; the stock restic reads what it leaves."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from actions.backup.archiver import Choices, NothingToSave, Report
from actions.backup.databases.options import CommandOptions, DatabaseOptions
from actions.backup.errors import Damaged, Locked, NoRepository, WrongPassword
from actions.backup.job import PARTIAL_TAG, Done, Run, alone, newest, own_folders
from actions.backup.locks import LockFile
from actions.backup.options import JobOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle, NoSpace
from actions.backup.times import format_time
from host.linux import LinuxHost
from tests.actions.backup.conftest import PASSWORD, Restic
from tests.actions.backup.histories import whole

HOST = LinuxHost()
ROOT = Path(__file__).resolve().parents[3]
KILLS = -(-int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30")) // 3)
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    (made / "one").write_text("one")
    (made / "two").write_bytes(os.urandom(100_000))
    return made


def run(where: Path, source: Path, name: str = "etc", **options: object) -> Run:
    job = JobOptions(repository=str(where), paths=(str(source),), **options)  # type: ignore[arg-type]
    patience = Patience(PressureOptions(pause_at_most=0.0), HOST.files)
    return Run(name, job, LocalStore(where), PASSWORD, Choices(), patience, hostname="here", lock_wait_s=0.0)


def test_the_snapshot_bears_the_jobs_name_and_the_next_builds_on_it(
    repository: Repository, where: Path, source: Path, restic: Restic
) -> None:
    first = run(where, source, tags=("daily",)).back_up()
    assert not first.partial
    second = run(where, source, tags=("daily",)).back_up()
    assert second.report.files_unmodified == 2
    shown = json.loads(restic("snapshots", "--json").stdout)
    assert [each["id"] for each in shown] == [first.snapshot, second.snapshot]
    assert shown[1]["parent"] == first.snapshot
    assert shown[1]["tags"] == ["etc", "daily"]
    restic("check", "--read-data")
    summary = repository.load_snapshot(second.snapshot).summary
    assert (summary["files_unmodified"], summary["total_bytes_processed"]) == (2, 100_003)


def test_another_jobs_snapshots_are_no_parents(repository: Repository, where: Path, source: Path) -> None:
    run(where, source, "other").back_up()
    repository.load_index()
    assert newest(repository, "here", "etc") is None
    assert run(where, source).back_up().report.files_new == 2


def test_what_cannot_be_read_makes_it_partial_and_the_snapshot_says_so(
    repository: Repository, where: Path, source: Path
) -> None:
    done = run(where, source)
    done.job = msgspec.structs.replace(done.job, paths=(str(source), str(source / "gone")))
    ended = done.back_up()
    assert ended.partial
    assert repository.load_snapshot(ended.snapshot).tags == ["etc", PARTIAL_TAG]


def test_no_repository_a_wrong_password_and_a_lock_end_it_without_a_snapshot(
    repository: Repository, where: Path, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(NoRepository):
        run(tmp_path / "nowhere", source).back_up()
    wrong = run(where, source)
    wrong.password = "another"
    with pytest.raises(WrongPassword):
        wrong.back_up()
    with repository.lock(exclusive=True), pytest.raises(Locked):
        run(where, source).back_up()
    with pytest.raises(NothingToSave):
        run(where, source / "gone").back_up()
    assert list(repository.snapshots()) == []


class Full(LocalStore):
    """A place that is full after the first packs."""

    def save(self, handle: Handle, parts: object) -> None:  # type: ignore[override]
        if handle.type is FileType.PACK:
            raise NoSpace(f"{self.location}: no space left on device")
        super().save(handle, parts)  # type: ignore[arg-type]


class Liar(LocalStore):
    """A place that takes packs and keeps none."""

    def save(self, handle: Handle, parts: object) -> None:  # type: ignore[override]
        if handle.type is not FileType.PACK:
            super().save(handle, parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(("store", "error"), [(Full, NoSpace), (Liar, Damaged)])
def test_no_snapshot_claims_what_the_store_does_not_hold(
    repository: Repository, where: Path, source: Path, store: type[LocalStore], error: type[Exception]
) -> None:
    made = run(where, source)
    made.store = store(where)
    with pytest.raises(error):
        made.back_up()
    assert list(repository.snapshots()) == []


def test_after_a_run_that_was_cut_off_its_packs_are_taken_up(
    repository: Repository, where: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(LocalStore):
        def save(self, handle: Handle, parts: object) -> None:  # type: ignore[override]
            if handle.type is FileType.INDEX:
                raise NoSpace("cut off before the index")
            super().save(handle, parts)  # type: ignore[arg-type]

    cut = run(where, source)
    cut.store = Cut(where)
    with pytest.raises(NoSpace):
        cut.back_up()
    done = run(where, source).back_up()
    assert done.adopted > 0
    assert done.report.saved.stored_bytes < 10_000


def test_a_snapshot_from_the_future_is_told(
    repository: Repository, where: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(where, source).back_up()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    done = run(where, source).back_up()
    assert done.ahead == first.snapshot
    assert 3590 < done.ahead_s < 3610
    assert repository.load_snapshot(done.snapshot)


def test_it_says_how_far_it_is_and_waits_for_others(
    repository: Repository, where: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actions.backup.job.PULSE_S", 0.0)
    told: list[tuple[int, str]] = []
    made = run(where, source)
    made.patience = Patience(
        PressureOptions(io=0.0, cpu=0.0, memory=0.0, pause_at_most=2.0), Pressing(), lambda _: None
    )
    made.advance = lambda report, waits: told.append((report.files, waits))
    done = made.back_up()
    assert told[0][1] == "io"
    assert done.paused_s == 2.0


class Pressing:
    def read(self, path: str, max_bytes: int = 0) -> bytes:
        return b"some avg10=50.00 avg60=0.00 avg300=0.00 total=1\n"


def test_two_runs_of_one_job_exclude_each_other_and_of_two_jobs_do_not(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with (
        alone(folder, "etc"),
        alone(folder, "other"),
        pytest.raises(Locked, match="running already"),
        alone(folder, "etc"),
    ):
        pass
    with alone(str(tmp_path), "etc"):
        pass


def test_a_thread_that_ends_leaves_the_job_free(tmp_path: Path) -> None:
    def hold() -> None:
        with alone(str(tmp_path), "etc"):
            pass

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    with alone(str(tmp_path), "etc"):
        pass


def test_the_repository_is_known_by_device_and_inode(where: Path, repository: Repository) -> None:
    status = where.stat()
    assert own_folders(LocalStore(where)) == {(status.st_dev, status.st_ino)}
    assert own_folders(LocalStore(where / "gone")) == frozenset()


def command(name: str, *argv: str) -> CommandOptions:
    return CommandOptions(name=name, argv=argv)


def test_databases_come_in_snapshots_of_their_own_and_one_that_fails_stops_no_other(
    repository: Repository, where: Path, source: Path, restic: Restic
) -> None:
    databases = DatabaseOptions(command=(command("good", "/bin/echo", "dump"), command("bad", "/bin/false")))
    done = run(where, source, databases=databases).back_up(HOST)  # type: ignore[arg-type]
    assert done.partial
    assert [(dumps.name, bool(dumps.snapshot), bool(dumps.failed)) for dumps in done.dumps] == [
        ("good", True, False),
        ("bad", False, True),
    ]
    assert len(done.snapshots) == 2
    assert restic("dump", done.dumps[0].snapshot, "/databases/good/output").stdout == b"dump\n"
    assert newest(repository, "here", "etc")[0] == done.snapshot  # type: ignore[index]


def test_without_any_of_the_paths_the_databases_are_saved_and_the_run_has_failed(
    repository: Repository, where: Path, tmp_path: Path, restic: Restic
) -> None:
    databases = DatabaseOptions(command=(command("good", "/bin/echo", "dump"), command("bad", "/bin/false")))
    done = run(where, tmp_path / "gone", databases=databases).back_up(HOST)  # type: ignore[arg-type]
    assert done.failure is not None
    assert re.search(r"gone: .*none of the paths.*bad.*saved were the databases: good$", done.failure.message)
    assert [dumps.name for dumps in done.dumps if dumps.complete] == ["good"]
    (shown,) = json.loads(restic("snapshots", "--json").stdout)
    assert shown["paths"] == ["/databases/good"]


@pytest.mark.parametrize("paths", [True, False])
def test_who_is_overtaken_while_its_lock_settles_begins_again_when_the_other_is_done(
    repository: Repository, where: Path, source: Path, restic: Restic, monkeypatch: pytest.MonkeyPatch, paths: bool
) -> None:
    """Another locks exclusively at the same moment: what was begun must not count."""
    theirs: list[str] = []
    load_index = Repository.load_index

    def overtaking(self: Repository) -> None:
        if not theirs:
            lock = LockFile(time=format_time(time.time_ns()), exclusive=True, hostname="elsewhere", username="u", pid=1)
            theirs.append(self.files.save(FileType.LOCK, msgspec.json.encode(lock)))
            gone = threading.Timer(0.8, self.store.remove, (Handle(FileType.LOCK, theirs[0]),))
            gone.start()
        load_index(self)

    monkeypatch.setattr(Repository, "load_index", overtaking)
    databases = DatabaseOptions(command=(command("good", "/bin/echo", "dump"),))
    made = run(where, source, databases=databases)
    made.lock_wait_s = 20.0
    if not paths:
        made.job = msgspec.structs.replace(made.job, paths=())
    done = made.back_up(HOST)  # type: ignore[arg-type]
    assert theirs
    assert not done.partial
    assert len(json.loads(restic("snapshots", "--json").stdout)) == 1 + paths
    assert b"no errors were found" in restic("check", "--read-data").stdout


def test_when_nothing_at_all_could_be_saved_it_failed(repository: Repository, where: Path, source: Path) -> None:
    made = run(where, source, databases=DatabaseOptions(command=(command("bad", "/bin/false"),)))
    made.job = msgspec.structs.replace(made.job, paths=())
    with pytest.raises(NothingToSave, match="bad"):
        made.back_up(HOST)  # type: ignore[arg-type]
    assert Done(report=Report()).snapshots == []


_WORKER = """
import os, random, sys
from pathlib import Path
from actions.backup import locks, pack, saver
from actions.backup.archiver import Choices
from actions.backup.job import Run
from actions.backup.options import JobOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.stores.local import LocalStore
pack.TARGET_SIZE, saver.INDEX_EVERY_S, locks.SETTLE_S = 60_000, 0.02, 0.0
where, source, password, seed = sys.argv[1:]
dice = random.Random(int(seed))
job = JobOptions(repository=where, paths=(source,))
print("go", flush=True)
while True:
    for _ in range(8):
        (Path(source) / f"{dice.randrange(30)}").write_bytes(dice.randbytes(dice.randrange(1, 60_000)))
    patience = Patience(PressureOptions(pause_at_most=0.0), None)
    run = Run("etc", job, LocalStore(where), password, Choices(), patience, hostname="here")
    print("snapshot", run.back_up().snapshot, flush=True)
"""


def test_a_job_killed_at_any_moment_leaves_whole_snapshots_and_every_one_that_it_reported(
    repository: Repository, where: Path, source: Path, restic: Restic
) -> None:
    """The whole way of a job, in a process of its own; what was stored before the kill is taken up by the next."""
    dice = random.Random(SEED)
    reported: set[str] = set()
    for turn in range(KILLS):
        argv = [sys.executable, "-c", _WORKER, str(where), str(source), PASSWORD, str(SEED + turn)]
        worker = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "go\n"
        if turn == KILLS - 1:  # the last may end a run first, however slow this machine is
            reported.add(worker.stdout.readline().split()[1])
        time.sleep(dice.uniform(0, 0.4))
        worker.send_signal(signal.SIGKILL)
        said, errors = worker.communicate()
        assert errors == ""
        reported |= {line.split()[1] for line in said.splitlines() if len(line) == 73}
        assert reported <= whole(where)
    restic("unlock")
    assert b"no errors were found" in restic("check", "--read-data").stdout
    assert reported
    done = run(where, source).back_up()
    assert done.damaged == []
