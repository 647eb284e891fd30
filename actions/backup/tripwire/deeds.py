"""What a person has the worker do about the tripwire: acknowledge what is suspected, and know canaries."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from actions.backup.backup import chosen
from actions.backup.kinds import ANOMALY_ACKNOWLEDGED
from actions.backup.options import BackupOptions, JobOptions
from actions.backup.tripwire.book import (
    MAX_CLEARED,
    Acknowledgement,
    Book,
    Canary,
    NotSuspected,
    Suspicion,
    of_size,
    path_in,
    recall,
    remember,
)
from analysis.excludes import Excludes
from contracts.action import Command, Progress, Result
from contracts.errors import UsageError
from contracts.event import Kind
from contracts.host import Host

MAX_CANARIES = 100


class Acknowledge:
    """Lets retention go on after a person has looked at what was suspected; who it was is what the control socket says."""

    name: ClassVar[str] = "backup_acknowledge"
    kinds: ClassVar[tuple[Kind, ...]] = (ANOMALY_ACKNOWLEDGED,)
    options: ClassVar[type[BackupOptions]] = BackupOptions
    arguments: ClassVar[Mapping[str, str]] = {"job": "str", "why": "str"}

    def __init__(self, options: BackupOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Acknowledge for `job`, the only one when it names none; NotSuspected when nothing stands, UsageError without a reason."""
        from actions.backup.job import alone

        name, _ = chosen(self._options, str(command.arguments.get("job", "")))
        why = str(command.arguments.get("why", "")).strip()
        if not why:
            raise UsageError("no reason is given", advice="say with --why what you found")
        with alone(_state(host), name):
            book = recall(host.files, path_in(host.state, name))
            if book.standing is None:
                raise NotSuspected(f"nothing is suspected of the job {name}", advice="see `holdfast backup status`")
            says = "; ".join(book.standing.says)
            if command.dry_run:
                return Result(summary=f"would acknowledge for {name}: {says}")
            gone = _gone(host, book)
            remember(host, name, _acknowledged(book, command.who, why, gone))
        event = ANOMALY_ACKNOWLEDGED.event(name, job=name, detail=says[:500], who=command.who, why=why[:500])
        forgotten = f"; canaries that are not as they were are forgotten: {', '.join(sorted(gone))}" if gone else ""
        return Result(summary=f"{name}: acknowledged: {says}{forgotten}", events=(event,))


class Canaries:
    """Learns, lists and forgets canaries. What they must be is kept where nobody but the worker reads."""

    name: ClassVar[str] = "backup_canaries"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    options: ClassVar[type[BackupOptions]] = BackupOptions
    arguments: ClassVar[Mapping[str, str]] = {"job": "str", "learn": "list", "sums": "list", "forget": "list"}
    """`learn` are paths of files and `sums` their SHA-256 in hex, in the same order; both are compared with what the worker reads."""

    def __init__(self, options: BackupOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Change the list and answer it as `canaries`, the paths; UsageError for a file that the job does not save."""
        from actions.backup.job import alone

        name, job = chosen(self._options, str(command.arguments.get("job", "")))
        learn, sums = _texts(command, "learn"), _texts(command, "sums")
        forget = _texts(command, "forget")
        if len(learn) != len(sums):
            raise UsageError("each file needs its sum", advice="use `holdfast backup canary plant`")
        with alone(_state(host), name):
            book = recall(host.files, path_in(host.state, name))
            kept = {canary.path: canary for canary in book.canaries}
            for path in forget:
                if kept.pop(path, None) is None:
                    raise UsageError(f"{path} is no canary", advice="see `holdfast backup canary list`")
            for path, sha256 in zip(learn, sums, strict=True):
                kept[path] = _learnt(host, name, job, path, sha256)
            if len(kept) > MAX_CANARIES:
                raise UsageError(f"there would be more than {MAX_CANARIES} canaries", advice="forget some")
            if not command.dry_run and (learn or forget):
                remember(host, name, msgspec.structs.replace(book, canaries=tuple(kept.values())))
        return Result(summary=f"{name}: {len(kept)} canaries", answer={"canaries": sorted(kept), "job": name})


def saved(job: JobOptions, path: str) -> bool:
    """Whether a job saves `path`, as its paths and patterns have it."""
    below = any(path == each or path.startswith(each.rstrip("/") + "/") for each in job.paths)
    parts = path.split("/")
    ways = ["/".join(parts[: number + 1]) for number in range(1, len(parts))]
    excludes = Excludes(job.excludes, job.iexcludes)
    return below and not any(excludes.match(way) for way in ways)


def _learnt(host: Host, name: str, job: JobOptions, path: str, sha256: str) -> Canary:
    import hashlib

    from actions.backup.tripwire.canaries import MAX_BYTES

    if not saved(job, path):
        raise UsageError(f"{path} is not saved by the job {name}", advice="choose a directory that it saves")
    if hashlib.sha256(host.files.read(path, MAX_BYTES)).hexdigest() != sha256:
        raise UsageError(f"{path} is not what was planted", advice="plant it again")
    return Canary(path=path, sha256=sha256, planted_ns=time.time_ns())


def _gone(host: Host, book: Book) -> frozenset[str]:
    """Canaries that are not as they were: whoever acknowledges that has seen it."""
    from actions.backup.tripwire.canaries import check

    return frozenset(broken.canary.path for broken in check(host.files, book.canaries, {}).broken)


def _acknowledged(book: Book, who: str, why: str, gone: frozenset[str]) -> Book:
    standing = book.standing
    assert standing is not None
    return msgspec.structs.replace(
        book,
        standing=None,
        turned=(),
        **_sizes(book, standing),
        canaries=tuple(canary for canary in book.canaries if canary.path not in gone),
        cleared=(*book.cleared, *standing.marked)[-MAX_CLEARED:],
        acknowledged=Acknowledgement(who=who, why=why, at_ns=time.time_ns(), says=standing.says),
    )


def _sizes(book: Book, standing: Suspicion) -> dict[str, Any]:
    """Where a size was out of line, what is usual is learnt anew: else it would be so the next night, too."""
    if not of_size(standing):
        return {}
    return {"runs": tuple(msgspec.structs.replace(run, bytes_total=0) for run in book.runs), "dumps": {}}


def _texts(command: Command, name: str) -> list[str]:
    value = command.arguments.get(name) or []
    return [str(each) for each in value] if isinstance(value, list) else []


def _state(host: Host) -> str:
    if not host.state:
        raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
    return host.state
