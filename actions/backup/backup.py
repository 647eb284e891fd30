"""Backs up: runs one job of the configuration and states how it ended; the repository is one that the stock restic reads, too."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from actions.backup.kinds import (
    CLOCK_BEHIND,
    DATABASE_BLIND,
    DATABASE_FAILED,
    FAILED,
    FINISHED,
    KINDS,
    NOT_PROVED,
    PARTIAL,
    PROVED,
    UPKEEP_FAILED,
)
from actions.backup.options import BackupOptions, JobOptions, password_of
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, UsageError
from contracts.event import Event, Kind, Severity, Value
from contracts.host import Host
from contracts.outcome import Failed, Ok
from contracts.proof import Proof, Verb
from contracts.text import escape
from contracts.title import title

if TYPE_CHECKING:
    from actions.backup.archiver import Report
    from actions.backup.job import Done
    from actions.backup.memory import Memory
    from actions.backup.stores.store import Store
    from actions.backup.tripwire.tripwire import Tripwire

NAMED_PATHS = 20
"""How many unreadable paths an event names."""
PARTIAL_CODE = 3
STEPS = ("prove", "check", "retire", "replicate", "sheet", "review", "full")


class Backup:
    """Runs a job."""

    name: ClassVar[str] = "backup"
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    options: ClassVar[type[BackupOptions]] = BackupOptions
    arguments: ClassVar[Mapping[str, str]] = {"job": "str", "step": "str", "told": "str"}
    """`step` is one of `STEPS`, to be done without a backup; "" for a backup and all that follows it.

    `told` is how the attempt before failed: one that fails the same way states no second event.
    """
    deadline_s: ClassVar[float] = 7 * 86400.0

    def __init__(self, options: BackupOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Run the job named by `job`, the only one when it names none. The answer holds `code`, restic's exit code, and the snapshot."""
        name, job = chosen(self._options, str(command.arguments.get("job", "")))
        step = str(command.arguments.get("step", ""))
        if step and step not in STEPS:
            raise UsageError(f'there is no step "{step}"', advice=f"name one of {', '.join(STEPS)}")
        if command.dry_run and step:
            return Result(summary=f"would {step} the backup {name} at {job.repository}")
        if command.dry_run:
            return Result(summary=f"would back up {', '.join(job.paths) or 'databases'} to {job.repository}")
        began, told = host.monotonic(), str(command.arguments.get("told", ""))
        try:
            return self._run(host, name, job, step, progress, told)
        except Exception as error:  # noqa: BLE001  # a defect is a failed backup, too, and must be stated as one
            return _failed(name, job, error, host.monotonic() - began, told)

    def _run(self, host: Host, name: str, job: JobOptions, step: str, progress: Progress, told: str) -> Result:
        from actions.backup.job import alone, newest, newest_dumps
        from actions.backup.memory import recall, remember
        from actions.backup.passwords import read_password
        from actions.backup.places import open_place
        from actions.backup.repository import Repository
        from actions.backup.tripwire.tripwire import Tripwire
        from actions.backup.upkeep import Upkeep, scratch_in

        if not host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        with alone(host.state, name):
            memory = recall(host, name)
            password = read_password(host.files, password_of(name, job))
            hostname = host.facts().hostname
            tripwire = Tripwire(host, name, job)
            store = open_place(job.repository, job.ssh)
            try:
                done = None if step else self._back_up(host, name, job, store, password, memory, progress, tripwire)
                if done is not None:
                    memory.bytes_total = done.report.bytes_total or memory.bytes_total
                    snapshots = done.snapshots
                else:
                    last = newest(Repository.open(store, password), hostname, name)
                    snapshots = [last[0]] if last is not None else []
                    snapshots += newest_dumps(Repository.open(store, password), hostname, name)
                upkeep = Upkeep(
                    name,
                    job,
                    store,
                    password,
                    hostname,
                    scratch_in(host.state),
                    memory,
                    snapshots,
                    host=host,
                    book=tripwire.book,
                    pressure=self._options.pressure,
                    tell=lambda what: progress(memory.bytes_total, memory.bytes_total, "bytes", what),
                )
                # A run without its paths is copied, that the databases are off this host; nothing is retired or proved after it.
                after = tuple(upkeep.run("replicate" if done is not None and done.failure is not None else step))
            finally:
                store.close()
            try:
                remember(host, name, memory)
            except (
                HoldfastError,
                OSError,
            ) as error:  # the snapshot is there, and what follows is done once more next time
                what = f"what was done could not be remembered: {error}"
                after += (UPKEEP_FAILED.event(name, job=name, step="memory", detail=what[:500]),)
        if done is None:
            return _stepped(name, job, step, after, host)
        if done.failure is not None:
            return _failed(name, job, done.failure, done.seconds, told, done, after)
        return _ended(name, job, done, after, host)

    def _back_up(
        self,
        host: Host,
        name: str,
        job: JobOptions,
        store: "Store",
        password: str,
        memory: "Memory",
        progress: Progress,
        tripwire: "Tripwire",
    ) -> "Done":
        from actions.backup.filters import choices
        from actions.backup.job import Run, own_folders
        from actions.backup.pressure import Patience

        run = Run(
            name=name,
            job=job,
            store=store,
            password=password,
            choices=choices(job, host.files, os.environ, own_folders(store)),
            patience=Patience(self._options.pressure, host.files),
            advance=_teller(progress, memory.bytes_total),
            hostname=host.facts().hostname,
            tripwire=tripwire,
        )
        return run.back_up(host)


