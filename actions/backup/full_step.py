"""Full step: when a restore of everything is due, whether it can be done now, and what is stated of it; and what root proved by hand."""

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from actions.backup import kinds
from actions.backup.archiver import Choices
from actions.backup.full_proof import FullProof, NoRoom, Prover, TooSlow, longest_gap, usable
from actions.backup.job import newest, newest_dumps
from actions.backup.memory import Memory, due
from actions.backup.options import FullProofOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.scratch import left_over, wipe
from actions.backup.sheet import TAG as SHEET_TAG
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Unavailable, UsageError, Why
from contracts.event import Event
from contracts.host import Files, Host
from contracts.text import escape

RECORDS = "full-proofs.json"
"""The file beside the passwords in which root notes the full proofs that he made."""

NAMED = 20
_NS = 1_000_000_000
_MAX_FILE = 1 << 20


class FullRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A full proof that root made by hand: when (Unix ns), and what came of it."""

    at_ns: int
    snapshots: list[str]
    files: int
    bytes: int
    seconds: float
    paused_s: float
    age_s: float
    gap_s: float
    not_proved: int
    problems: int
    paths: list[str]


def full_step(
    job: str,
    options: FullProofOptions,
    open: Callable[[], Repository],
    memory: Memory,
    host: Host,
    *,
    hostname: str,
    scratch: str,
    pressure: PressureOptions,
    choices: Callable[[], Choices],
    asked: bool,
    tell: Callable[[str], None],
) -> Iterator[Event]:
    """Restore the newest snapshots of the job, when it is due or `asked` for; yield what came of it, and bring `memory` up to date."""
    place = options.scratch or scratch
    for folder in left_over(place):
        wipe(folder)
    now_ns = time.time_ns()
    if not asked and not (options.enabled and due(memory.full_ns, options.every, now_ns)):
        return
    patience = Patience(pressure, host.files)
    if not asked and pressure.pause_at_most and (busy := patience.pressing()):
        memory.full_postponed_ns = memory.full_postponed_ns or now_ns
        if not due(memory.full_postponed_ns, options.postpone_at_most, now_ns):
            detail = f"other programs wait for {_WAITED[busy]}; it is tried again after the next run"
            yield kinds.FULL_PROOF_POSTPONED.event(job, job=job, detail=detail)
            return
    repository = open()
    snapshots = newest_of_all(repository, hostname, job)
    try:
        wait = _waiting(patience)
        proof = prove_everything(
            options, repository, snapshots, place, tell, hostname=hostname, job=job, choices=choices(), wait=wait
        )
    except NoRoom as error:
        if asked:
            raise
        yield kinds.FULL_PROOF_POSTPONED.event(
            job, job=job, detail=str(error)[:500], needed_bytes=error.needed, free_bytes=error.free
        )
        return
    except TooSlow as error:
        memory.full_ns, memory.full_postponed_ns = time.time_ns(), 0
        yield kinds.FULL_PROOF_FAILED.event(job, job=job, detail=str(error), snapshots=list(snapshots), problems=1)
        return
    memory.full_ns, memory.full_postponed_ns = time.time_ns(), 0
    yield from stated(job, record_of(proof), options, privileged=proof.privileged)


_WAITED = {"io": "the disks", "cpu": "the processors", "memory": "memory"}


def prove_everything(
    options: FullProofOptions,
    repository: Repository,
    snapshots: Sequence[str],
    place: str,
    tell: Callable[[str], None],
    *,
    hostname: str,
    job: str,
    choices: Choices,
    wait: Callable[[], float] = lambda: 0.0,
) -> FullProof:
    """Restore `snapshots` into a new folder of `place` and compare them; NoRoom, TooSlow, Unavailable. `choices` are the job's own."""
    if not usable(place):
        advice = "make it, and give it to whoever proves: holdfast-backup, unless root does it by hand"
        raise Unavailable(Why.PERMISSION, f"{place} is no directory that can be written", advice=advice)
    with repository.lock():
        began = time.monotonic()
        repository.load_index()
        loading_s = time.monotonic() - began
        prover = Prover(
            repository,
            place,
            reserve=options.reserve,
            time_limit_s=options.time_limit,
            wait=wait,
            tell=lambda done: tell(f"restoring all of it: {done} bytes"),
            choices=choices,
        )
        proof = prover.prove(snapshots)
        proof.seconds += loading_s
        proof.gap_s = longest_gap(repository, hostname, job, SHEET_TAG, time.time_ns())
    return proof


