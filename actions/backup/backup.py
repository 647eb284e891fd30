"""Backs up: runs one job of the configuration and states how it ended; the repository is one that the stock restic reads, too."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actions.backup.kinds import CLOCK_BEHIND, FAILED, FINISHED, KINDS, PARTIAL
from actions.backup.options import BackupOptions, JobOptions, password_of
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, UsageError
from contracts.event import Event, Kind, Value
from contracts.host import Host
from contracts.outcome import Failed, Ok
from contracts.text import escape

if TYPE_CHECKING:
    from actions.backup.archiver import Report
    from actions.backup.job import Done

NAMED_PATHS = 20
"""How many unreadable paths an event names."""
PARTIAL_CODE = 3


class Backup:
    """Runs a job."""

    name: ClassVar[str] = "backup"
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    options: ClassVar[type[BackupOptions]] = BackupOptions
    arguments: ClassVar[Mapping[str, str]] = {"job": "str"}
    deadline_s: ClassVar[float] = 7 * 86400.0

    def __init__(self, options: BackupOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Run the job named by `job`, the only one when it names none. The answer holds `code`, restic's exit code, and the snapshot."""
        name, job = chosen(self._options, str(command.arguments.get("job", "")))
        if command.dry_run:
            return Result(summary=f"would back up {', '.join(job.paths)} to {job.repository}")
        began = host.monotonic()
        try:
            done = self._run(host, name, job, progress)
        except Exception as error:  # noqa: BLE001  # a defect is a failed backup, too, and must be stated as one
            return _failed(name, job, error, host.monotonic() - began)
        return _ended(name, job, done)

    def _run(self, host: Host, name: str, job: JobOptions, progress: Progress) -> "Done":
        from actions.backup.filters import choices
        from actions.backup.job import Run, alone, own_folders
        from actions.backup.passwords import read_password
        from actions.backup.places import open_place
        from actions.backup.pressure import Patience

        if not host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        with alone(host.state, name):
            store = open_place(job.repository)
            try:
                run = Run(
                    name=name,
                    job=job,
                    store=store,
                    password=read_password(host.files, password_of(name, job)),
                    choices=choices(job, host.files, os.environ, own_folders(store)),
                    patience=Patience(self._options.pressure, host.files),
                    advance=_teller(progress, _last_total(host, name)),
                    hostname=host.facts().hostname,
                )
                done = run.back_up()
            finally:
                store.close()
            host.write(_memory(host, name), msgspec.json.encode({"bytes_total": done.report.bytes_total}))
            return done


def prepare() -> None:
    """Import all that a run takes, while this program's files can still be read."""
    import actions.backup.filters
    import actions.backup.job
    import actions.backup.passwords
    import actions.backup.places
    import actions.backup.pressure  # noqa: F401


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


def _memory(host: Host, job: str) -> str:
    return f"{host.state}/{job}.json"


def _last_total(host: Host, job: str) -> float:
    """What the last run of the job saw in bytes, so that this one can say how far it is; 0 when not known."""
    try:
        found = msgspec.json.decode(host.files.read(_memory(host, job)), type=dict[str, int])
        return float(found.get("bytes_total", 0))
    except (HoldfastError, msgspec.DecodeError):
        return 0.0


def _failed(name: str, job: JobOptions, error: Exception, seconds: float) -> Result:
    if isinstance(error, HoldfastError):
        what, advice, code, permanent = error.message, error.advice, error.exit_code, error.permanent
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
    )
    text = f"{what}; {advice}" if advice else what
    return Result(
        outcome=Failed(error=text[:500], permanent=permanent), summary=what, events=(event,), answer={"code": code}
    )


def _ended(name: str, job: JobOptions, done: "Done") -> Result:
    report = done.report
    paths = [f"{escape(told.path)}: {told.what}" for told in report.unreadable[:NAMED_PATHS]]
    fields: dict[str, Any] = {
        "job": name,
        "repository": job.repository,
        "snapshot": done.snapshot,
        "files": report.files,
        "files_new": report.files_new,
        "files_changed": report.files_changed,
        "bytes_total": report.bytes_total,
        "bytes_read": report.bytes_read,
        "bytes_added": report.saved.stored_bytes,
        "unreadable": report.unreadable_count,
        "noted": report.noted_count,
        "seconds": round(done.seconds, 1),
        "paused_s": round(done.paused_s, 1),
        "paths": paths,
    }
    events: list[Event] = [(PARTIAL if done.partial else FINISHED).event(name, **fields)]
    if done.ahead:
        events.append(CLOCK_BEHIND.event(name, job=name, snapshot=done.ahead, ahead_s=round(done.ahead_s, 1)))
    summary = (
        f"{name}: snapshot {done.snapshot[:8]} with {report.files} files, {report.bytes_total} bytes, "
        f"{report.saved.stored_bytes} bytes added, in {done.seconds:.1f} s"
    )
    if done.partial:
        summary += f"; {report.unreadable_count} paths could not be read: {'; '.join(paths[:3])}"
    answer: dict[str, Value] = {**fields, "code": PARTIAL_CODE if done.partial else 0}
    return Result(outcome=Ok(), summary=summary, events=tuple(events), answer=answer)
