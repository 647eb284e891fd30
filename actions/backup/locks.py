"""Locks as restic has them: files that say who works on the repository; an exclusive one tolerates no other.

Source: restic's doc/design.rst, "Locks", and `internal/restic/lock.go`. What differs from restic: a lock of this host whose process is gone
is removed without being asked, and a file among the locks that no key holder wrote keeps nobody from reading or adding.
"""

import os
import pwd
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import msgspec

from actions.backup.errors import Damaged, Locked, LockLost, Overtaken
from actions.backup.files import Files
from actions.backup.stores.store import Denied, FileType, Handle, NotThere, StoreError
from actions.backup.times import format_time, parse_time

STALE_S = 30 * 60
"""A lock that nobody refreshed for so long is stale."""

REFRESH_S = 5 * 60
SETTLE_S = 0.2
"""How long to wait before looking again, so that two that lock at once see each other."""

_READ_ONLY = "if it is mounted read-only, mount it writable"
_WRITE_ONCE = "do it on the server, as root: `holdfast backup forget --on-target`"


class LockFile(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A lock file, field for field as restic writes it."""

    time: str
    exclusive: bool
    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        kind = "exclusively " if self.exclusive else ""
        return f"{kind}by PID {self.pid} on {self.hostname} by {self.username}, since {self.time}"


def is_stale(lock: LockFile, now_ns: int) -> bool:
    """Whether a lock is left over: older than 30 minutes, or of a process of this host that is gone."""
    return now_ns - parse_time(lock.time) > STALE_S * 1_000_000_000 or _is_orphan(lock)


class Lock:
    """A lock that is held; leave it with `release` or as a context manager. `keep` refreshes it in a thread of its own."""

    def __init__(self, files: Files, mine: LockFile, name: str) -> None:
        self._files = files
        self._mine = mine
        self.name = name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost: str = ""
        self._settling: threading.Thread | None = None
        self._unsettled: BaseException | None = None

    def settle_meanwhile(self, look: Callable[[], None]) -> None:
        """Let `look` find out in a thread whether the lock excludes everybody that it must; `settle` says."""

        def find_out() -> None:
            try:
                look()
            except BaseException as error:  # noqa: BLE001 (carried to whoever settles: not to have looked is not to have seen nobody)
                self._unsettled = error

        self._settling = threading.Thread(target=find_out, name="backup-lock-settles", daemon=True)
        self._settling.start()

    def settle(self) -> None:
        """Wait until it is known that nobody locked at the same moment; Overtaken when somebody did, and what the store raised."""
        if self._settling is not None:
            self._settling.join()
        self._refuse_unsettled()

    def _refuse_unsettled(self) -> None:
        if isinstance(self._unsettled, Locked):
            raise Overtaken(self._unsettled.message, advice=self._unsettled.advice)
        if self._unsettled is not None:
            raise self._unsettled

    def keep(self) -> "Lock":
        """Refresh from now on every five minutes until released; a failure shows in `check`."""
        self._thread = threading.Thread(target=self._refresh_until_stopped, name="backup-lock", daemon=True)
        self._thread.start()
        return self

    def refresh(self) -> None:
        """Say that we are still here: a new file, then the old one goes. LockLost when somebody removed ours."""
        self._must_exist(self.name)
        self._mine = msgspec.structs.replace(self._mine, time=format_time(time.time_ns()))
        old, new = self.name, self._files.save(FileType.LOCK, msgspec.json.encode(self._mine))
        try:
            self._must_exist(old)
        except LockLost:
            with suppress(StoreError):
                self._files.store.remove(Handle(FileType.LOCK, new))
            raise
        self.name = new
        self._files.store.remove(Handle(FileType.LOCK, old))

    def check(self) -> None:
        """LockLost when the lock could not be refreshed in time or was removed; ask before every deed that relies on it."""
        self._refuse_unsettled()
        age_s = (time.time_ns() - parse_time(self._mine.time)) / 1e9
        if self._lost:
            raise LockLost(self._lost)
        if age_s > STALE_S - 1.5 * REFRESH_S:
            raise LockLost(f"our lock was not refreshed for {age_s:.0f} seconds")

    def release(self) -> None:
        """Remove the lock; one that is gone already is no error."""
        self._stop.set()
        for thread in (self._thread, self._settling):
            if thread is not None:
                thread.join()
        with suppress(NotThere):
            self._files.store.remove(Handle(FileType.LOCK, self.name))

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _must_exist(self, name: str) -> None:
        try:
            self._files.store.stat(Handle(FileType.LOCK, name))
        except NotThere:
            raise LockLost(f"{self._files.store.location}: our lock {name[:8]} was removed by somebody else") from None

    def _refresh_until_stopped(self) -> None:
        while not self._stop.wait(REFRESH_S):
            try:
                self.refresh()
            except LockLost as error:
                self._lost = error.message
                return
            except StoreError:
                continue  # `check` measures how long this may go on


class NoLock(Lock):
    """Instead of a lock where nothing can be removed, not even locks: nobody can take away there what we read or rely on."""

    def __init__(self, files: Files) -> None:
        super().__init__(files, LockFile(time="", exclusive=False, hostname="", username="", pid=0), "")

    def keep(self) -> "Lock":
        return self

    def refresh(self) -> None:
        """Nothing grows old."""

    def check(self) -> None:
        """It always holds."""

    def release(self) -> None:
        """There is nothing to remove."""


def keeps_everything(files: Files) -> bool:
    """Whether the place lets nothing be removed, as a write-once target: asked by removing a lock that cannot be there."""
    try:
        files.store.remove(Handle(FileType.LOCK, secrets.token_hex(32)))
    except NotThere:
        return False
    except Denied:
        return True
    return False


def take_lock(
    files: Files,
    *,
    exclusive: bool = False,
    wait_s: float = 0,
    early: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Lock:
    """Lock the repository; Locked when another lock excludes ours, still after `wait_s` seconds.

    An `early` one is returned before it is known that nobody locked at the same moment: ask its `settle` before anything is relied on.

    Where nothing can be removed, no lock that could never go again is left: adding and reading need none there. An exclusive one is Denied.
    """
    if keeps_everything(files):
        if exclusive:
            advice = _READ_ONLY if files.store.location.startswith("/") else _WRITE_ONCE
            raise Denied(f"{files.store.location}: nothing can be removed here", advice=advice)
        _refuse_conflicts(files, exclusive, own="")
        return NoLock(files)
    until = time.monotonic() + wait_s
    delay = 1.0
    while True:
        try:
            return _take_once(files, exclusive, early, sleep)
        except Locked:
            if time.monotonic() + delay > until:
                raise
            sleep(delay)
            delay = min(60.0, 2 * delay)


def read_locks(files: Files) -> tuple[dict[str, LockFile], list[Damaged]]:
    """Every lock by name, and the files among them that no key holder wrote."""
    locks, rubbish = {}, []
    for name, size in files.store.list(FileType.LOCK):
        if not size:
            continue  # a store that is not atomic was interrupted; restic passes over them as well
        try:
            lock = msgspec.json.decode(files.load(FileType.LOCK, name), type=LockFile)
            parse_time(lock.time)
            locks[name] = lock
        except NotThere:
            continue
        except Damaged as error:
            rubbish.append(error)
        except (msgspec.DecodeError, ValueError) as error:
            rubbish.append(Damaged(f"lock/{name}", f"not a lock: {error}"))
    return locks, rubbish


def remove_stale_locks(files: Files) -> list[LockFile]:
    """What `restic unlock` does: remove every stale lock; returns them."""
    now_ns = time.time_ns()
    gone = []
    for name, lock in read_locks(files)[0].items():
        if is_stale(lock, now_ns):
            with suppress(NotThere):
                files.store.remove(Handle(FileType.LOCK, name))
            gone.append(lock)
    return gone


def _take_once(files: Files, exclusive: bool, early: bool, sleep: Callable[[float], None]) -> Lock:
    _refuse_conflicts(files, exclusive, own="")
    mine = LockFile(
        time=format_time(time.time_ns()),
        exclusive=exclusive,
        hostname=socket.gethostname(),
        username=_own_name(),
        pid=os.getpid(),
        uid=os.geteuid(),
        gid=os.getegid(),
    )
    name = files.save(FileType.LOCK, msgspec.json.encode(mine))
    lock = Lock(files, mine, name)

    def look() -> None:
        sleep(SETTLE_S)
        _refuse_conflicts(files, exclusive, own=name)

    if early:
        lock.settle_meanwhile(look)
        return lock
    try:
        look()
    except BaseException:
        lock.release()
        raise
    return lock


def _refuse_conflicts(files: Files, exclusive: bool, own: str) -> None:
    locks, rubbish = read_locks(files)
    if exclusive and rubbish:
        raise rubbish[0]
    for name, lock in locks.items():
        if name == own:
            continue
        if _is_orphan(lock):
            with suppress(StoreError):
                files.store.remove(Handle(FileType.LOCK, name))
            continue
        if exclusive or lock.exclusive:
            stale = time.time_ns() - parse_time(lock.time) > STALE_S * 1_000_000_000
            advice = (
                "it is stale: when that process is gone, run `holdfast backup unlock`"
                if stale
                else "wait until it is done"
            )
            raise Locked(f"{files.store.location}: locked {lock}", advice=advice)


def _is_orphan(lock: LockFile) -> bool:
    """Whether this is a lock of this host whose process is gone."""
    if lock.hostname != socket.gethostname():
        return False
    try:
        os.kill(lock.pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