def prepare() -> None:
    """Import all that a run takes, while this program's files can still be read."""
    import actions.backup.filters
    import actions.backup.job
    import actions.backup.memory
    import actions.backup.passwords
    import actions.backup.places
    import actions.backup.pressure
    import actions.backup.tripwire.tripwire
    import actions.backup.upkeep  # noqa: F401


def chosen(options: BackupOptions, name: str) -> tuple[str, JobOptions]:
    """The job called `name`, or the only one there is when it is ""; UsageError."""
    known = ", ".join(sorted(options.jobs))
    if not options.jobs:
        raise UsageError("no backup job is configured", advice="add one under backup.jobs")
    if not name and len(options.jobs) == 1:
        name = next(iter(options.jobs))
    if name not in options.jobs:
        what = f'there is no backup job "{name}"' if name else "there are several backup jobs"
        raise UsageError(what, advice=f"name one of these: {known}")
    return name, options.jobs[name]


def _teller(progress: Progress, total: float) -> "Callable[[Report, str], None]":
    def tell(report: "Report", waits_for: str) -> None:
        what = f"{report.files} files, {report.unreadable_count} errors, {report.saved.stored_bytes} bytes stored"
        progress(report.bytes_total, total, "bytes", f"{what}; waits for {waits_for}" if waits_for else what)

    return tell


def _failed(
    name: str,
    job: JobOptions,
    error: Exception,
    seconds: float,
    told: str,
    done: "Done | None" = None,
    after: tuple[Event, ...] = (),
) -> Result:
    """How a run failed; `done` is what it saved nevertheless, `after` what came of copying that."""
    from actions.backup.stores.store import NoSpace

    if isinstance(error, HoldfastError):
        what, advice, code = error.message, error.advice, error.exit_code
        permanent = error.permanent and not isinstance(
            error, NoSpace
        )  # somebody makes room: worth another try before tomorrow
    else:
        what, advice, code, permanent = f"{type(error).__name__}: {error}", "", 1, False
    event = FAILED.event(
        name,
        job=name,
        repository=job.repository,
        detail=escape(os.fsencode(what))[:500],
        advice_given=advice[:500],
        code=code,
        seconds=round(seconds, 1),
        databases=[] if done is None else [dumps.name for dumps in done.dumps if dumps.complete],
    )
    text = f"{what}; {advice}" if advice else what
    of_databases = () if done is None else tuple(_database_events(name, done))
    if text[:500] == told:  # which names the databases that failed; what it does not name is stated again
        stated = [found for found in of_databases if found.kind != DATABASE_FAILED.name]
    else:
        stated = [event, *of_databases]
    return Result(
        outcome=Failed(error=text[:500], permanent=permanent),
        summary=what,
        events=(*stated, *(done.suspicions if done is not None else ()), *after),
        answer={"code": code},
    )