def _waiting(patience: Patience) -> Callable[[], float]:
    def wait() -> float:
        before = patience.paused_s
        patience.wait()
        return patience.paused_s - before

    return wait


def newest_of_all(repository: Repository, hostname: str, job: str) -> list[str]:
    """The newest snapshot of the files of a job, and of each of its databases."""
    files = newest(repository, hostname, job)
    return [*([files[0]] if files is not None else []), *newest_dumps(repository, hostname, job)]


def record_of(proof: FullProof) -> FullRecord:
    """What is kept of a proof."""
    return FullRecord(
        at_ns=time.time_ns(),
        snapshots=proof.snapshots,
        files=proof.files,
        bytes=proof.bytes,
        seconds=round(proof.seconds, 3),
        paused_s=round(proof.paused_s, 3),
        age_s=round(proof.age_s, 3),
        gap_s=round(proof.gap_s, 3),
        not_proved=proof.not_proved,
        problems=proof.problems if proof.snapshots and proof.entries else max(1, proof.problems),
        paths=[f"{escape(told.path)}: {told.what}" for told in proof.failed[:NAMED]],
    )


def stated(job: str, record: FullRecord, options: FullProofOptions, *, privileged: bool) -> Iterator[Event]:
    """The events of a proof: that it holds or not, and which declared target it missed."""
    if record.problems:
        detail = record.paths[0] if record.paths else "there is nothing to restore"
        yield kinds.FULL_PROOF_FAILED.event(
            job,
            job=job,
            detail=detail[:500],
            snapshots=record.snapshots,
            problems=record.problems,
            paths=record.paths,
            seconds=record.seconds,
        )
        return
    rest = f"owners and {record.not_proved} entries that only root restores as they were" if not privileged else ""
    yield kinds.FULLY_PROVED.event(
        job,
        job=job,
        snapshots=record.snapshots,
        files=record.files,
        bytes=record.bytes,
        seconds=record.seconds,
        paused_s=record.paused_s,
        age_s=record.age_s,
        gap_s=record.gap_s,
        privileged=privileged,
        not_proved=rest,
    )
    for target, measured, declared in missed(record, options):
        yield kinds.TARGET_MISSED.event(job, job=job, target=target, measured_s=measured, declared_s=declared)


def missed(record: FullRecord, options: FullProofOptions) -> Iterator[tuple[str, float, float]]:
    """The declared targets that were missed: name, seconds measured and declared. Age counts as it was, and as it once became."""
    if 0 < options.rto < record.seconds:
        yield "RTO", record.seconds, options.rto
    worst = max(record.age_s, record.gap_s)
    if 0 < options.rpo < worst:
        yield "RPO", worst, options.rpo


def load_records(files: Files, path: str) -> dict[str, FullRecord]:
    """Root's notes by repository id and job (`ID/JOB`); none where there is no file. Unavailable where others than root may write it."""
    try:
        status = files.stat(path)
        content = files.read(path, _MAX_FILE)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return {}
        raise
    if status.uid != 0 or stat.S_IMODE(status.mode) & 0o022:
        raise Unavailable(Why.MALFORMED, f"{path} may be written by others than root", advice="remove it")
    try:
        return msgspec.json.decode(content, type=dict[str, FullRecord])
    except UNDECODABLE as error:
        raise Unavailable(Why.MALFORMED, f"{path}: {error}", advice="remove it, and prove again") from error


def note(files: Files, path: str, key: str, record: FullRecord) -> None:
    """Note a proof that root made; UsageError when it cannot be written. A new file takes the place of the old one."""
    try:
        known = load_records(files, path)
    except HoldfastError:
        known = {}
    temporary = Path(f"{path}.new")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            temporary.chmod(0o600)
            file.write(msgspec.json.encode({**known, key: record}))
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", advice="run it as root, or with --repo alone") from error


def taken_over(
    job: str, options: FullProofOptions, memory: Memory, files: Files, path: str, repository_id: str
) -> Iterator[Event]:
    """State a full proof that root made since the last one that is known here."""
    record = load_records(files, path).get(f"{repository_id}/{job}")
    if record is None or not memory.full_ns < record.at_ns <= time.time_ns():
        return
    memory.full_ns, memory.full_postponed_ns = record.at_ns, 0
    yield from stated(job, record, options, privileged=True)
