"""One backup job from start to end: open and lock the repository, take up what a killed run left, save, make sure, publish the snapshot."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from actions.backup.archiver import Archiver, Choices, NothingToSave, Report
from actions.backup.databases.saving import TAG, snapshot_source
from actions.backup.databases.saving import Report as Dumps
from actions.backup.databases.sources import make_sources
from actions.backup.errors import Damaged, Locked, Overtaken
from actions.backup.locks import Lock
from actions.backup.options import JobOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.sheet import TAG as SHEET_TAG
from actions.backup.snapshot import Snapshot
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Store
from actions.backup.tripwire.tripwire import Tripwire
from actions.backup.watched import Noting
from contracts.action import Changed
from contracts.event import Event
from contracts.host import Host
from contracts.text import escape

PARTIAL_TAG = "partial"
"""What a snapshot bears that does not hold everything it was to hold."""

PULSE_S = 1.0
LOCK_WAIT_S = 600.0
_CLOCK_TOLERANCE_NS = 60 * 1_000_000_000
_NS = 1_000_000_000

Advance = Callable[[Report, str], None]
"""Told now and then how far a run is; the second is what it waits for, "" for nothing."""


@dataclass(slots=True)
class Done:
    """A run that made a snapshot; `snapshot` is that of the paths, or of the last database where no paths are saved.

    `failure` is set where paths were to be saved and none was there: then it has failed, and what it holds are the databases.
    `ahead_s` is how far the newest snapshot (`ahead`) was dated after this host's clock, 0 for not.
    """

    snapshot: str = ""
    report: Report = field(default_factory=Report)
    changed: Changed = field(default_factory=Changed)
    """Which files were not as the run before had them."""
    dumps: list[Dumps] = field(default_factory=list)
    seconds: float = 0.0
    paused_s: float = 0.0
    adopted: int = 0
    ahead: str = ""
    ahead_s: float = 0.0
    damaged: list[Damaged] = field(default_factory=list)
    suspicions: list[Event] = field(default_factory=list)
    failure: NothingToSave | None = None

    @property
    def partial(self) -> bool:
        """Whether something is missing that was to be saved."""
        return self.report.unreadable_count > 0 or any(not dumps.complete for dumps in self.dumps)

    @property
    def snapshots(self) -> list[str]:
        """Every snapshot that was made."""
        made = [dumps.snapshot for dumps in self.dumps if dumps.snapshot]
        return list(dict.fromkeys([*([self.snapshot] if self.snapshot else []), *made]))


@dataclass(slots=True)
class Run:
    """What a run of the job `name` needs; `choices` says what is left out."""

    name: str
    job: JobOptions
    store: Store
    password: str
    choices: Choices
    patience: Patience
    advance: Advance = lambda _, __: None
    hostname: str = field(default_factory=socket.gethostname)
    lock_wait_s: float = LOCK_WAIT_S
    tripwire: Tripwire | None = None

    def back_up(self, host: Host | None = None) -> Done:
        """Do it; every error that ends a run without a snapshot passes through. `host` runs the dumps of databases."""
        began = time.monotonic()
        repository = Repository.open(self.store, self.password)
        try:
            done, parent = self._save(repository, host, early=True)
        except Overtaken:
            done, parent = self._save(repository.anew(), host, early=False)
        done.snapshot = done.snapshot or done.snapshots[-1]
        done.seconds, done.paused_s = time.monotonic() - began, self.patience.paused_s
        if parent is not None and (ahead_ns := parent[1].time_ns - time.time_ns()) > _CLOCK_TOLERANCE_NS:
            done.ahead, done.ahead_s = parent[0], ahead_ns / _NS
        return done

    def _save(
        self, repository: Repository, host: Host | None, *, early: bool
    ) -> tuple[Done, tuple[str, Snapshot] | None]:
        """Save all; returns what was done and the parent that was found."""
        done = Done()
        with repository.lock(wait_s=self.lock_wait_s, early=early) as lock:
            repository.load_index()
            done.adopted, done.damaged = repository.adopt()
            parent = newest(repository, self.hostname, self.name)
            nothing: NothingToSave | None = None
            if self.job.paths:
                try:
                    self._save_paths(repository, lock, parent, done)
                except NothingToSave as error:
                    nothing = error  # the databases are not to go without because a disk was not mounted
            lock.settle()
            if host is not None:
                self._save_databases(repository, lock, host, done)
        if not done.snapshots:
            raise NothingToSave(_shortfall(done, nothing))
        if nothing is not None:
            done.failure = NothingToSave(_shortfall(done, nothing))
        return done, parent

    def _save_paths(self, repository: Repository, lock: Lock, parent: tuple[str, Snapshot] | None, done: Done) -> None:
        tags = [self.name, *self.job.tags]
        gauge = self.tripwire.gauge(parent) if self.tripwire is not None else None
        noting = Noting(gauge)
        archiver = Archiver(repository, self.choices, self._pulse(lock), noting)

        def sure() -> None:
            _make_sure(repository, lock)
            if self.tripwire is not None:
                tags.extend(self.tripwire.judge(archiver.report, repository.index))

        done.snapshot, done.report = archiver.snapshot(
            self.job.paths,
            hostname=self.hostname,
            parent=parent,
            tags=tags,
            partial_tag=PARTIAL_TAG,
            excludes=self.job.excludes,
            sure=sure,
        )
        _holds_what_it_said(repository, FileType.SNAPSHOT, "the run has no snapshot")
        if parent is not None:  # of a first run everything is new, and nothing is news
            done.changed = Changed(paths=tuple(map(escape, noting.paths)), beyond=noting.beyond)
        if self.tripwire is not None:
            done.suspicions = self.tripwire.settle(done.snapshot)

    def _save_databases(self, repository: Repository, lock: Lock, host: Host, done: Done) -> None:
        """Each database in a snapshot of its own; what fails is in its report, and the others go on."""
        pulse = self._pulse(lock)
        watch = self.tripwire.dumps() if self.tripwire is not None else None

        def sure(report: Dumps) -> list[str]:
            _make_sure(repository, lock)
            return watch.judge(report) if watch is not None else []

        for source in make_sources(self.job.databases):
            before = newest_dump(repository, self.hostname, self.name, source.name) if watch is not None else None
            dumps = snapshot_source(
                host,
                repository,
                source,
                hostname=self.hostname,
                tags=[self.name, *self.job.tags],
                progress=lambda _, __: pulse(done.report),
                sure=sure,
            )
            done.dumps.append(dumps)
            _holds_what_it_said(repository, FileType.SNAPSHOT, "the run has no snapshot")
            if self.tripwire is not None and watch is not None:
                done.suspicions += watch.settle(dumps, before)
                self.tripwire.book = watch.book

    def _pulse(self, lock: Lock) -> Callable[[Report], None]:
        due = time.monotonic()

        def pulse(report: Report) -> None:
            nonlocal due
            if time.monotonic() < due:
                return
            lock.check()
            self.advance(report, self.patience.wait())
            due = time.monotonic() + PULSE_S

        return pulse


def _shortfall(done: Done, paths: NothingToSave | None) -> str:
    """Why a run did not save what it was to save, and what it saved nevertheless."""
    failed = [paths.message] if paths is not None else []
    failed += [str(error) for dumps in done.dumps for error in dumps.failed]
    saved = [dumps.name for dumps in done.dumps if dumps.snapshot]
    return (
        "; ".join(failed) + (f"; saved were the databases: {', '.join(saved)}" if saved else "") or "nothing was saved"
    )


def newest(repository: Repository, hostname: str, job: str) -> tuple[str, Snapshot] | None:
    """The newest snapshot of paths that this job of this host made, None when there is none."""
    own = (
        pair
        for pair in repository.snapshots()
        if pair[1].hostname == hostname and job in pair[1].tags and not {TAG, SHEET_TAG} & set(pair[1].tags)
    )
    return max(own, key=lambda pair: pair[1].time_ns, default=None)


def newest_dumps(repository: Repository, hostname: str, job: str) -> list[str]:
    """The newest snapshot of each database of this job and host."""
    found: dict[tuple[str, ...], tuple[int, str]] = {}
    for id, snapshot in repository.snapshots():
        if snapshot.hostname == hostname and {job, TAG} <= set(snapshot.tags):
            key = tuple(snapshot.paths)
            found[key] = max(found.get(key, (0, "")), (snapshot.time_ns, id))
    return [id for _, id in sorted(found.values())]


def newest_dump(repository: Repository, hostname: str, job: str, source: str) -> tuple[str, Snapshot] | None:
    """The newest complete snapshot of one database of this job and host, None when there is none."""
    own = (
        pair
        for pair in repository.snapshots()
        if pair[1].hostname == hostname
        and {job, TAG} <= set(pair[1].tags)
        and pair[1].paths == [f"/databases/{source}"]
    )
    return max(own, key=lambda pair: pair[1].time_ns, default=None)


@contextmanager
def alone(folder: str, job: str) -> Iterator[None]:
    """Hold the lock file of the job in `folder` meanwhile; Locked when another run of the job holds it."""
    path = Path(folder) / f"{job}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"the job {job} is running already", advice="wait until it is done") from None
        yield
    finally:
        os.close(descriptor)


def own_folders(store: Store) -> frozenset[tuple[int, int]]:
    """Device and inode of the repository where it is a directory of this machine: no job saves the place it saves into."""
    if not isinstance(store, LocalStore):
        return frozenset()
    try:
        status = Path(store.location).stat()
    except OSError:
        return frozenset()
    return frozenset({(status.st_dev, status.st_ino)})


def _make_sure(repository: Repository, lock: Lock) -> None:
    """Before a snapshot is published: our lock holds, and the store has each pack that the index names, and each index file."""
    lock.settle()
    lock.check()
    there = dict(repository.store.list(FileType.PACK))
    index = repository.index
    names = ((pack.hex(), end) for pack, end in zip(index.packs(), index.ends(), strict=True))
    missing = [name for name, end in names if there.get(name, 0) <= end]
    if missing:
        raise Damaged(
            f"data/{missing[0]}",
            f"the store does not hold {len(missing)} of the packs that the index names, or not whole",
            advice="run `holdfast backup check`; no snapshot was made",
        )
    _holds_what_it_said(repository, FileType.INDEX, "no snapshot was made")


def _holds_what_it_said(repository: Repository, type: FileType, so: str) -> None:
    """Damaged names a file that the store has said it saved and does not list, or not whole."""
    there = dict(repository.store.list(type))
    for name, size in repository.files.written.get(type, {}).items():
        if there.get(name) != size:
            what = f"the store said that it saved it, and does not hold it whole: {so}"
            raise Damaged(f"{type.value}/{name}", what, advice="mend the store, then run the job again")
