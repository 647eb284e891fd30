"""Locks: restic respects ours and we respect theirs; what is left over does not stand in the way for ever."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from actions.backup import locks as module
from actions.backup.errors import Damaged, Locked, LockLost, Overtaken
from actions.backup.locks import LockFile, is_stale, read_locks, remove_stale_locks, take_lock
from actions.backup.repository import Repository
from actions.backup.stores.store import Denied, FileType, Handle
from actions.backup.times import format_time
from tests.actions.backup.conftest import Restic

MINUTE = 60 * 10**9


def put(
    repository: Repository, *, exclusive: bool = False, hostname: str = "elsewhere", pid: int = 1, age_ns: int = 0
) -> str:
    lock = LockFile(
        time=format_time(time.time_ns() - age_ns), exclusive=exclusive, hostname=hostname, username="u", pid=pid
    )
    return repository.files.save(FileType.LOCK, msgspec.json.encode(lock))


def names(repository: Repository) -> set[str]:
    return set(repository.files.names(FileType.LOCK))


def test_restic_stops_at_our_exclusive_lock_and_goes_on_after(
    repository: Repository, restic: Restic, tmp_path: Path
) -> None:
    with repository.lock(exclusive=True):
        done = restic("backup", tmp_path, code=None)
        assert done.returncode != 0
        assert b"already locked exclusively by PID %d" % os.getpid() in done.stderr
    restic("snapshots")


def test_restic_reads_and_adds_under_our_shared_lock_but_does_not_prune(
    repository: Repository, restic: Restic, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with repository.lock():
        restic("backup", tmp_path / "file")
        assert b"already locked by PID" in restic("prune", code=None).stderr
    restic("prune")


def test_we_stop_at_a_lock_of_restic(repository: Repository, restic: Restic, tmp_path: Path, where: Path) -> None:
    """restic reads its standard input for as long as we keep it open, and holds its lock meanwhile."""
    running = subprocess.Popen(
        ["restic", "--no-cache", "-r", where, "backup", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "RESTIC_PASSWORD": "correct horse"},
    )
    try:
        for _ in range(1200):
            if names(repository):
                break
            time.sleep(0.05)
        with repository.lock():
            pass
        with pytest.raises(Locked) as caught:
            repository.lock(exclusive=True)
        assert f"PID {running.pid}" in caught.value.message
        assert caught.value.exit_code == 11
        assert not caught.value.permanent
    finally:
        assert running.stdin is not None
        running.stdin.close()
        running.wait()
    with repository.lock(exclusive=True):
        pass
    assert names(repository) == set()


@pytest.mark.parametrize(
    ("theirs", "ours", "excluded"),
    [(False, False, False), (False, True, True), (True, False, True), (True, True, True)],
)
def test_who_excludes_whom(repository: Repository, theirs: bool, ours: bool, excluded: bool) -> None:
    put(repository, exclusive=theirs)
    if excluded:
        with pytest.raises(Locked):
            repository.lock(exclusive=ours)
        assert len(names(repository)) == 1
    else:
        repository.lock(exclusive=ours).release()


def test_a_lock_of_a_dead_process_of_this_host_goes(repository: Repository) -> None:
    import socket

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    put(repository, exclusive=True, hostname=socket.gethostname(), pid=dead.pid)
    with repository.lock() as lock:
        assert names(repository) == {lock.name}


def test_an_old_lock_of_another_host_is_left_to_a_person(repository: Repository, restic: Restic) -> None:
    """Its process may be suspended, or one of the clocks be off: to go on beside a prune would lose data."""
    put(repository, exclusive=True, age_ns=31 * MINUTE)
    with pytest.raises(Locked) as caught:
        repository.lock()
    assert "unlock" in caught.value.advice
    restic("unlock")
    repository.lock().release()


def test_unlock_removes_what_is_stale_and_nothing_else(repository: Repository) -> None:
    fresh = put(repository, age_ns=29 * MINUTE)
    put(repository, age_ns=31 * MINUTE)
    assert len(remove_stale_locks(repository.files)) == 1
    assert names(repository) == {fresh}


def test_two_that_lock_exclusively_at_once_do_not_both_get_it(repository: Repository) -> None:
    def other(_: float) -> None:
        put(repository)

    with pytest.raises(Locked):
        take_lock(repository.files, exclusive=True, sleep=other)
    assert len(names(repository)) == 1


def test_an_early_lock_is_held_while_it_settles_and_names_no_pack_before(repository: Repository) -> None:
    settled = threading.Event()
    lock = take_lock(repository.files, early=True, sleep=lambda _: settled.wait(10) and None)
    assert names(repository) == {lock.name}
    repository.files.sure = lock.settle
    naming = threading.Thread(target=repository.files.save, args=(FileType.INDEX, b"{}"), daemon=True)
    naming.start()
    naming.join(0.1)
    assert naming.is_alive()
    assert list(repository.files.names(FileType.INDEX)) == []
    settled.set()
    naming.join(10)
    assert len(list(repository.files.names(FileType.INDEX))) == 1
    lock.check()
    lock.release()


def test_an_early_lock_that_was_overtaken_says_so_and_publishes_nothing(repository: Repository) -> None:
    lock = take_lock(repository.files, early=True, sleep=lambda _: put(repository, exclusive=True) and None)
    repository.files.sure = lock.settle
    for name in (FileType.INDEX, FileType.SNAPSHOT):
        with pytest.raises(Overtaken, match="exclusively"):
            repository.files.save(name, b"{}")
        assert list(repository.files.names(name)) == []
    with pytest.raises(Overtaken):
        lock.check()
    lock.release()
    assert len(names(repository)) == 1


def test_an_early_lock_that_could_not_look_again_is_not_settled(repository: Repository) -> None:
    def broken(_: float) -> None:
        raise MemoryError

    lock = take_lock(repository.files, early=True, sleep=broken)
    for asked in (lock.settle, lock.check):
        with pytest.raises(MemoryError):
            asked()
    lock.release()
    assert names(repository) == set()


def test_waiting_for_a_lock(repository: Repository) -> None:
    name = put(repository, exclusive=True)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            repository.store.remove(Handle(FileType.LOCK, name))

    take_lock(repository.files, wait_s=100, sleep=sleep).release()
    assert slept[:2] == [1.0, 2.0]


def test_refreshing_makes_a_new_file_and_removes_the_old(repository: Repository) -> None:
    with repository.lock() as lock:
        before = lock.name
        lock.refresh()
        assert names(repository) == {lock.name}
        assert lock.name != before
        lock.check()
    assert names(repository) == set()


def test_a_lock_that_somebody_removed_is_lost(repository: Repository, restic: Restic) -> None:
    lock = repository.lock()
    restic("unlock", "--remove-all")
    with pytest.raises(LockLost):
        lock.refresh()
    lock.release()
    assert names(repository) == set()


def test_the_keeper_refreshes_and_tells_of_a_loss(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.05)
    lock = repository.lock()
    first = lock.name
    for _ in range(1500):
        time.sleep(0.02)
        if lock.name != first:
            break
    assert lock.name != first
    lock.check()
    monkeypatch.setattr(repository.files, "save", lambda *_: (_ for _ in ()).throw(LockLost("removed")))
    for _ in range(1500):
        time.sleep(0.02)
        try:
            lock.check()
        except LockLost:
            break
    with pytest.raises(LockLost):
        lock.check()
    lock.release()


def test_a_lock_that_was_not_refreshed_for_long_is_not_relied_on(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = repository.lock()
    real = time.time_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: real() + 25 * MINUTE)
    with pytest.raises(LockLost):
        lock.check()
    monkeypatch.undo()
    lock.release()


def test_rubbish_among_the_locks_keeps_nobody_from_adding_but_from_pruning(repository: Repository, where: Path) -> None:
    (where / "locks" / ("a" * 64)).write_bytes(b"written by whoever can write there")
    (where / "locks" / ("b" * 64)).write_bytes(b"")
    assert [problem.where for problem in read_locks(repository.files)[1]] == [f"lock/{'a' * 64}"]
    repository.lock().release()
    with pytest.raises(Damaged):
        repository.lock(exclusive=True)


@pytest.mark.parametrize(("age", "stale"), [(29, False), (31, True), (-600, False)])
def test_staleness_is_that_of_restic(age: int, stale: bool) -> None:
    now = time.time_ns()
    lock = LockFile(time=format_time(now - age * MINUTE), exclusive=True, hostname="elsewhere", username="u", pid=1)
    assert is_stale(lock, now) is stale


def test_where_nothing_may_be_removed_there_is_no_lock_that_would_stay_for_ever(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: Handle) -> None:
        raise Denied(f"{handle}: Permission denied")

    other = repository.lock(exclusive=True)
    monkeypatch.setattr(repository.store, "remove", refuse)
    with pytest.raises(Locked):
        repository.lock()
    monkeypatch.undo()
    other.release()
    monkeypatch.setattr(repository.store, "remove", refuse)
    with repository.lock() as lock:
        lock.refresh()
        lock.check()
        assert names(repository) == set()
    with pytest.raises(Denied) as denied:
        repository.lock(exclusive=True)
    assert "writable" in denied.value.advice, "it is a directory of this machine, not a server"
    assert names(repository) == set()
