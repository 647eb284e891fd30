"""Replication: what a local repository holds and a target lacks is added there, each file whole or not at all, and then proved to be there.

No password is needed: files are copied as they are. Every file but the config is named by the SHA-256 of its content, so each is verified
before it is published (packs by their own codes where the key is at hand, which costs less), and again by reading back. A run that was
cut off at any moment is gone on with by the next.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

from actions.backup.crypto import Key
from actions.backup.pieces import Pieces, SourceDamaged, SourceGone
from actions.backup.replication_plan import LISTING_ORDER, ORDER, Differing, Listing, Plan, Step, plan, sample
from actions.backup.stores.retrying import RetryingStore
from actions.backup.stores.sftp import SftpStore
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.store import CONFIG, AlreadyThere, FileType, Handle, NotThere, Store, StoreError
from contracts.errors import HoldfastError

SAMPLE_BYTES = 64 << 20
LEFTOVER_S = 24 * 3600.0
REPLANS = 3
PATIENCE_S = 300.0


class Verify(StrEnum):
    """How much is read back: nothing (sizes are compared all the same), a sample, or every file of the target."""

    SIZES = "sizes"
    SAMPLE = "sample"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be: which file or place, what, and what would do."""

    where: str
    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}{f'; {self.advice}' if self.advice else ''}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: of the files and bytes that the target lacked."""

    target: str
    doing: str
    files_done: int
    files: int
    bytes_done: int
    bytes: int


@dataclass(slots=True)
class Replicated:
    """What a run did. `complete`: every file of the source is on the target, with its size; `ok`: and nothing there is wrong."""

    target: str
    files: int = 0
    bytes: int = 0
    files_there: int = 0
    bytes_there: int = 0
    verified_files: int = 0
    verified_bytes: int = 0
    seconds: float = 0.0
    complete: bool = False
    cancelled: bool = False
    leftovers_removed: int = 0
    strangers: dict[str, int] = field(default_factory=dict)
    """Files by type that only the target has: of pruned snapshots, or added by somebody else. Never touched."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the target is a whole copy and nothing on it was found wrong."""
        return self.complete and not self.problems and not self.cancelled


class OtherRepository(HoldfastError):
    """The target holds another repository than the source, or a damaged config."""


def replicate_to(
    source: Store,
    target: SftpTarget,
    *,
    verify: Verify = Verify.SAMPLE,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    patience_s: float = PATIENCE_S,
    key: Key | None = None,
) -> Replicated:
    """Replicate to one SFTP target; what breaks in passing is tried again for `patience_s`. Never raises a HoldfastError."""
    stop = stop or threading.Event()
    store = RetryingStore(SftpStore(target), patience_s=patience_s, stop=stop)
    try:
        return replicate(source, store, verify=verify, stop=stop, progress=progress, key=key)
    finally:
        store.store.close()


def replicate(
    source: Store,
    target: Store,
    *,
    verify: Verify = Verify.SAMPLE,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    dice: random.Random | None = None,
    key: Key | None = None,
) -> Replicated:
    """Replicate between two stores; `key` is the repository's, if it is open.

    Set `stop` to cancel: files under way are finished or given up, none is torn. Nothing that goes wrong with the target or a file is
    raised: it is a problem of the result.
    """
    dice = dice or random.SystemRandom()
    run = _Run(source, target, stop or threading.Event(), progress or (lambda _: None), dice, key)
    began = time.monotonic()
    try:
        run.copy()
        run.verify(verify)
    except HoldfastError as error:
        if not run.stop.is_set():
            run.problem(target.location, error.message, error.advice)
    run.result.cancelled = run.stop.is_set() and not run.result.complete
    run.result.seconds = time.monotonic() - began
    return run.result


