"""Upkeep: what follows every backup: a proof by restoring, now and then a check, retention, and the copies; each stated by its own event.

A step that goes wrong is stated and keeps the others from nothing: the snapshot is there.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actions.backup import kinds
from actions.backup.archiver import Choices
from actions.backup.checker import Checker
from actions.backup.databases.prove import ProofReport, prove_source
from actions.backup.databases.saving import TAG
from actions.backup.filters import choices
from actions.backup.full_step import RECORDS, full_step, taken_over
from actions.backup.job import PARTIAL_TAG, own_folders
from actions.backup.key_reminder import STATES, reminder
from actions.backup.memory import Memory, due
from actions.backup.options import JobOptions, PressureOptions, ReplicaOptions, SshOptions, beside_password
from actions.backup.places import open_place, sftp_target
from actions.backup.proving import prove
from actions.backup.replicate import Progress, replicate
from actions.backup.repository import Repository
from actions.backup.retiring import LOCK_WAIT_S, retire
from actions.backup.sheet_facts import host_facts
from actions.backup.sheet_saving import before, make_sheet, save_sheet, sheet_files
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import FileType, Store
from actions.backup.subset import parse_subset
from actions.backup.target_attack import Attacked, State, attack
from actions.backup.tripwire.book import Book
from contracts.errors import HoldfastError
from contracts.event import Event
from contracts.host import Host
from contracts.text import escape

NAMED = 20
"""How many paths an event names."""


@dataclass(slots=True)
class Upkeep:
    """The steps after one run of the job `name`. `snapshots` are those that it made; `memory` is brought up to date."""

    name: str
    job: JobOptions
    store: Store
    password: str
    hostname: str
    scratch: str
    memory: Memory
    snapshots: Sequence[str]
    host: Host | None = None
    """Runs the throw-away instances of databases."""
    tell: Callable[[str], None] = lambda _: None
    dice: random.Random = field(default_factory=random.SystemRandom)
    book: Book = field(default_factory=Book)
    """What the tripwire knows of the job."""
    pressure: PressureOptions = field(default_factory=PressureOptions)
    asked: str = ""
    """The one step that somebody asked for."""
    kept_sheet: str = ""
    """The snapshot of the recovery sheet that this run made."""
    _repository: Repository | None = None

    def run(self, only: str = "") -> Iterator[Event]:
        """Do one step after another, or `only` the one of that name, whether it is due or not; yield what each states."""
        self.asked = only
        if only in ("prove", "check"):
            self.memory.checked_ns = self.memory.databases_ns = 0
        for step in self._steps():
            if only and not step.__name__.startswith(only):
                continue
            self.tell(step.__name__)
            try:
                yield from step()
            except Exception as error:  # noqa: BLE001  # a defect of one step does not unmake the snapshot, and is stated
                what = str(error) if isinstance(error, (HoldfastError, OSError)) else f"{type(error).__name__}: {error}"
                yield kinds.UPKEEP_FAILED.event(self.name, job=self.name, step=step.__name__, detail=_short(what))

    def _steps(self) -> tuple[Callable[[], Iterator[Event]], ...]:
        first = (self.sheet, self.prove, self.prove_databases, self.check, self.retire, self.replicate)
        return *first, self.review, self.full

    def sheet(self) -> Iterator[Event]:
        """Make the recovery sheet anew, as a snapshot of its own that is proved like the others."""
        if self.host is None:
            return
        host = host_facts(self.host)
        repository = self._opened()
        with repository.lock(wait_s=LOCK_WAIT_S):
            repository.load_index()
            states = beside_password(self.name, self.job, STATES)
            text = make_sheet(repository, self.name, self.job, host, self.host.files, states, self.memory)
            at_ns = before(repository, self.snapshots)
            id = save_sheet(repository, self.name, self.job, self.hostname, sheet_files(text, host), at_ns)
        self.snapshots, self.kept_sheet = [*self.snapshots, id], id
        yield kinds.SHEET_SAVED.event(self.name, job=self.name, snapshot=id, missing=list(host.missing))

    def review(self) -> Iterator[Event]:
        """What root did by hand since: the recovery key proved or not, a restore of everything."""
        if self.host is None:
            return
        repository, files = self._opened(), self.host.files
        yield from reminder(self.name, repository, self.memory, files, beside_password(self.name, self.job, STATES))
        records = beside_password(self.name, self.job, RECORDS)
        full = self.job.proof.full
        yield from taken_over(self.name, full, self.memory, files, records, repository.config.id)

    def full(self) -> Iterator[Event]:
        """Restore everything into scratch space and compare it, when it is time."""
        host = self.host
        if host is None:
            return
        yield from full_step(
            self.name,
            self.job.proof.full,
            self._opened,
            self.memory,
            host,
            hostname=self.hostname,
            scratch=self.scratch,
            pressure=self.pressure,
            choices=lambda: choices(self.job, host.files, os.environ, own_folders(self.store)),
            asked=self.asked == "full",
            tell=self.tell,
        )

    def prove(self) -> Iterator[Event]:
        """Restore files of each new snapshot by an index that is read anew; what was just written is trusted no more than anything.

        What failed is stated last: of several snapshots that are proved together, one that is good is not to be the last word.
        """
        if not self.job.proof.files:
            return
        failed: list[Event] = []
        try:
            yield from self._good_proofs(failed)
        finally:  # also when a later snapshot could not be looked at
            yield from failed

    def _good_proofs(self, failed: list[Event]) -> Iterator[Event]:
        repository = self._opened()
        with repository.lock():
            repository.load_index()
            for id in self.snapshots:
                event = self._proved(repository, id)
                if event.kind == kinds.NOT_PROVED.name:
                    failed.append(event)
                    continue
                self.memory.prove(id, time.time_ns())
                if id != self.kept_sheet:  # it counts for retention; what is told of are the host's own files
                    yield event

    def _proved(self, repository: Repository, id: str) -> Event:
        options, began = self.job.proof, time.monotonic()
        snapshot = repository.load_snapshot(id)
        with tempfile.TemporaryDirectory(prefix="proof-", dir=self.scratch) as folder:
            proof = prove(
                repository,
                snapshot,
                folder,
                files=options.files,
                max_bytes=options.max_bytes,
                dice=self.dice,
                choices=self._choices(snapshot),
            )
        if not proof.holds:
            paths = [f"{escape(told.path)}: {told.what}" for told in proof.failed[:NAMED]]
            detail = paths[0] if paths else "no file of it could be restored: it holds none that fits the settings"
            return kinds.NOT_PROVED.event(self.name, job=self.name, snapshot=id, detail=_short(detail), paths=paths)
        return kinds.PROVED.event(
            self.name,
            job=self.name,
            snapshot=id,
            files=proof.files + proof.parts,
            bytes=proof.bytes,
            same_as_source=proof.same_as_source,
            seconds=round(time.monotonic() - began, 1),
        )

    def prove_databases(self) -> Iterator[Event]:
        """Restore the dumps of each new snapshot of a database into a throw-away instance, when it is time."""
        if self.host is None or not due(self.memory.databases_ns, self.job.proof.databases_every, time.time_ns()):
            return
        repository = self._opened()
        with repository.lock():
            repository.load_index()
            good = True
            for id in self.snapshots:
                snapshot = repository.load_snapshot(id)
                if TAG not in snapshot.tags:
                    continue
                options = self.job.proof.databases
                report = prove_source(self.host, repository, snapshot, options)
                self.memory.hold(report.compare(self.memory.held, options.may_be_empty))
                good = good and report.good
                yield from self._database(id, report)
        if good:
            self.memory.databases_ns = time.time_ns()

    def _database(self, id: str, report: ProofReport) -> Iterator[Event]:
        key = f"{self.name}/{report.name}"
        if report.good:
            yield kinds.DATABASE_PROVED.event(
                key,
                job=self.name,
                product=report.product,
                database=report.name,
                snapshot=id,
                dumps=len(report.proved),
                seconds=round(report.seconds, 1),
            )
        for error in report.failed:
            yield kinds.DATABASE_NOT_PROVED.event(
                key,
                job=self.name,
                product=report.product,
                database=report.name,
                snapshot=id,
                detail=_short(str(error)),
            )

    def check(self) -> Iterator[Event]:
        """Check the repository when it is time."""
        options = self.job.proof
        if not due(self.memory.checked_ns, options.check_every, time.time_ns()):
            return
        began = time.monotonic()
        repository = self._opened()
        with repository.lock():
            chosen: frozenset[str] = frozenset()
            if options.check_data:
                packs = dict(self.store.list(FileType.PACK))
                chosen = parse_subset(options.check_data).choose(packs, self.dice) if packs else chosen
            checked = Checker(repository, read_data=bool(chosen), chosen=chosen).check()
        if not checked.problems and not checked.losses:
            self.memory.checked_ns = time.time_ns()
            yield kinds.CHECKED.event(
                self.name,
                job=self.name,
                packs=checked.packs,
                bytes_read=checked.bytes_read,
                seconds=round(time.monotonic() - began, 1),
            )
            return
        paths = [f"{loss.snapshot[:8]}:{escape(loss.path)}" for loss in checked.losses[:NAMED]]
        yield kinds.DAMAGED.event(
            self.name,
            job=self.name,
            detail=_short(str(checked.problems[0]) if checked.problems else checked.losses[0].why),
            problems=len(checked.problems),
            losses=len(checked.losses),
            paths=paths,
        )

    def retire(self) -> Iterator[Event]:
        """Remove what the settings do not keep, unless the history is suspicious."""
        prune_now = due(self.memory.pruned_ns, self.job.keep.prune_every, time.time_ns())
        proved = frozenset(self.memory.proved)
        known = self.book.facts()
        retired = retire(
            self._opened(), self.name, self.hostname, self.job.keep, proved, prune_now=prune_now, known=known
        )
        if retired.pruned:
            self.memory.pruned_ns = time.time_ns()
        if retired.held:
            yield kinds.RETENTION_HELD.event(self.name, job=self.name, detail=_short(retired.held))
        if retired.removed or retired.pruned:
            yield kinds.FORGOTTEN.event(
                self.name,
                job=self.name,
                removed=retired.removed,
                kept=retired.kept,
                bytes_freed=retired.bytes_freed,
            )

    def replicate(self) -> Iterator[Event]:
        """Bring every copy up to date, and try to destroy it. What is wrong with one place keeps no other from its copy."""
        if self.job.repository.startswith("sftp:") and self.job.attack:
            yield self._attacked(self.job.repository, self.job.ssh)
        for replica in self.job.replicas:
            try:
                yield from self._copied(replica)
            except (HoldfastError, OSError) as error:
                yield kinds.REPLICATION_FAILED.event(
                    self.name, job=self.name, target=replica.target, detail=_short(str(error)), problems=1
                )
            if replica.attack:
                yield self._attacked(replica.target, replica.ssh)

    def _copied(self, replica: ReplicaOptions) -> Iterator[Event]:
        copy = open_place(replica.target, replica.ssh)
        try:
            done = replicate(self.store, copy, progress=self._replicating, key=self._opened().key)
        finally:
            copy.close()
        if done.ok:
            yield kinds.REPLICATED.event(
                self.name,
                job=self.name,
                target=done.target,
                files=done.files,
                bytes=done.bytes,
                verified_bytes=done.verified_bytes,
                strangers=sum(done.strangers.values()),
                seconds=round(done.seconds, 1),
            )
        else:
            detail = str(done.problems[0]) if done.problems else "it was not finished"
            yield kinds.REPLICATION_FAILED.event(
                self.name, job=self.name, target=done.target, detail=_short(detail), problems=len(done.problems)
            )

    def _attacked(self, place: str, ssh: SshOptions) -> Event:
        try:
            found = attack(sftp_target(place, ssh))
        except (HoldfastError, OSError) as error:
            found = Attacked(place, why=[str(error)])
        kind = {
            State.IMMUTABLE: kinds.TARGET_IMMUTABLE,
            State.MUTABLE: kinds.TARGET_MUTABLE,
            State.UNKNOWN: kinds.TARGET_UNTRIED,
        }[found.state]
        more = {} if found.state is State.IMMUTABLE else {"detail": _short(found.summary)}
        return kind.event(self.name, job=self.name, target=found.target, tried=found.tried, **more)  # type: ignore[arg-type]

    def _choices(self, snapshot: Snapshot) -> Choices | None:
        """What the job leaves out, by which a proof tells what is missing; None where the snapshot itself says that something is."""
        if self.host is None or {PARTIAL_TAG, TAG} & set(snapshot.tags):
            return None
        return choices(self.job, self.host.files, os.environ, own_folders(self.store))

    def _opened(self) -> Repository:
        """The repository, of which nothing is remembered but the key: to derive it from the password takes half a second each time."""
        if self._repository is None:
            self._repository = Repository.open(self.store, self.password)
        # Never the kept one itself: its index would stay in memory beside that of every step.
        return self._repository.anew()

    def _replicating(self, progress: Progress) -> None:
        self.tell(f"{progress.doing}: {progress.bytes_done} of {progress.bytes} bytes to {progress.target}")


def scratch_in(state: str) -> str:
    """The folder for proofs within the worker's own, for nobody else."""
    folder = Path(state) / "scratch"
    folder.mkdir(mode=0o700, exist_ok=True)
    return str(folder)


def _short(text: str) -> str:
    return escape(text)[:500]