def _ended(name: str, job: JobOptions, done: "Done", after: Sequence[Event], host: Host) -> Result:
    fields = _fields(name, job, done)
    events: list[Event] = [(PARTIAL if done.partial else FINISHED).event(name, **fields), *_database_events(name, done)]
    if done.ahead:
        events.append(CLOCK_BEHIND.event(name, job=name, snapshot=done.ahead, ahead_s=round(done.ahead_s, 1)))
    events += (*done.suspicions, *after)
    report = done.report
    summary = (
        f"{name}: snapshot {done.snapshot[:8]} with {report.files} files, {report.bytes_total} bytes, "
        f"{fields['bytes_added']} bytes added, in {done.seconds:.1f} s"
    )
    if report.unreadable_count:
        summary += f"; {report.unreadable_count} paths could not be read: {'; '.join(fields['paths'][:3])}"
    summary += fields["waited"]
    troubles = [event for event in events[1:] if event.severity >= Severity.MEDIUM]
    summary += "".join(f"; {event.kind}: {_said(event)}" for event in troubles)
    answer: dict[str, Value] = {**fields, "code": PARTIAL_CODE if done.partial else 0}
    return Result(
        outcome=Ok(),
        summary=summary[:2000],
        events=tuple(events),
        proof=_proof(name, job, after, host),
        answer=answer,
        changed=done.changed,
    )


def _said(event: Event) -> str:
    """What an event says of itself: its detail, or else its title."""
    detail = event.fields.get("detail")
    return str(detail) if detail else next((title(kind, event) for kind in KINDS if kind.name == event.kind), "")


def _stepped(name: str, job: JobOptions, step: str, after: Sequence[Event], host: Host) -> Result:
    """How one step without a backup ended; its code is 1 when something is wrong."""
    told = [title(kind, event) for event in after for kind in KINDS if kind.name == event.kind]
    bad = any(event.severity >= Severity.MEDIUM for event in after)
    summary = "; ".join(told) or f"{name}: there was nothing to {step}"
    proof = _proof(name, job, after, host)
    return Result(summary=summary[:2000], events=tuple(after), proof=proof, answer={"code": int(bad)})


def _fields(name: str, job: JobOptions, done: "Done") -> dict[str, Any]:
    report = done.report
    return {
        "job": name,
        "repository": job.repository,
        "snapshot": done.snapshot,
        "files": report.files,
        "files_new": report.files_new,
        "files_changed": report.files_changed,
        "bytes_total": report.bytes_total + sum(dumped.size for dumps in done.dumps for dumped in dumps.dumped),
        "bytes_read": report.bytes_read,
        "bytes_added": report.saved.stored_bytes + sum(dumps.saved.stored_bytes for dumps in done.dumps),
        "unreadable": report.unreadable_count,
        "noted": report.noted_count,
        "seconds": round(done.seconds, 1),
        "paused_s": round(done.paused_s, 1),
        "waited": _waited(done.paused_s),
        "paths": [f"{escape(told.path)}: {told.what}" for told in report.unreadable[:NAMED_PATHS]],
        "databases": [dumps.name for dumps in done.dumps if dumps.complete],
    }


def _waited(seconds: float) -> str:
    """The part of a sentence that says how long a run gave way, "" for less than half a minute."""
    return f"; waited for the server {max(1, round(seconds / 60))} min" if seconds >= 30 else ""


def _database_events(name: str, done: "Done") -> Iterator[Event]:
    for dumps in done.dumps:
        about: dict[str, Any] = {"job": name, "product": dumps.product, "database": dumps.name}
        for error in dumps.failed:
            yield DATABASE_FAILED.event(
                f"{name}/{dumps.name}", **about, snapshot=dumps.snapshot, detail=escape(str(error))[:500]
            )
        for blind in dumps.blind:
            detail = f"{blind.detail}; {blind.fix}" if blind.fix else blind.detail
            yield DATABASE_BLIND.event(f"{name}/{dumps.name}", **about, what=blind.what, detail=escape(detail)[:500])


def _proof(name: str, job: JobOptions, after: Sequence[Event], host: Host) -> Proof | None:
    """The dated record that files were restored; none unless every new snapshot was proved."""
    proved = [event for event in after if event.kind == PROVED.name]
    if not proved or any(event.kind == NOT_PROVED.name for event in after):
        return None
    return Proof(
        subject=f"backup/{name}",
        verb=Verb.RESTORED,
        at_ms=round(host.now().timestamp() * 1000),
        valid_s=round(job.proof.valid),
        numbers={
            key: float(sum(_count(event, key) for event in proved)) for key in ("files", "bytes", "same_as_source")
        },
        detail=", ".join(str(event.fields["snapshot"])[:8] for event in proved),
    )


def _count(event: Event, field: str) -> int:
    value = event.fields.get(field)
    return value if isinstance(value, int) else 0