class _Run:
    """One replication under way."""

    def __init__(
        self,
        source: Store,
        target: Store,
        stop: threading.Event,
        progress: Callable[[Progress], None],
        dice: random.Random,
        key: Key | None,
    ) -> None:
        self._source = source
        self._key = key
        self._target = target
        self.stop = stop
        self._tell = progress
        self._dice = dice
        self._lock = threading.Lock()
        self._fresh: list[Step] = []
        self._damaged: set[Handle] = set()
        self._expected: Listing = {}
        self._plan = Plan()
        self.result = Replicated(target.location)

    def problem(self, where: str, what: str, advice: str = "") -> None:
        with self._lock:
            found = Problem(where, what, advice)
            if found not in self.result.problems:
                self.result.problems.append(found)

    def copy(self) -> None:
        """Copy stage by stage; planned anew when the source was pruned meanwhile."""
        self._prepare()
        for _ in range(REPLANS):
            self._expected = _listing(self._source, LISTING_ORDER)
            self._plan = plan(self._expected, self._on_target())
            try:
                for type in ORDER:
                    self._stage(type, self._plan.steps[type])
                    if self.stop.is_set():
                        return
            except _Vanished:
                continue
            self._note(self._plan)
            return
        raise StoreError(f"{self._source.location}: files vanish while they are copied", permanent=False)

    def verify(self, verify: Verify) -> None:
        """Compare all sizes again, then read back what was asked for."""
        if self.stop.is_set():
            return
        after = plan(self._expected, self._on_target())
        for step in (step for steps in after.steps.values() for step in steps):
            if step.handle not in self._damaged:
                self.problem(str(step.handle), "is not on the target, though it was copied or found there")
        for differing in after.differing:
            self._torn(differing)
        self.result.complete = not any(after.steps.values()) and not after.differing
        if verify is not Verify.SIZES:
            self._for_each(self._chosen(verify, after), self._compare, self._target.connections, "read-back")
        sweep = getattr(self._target, "sweep", None)
        if sweep is not None and not self.stop.is_set():
            self.result.leftovers_removed = sweep(LEFTOVER_S)

    def _on_target(self) -> Listing:
        """What the target holds; the types are listed at once, which far away saves most of the time."""
        with ThreadPoolExecutor(len(ORDER), thread_name_prefix="replicate-list") as pool:
            return dict(zip(ORDER, pool.map(lambda type: dict(self._target.list(type)), ORDER), strict=True))

    def _prepare(self) -> None:
        """Make the folders of a new target; refuse one that holds another repository."""
        mine = self._source.load(CONFIG)
        try:
            theirs = self._target.load(CONFIG)
        except NotThere:
            self._target.create()
            return
        if mine != theirs:
            raise OtherRepository(
                f"{self._target.location}: its config is not the one of {self._source.location}: another repository, or a damaged file",
                advice="give the target an empty folder of its own, or remove the file `config` there if it is damaged",
            )

    def _stage(self, type: FileType, steps: list[Step]) -> None:
        """Copy the files of one type, some at once. Raises when one cannot be copied: what names them must not be published then."""
        if not steps:
            return
        self._for_each(list(reversed(steps)), self._file, self._target.writers, type.value)

    def _file(self, step: Step) -> None:
        try:
            self._target.save(step.handle, Pieces(self._source, step, self._key))
        except AlreadyThere:
            return  # somebody else was faster; what it is shows when all is compared at the end
        except SourceGone as error:
            raise _Vanished from error
        except SourceDamaged as error:
            self._damaged.add(step.handle)
            self.problem(str(step.handle), error.message, error.advice)
            return
        with self._lock:
            self._fresh.append(step)
            self.result.files += 1
            self.result.bytes += step.size
            self._tell(self._progress(f"copying {step.handle.type.value}"))

    def _progress(self, doing: str) -> Progress:
        return Progress(
            self.result.target, doing, self.result.files, self._plan.files, self.result.bytes, self._plan.bytes
        )

    def _note(self, planned: Plan) -> None:
        """Say what the first comparison found beside what was to do."""
        self.result.files_there = len(planned.there)
        self.result.bytes_there = sum(step.size for step in planned.there)
        for step in planned.strangers:
            word = step.handle.type.value
            self.result.strangers[word] = self.result.strangers.get(word, 0) + 1

    def _torn(self, differing: Differing) -> None:
        self._bad(differing.handle, f"has {differing.target_size} bytes on the target, {differing.source_size} here")

    def _bad(self, handle: Handle, what: str) -> None:
        worse = handle.type in {FileType.INDEX, FileType.SNAPSHOT}
        self.problem(
            str(handle),
            f"{what}: torn or changed{', and restic refuses the whole target while it is there' if worse else ''}",
            f"look at it, then remove it on the server of {self._target.location}: the next run copies it again",
        )

    def _chosen(self, verify: Verify, after: Plan) -> list[Step]:
        bad = {differing.handle for differing in after.differing}
        old = [step for step in (*after.there, *after.strangers) if step.handle not in bad]
        if verify is Verify.WHOLE:
            return old
        fresh = set(self._fresh)
        mixed = self._dice.sample(old, len(old))
        return sample([s for s in mixed if s in fresh], [s for s in mixed if s not in fresh], SAMPLE_BYTES)

    def _for_each(self, waiting: list[Step], deed: Callable[[Step], None], at_once: int, name: str) -> None:
        """Do something for each, so many at once, until all is done, cancelled, or one failed, which is raised."""
        errors: list[BaseException] = []

        def work() -> None:
            while not self.stop.is_set() and not errors:
                with self._lock:
                    if not waiting:
                        return
                    step = waiting.pop()
                try:
                    deed(step)
                except BaseException as error:  # noqa: BLE001 (raised below, in the caller's thread)
                    errors.append(error)

        threads = [
            threading.Thread(target=work, name=f"replicate-{name}-{number}")
            for number in range(min(len(waiting), at_once))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _compare(self, step: Step) -> None:
        try:
            data = self._target.load(step.handle)
        except StoreError as error:
            if not error.permanent:
                raise
            self._bad(step.handle, f"cannot be read back ({error.message})")
            return
        if step.handle == CONFIG:
            same = data == self._source.load(CONFIG)
        else:
            same = hashlib.sha256(data).hexdigest() == step.handle.name
        if not same:
            self._bad(step.handle, "its content is not what its name says")
        with self._lock:
            self.result.verified_files += 1
            self.result.verified_bytes += len(data)
            self._tell(self._progress("reading back"))


class _Vanished(Exception):
    """A file of the source is gone: a prune went on beside."""


def _listing(store: Store, order: Sequence[FileType]) -> Listing:
    return {type: dict(store.list(type)) for type in order}
