"""When backup jobs run and what the core is to know of them, read off the settings: pure, for the child that plans."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from agent.timed import Timed
from contracts.errors import Unavailable
from contracts.subjects.backup import BackupJob, Covers, Dump

_MINUTES_A_DAY = 24 * 60


def backup_plan(
    options: Any, machine_id: str, read: Callable[[str], list[str]] | None = None
) -> tuple[tuple[BackupJob, ...], dict[str, Timed]]:
    """The jobs of the `backup` section as the core keeps them, and their deeds with a time of day.

    The time of day is the configured one plus this host's own part of the splay, which is always the same.
    """
    if options is None or not options.enabled:
        return (), {}
    jobs, timed = [], {}
    for name, job in options.jobs.items():
        at = delayed(job.at, job.splay, f"{machine_id}/{name}")
        jobs.append(
            BackupJob(
                job=name,
                repository=job.repository,
                at=at,
                late_s=job.late_after,
                stale_s=job.stale_after,
                proof_s=job.proof.valid,
                check_s=2 * job.proof.check_every,
                full_s=2 * job.proof.full.every if job.proof.full.enabled else 0.0,
                rto_s=job.proof.full.rto,
                rpo_s=job.proof.full.rpo,
                covers=covers_of(job, options.not_saved, read),
            )
        )
        timed[f"backup {name}"] = Timed(
            action="backup", arguments={"job": name}, at=at, retries=job.retries, retry_s=job.retry_after
        )
    return tuple(jobs), timed


def covers_of(job: Any, not_saved: dict[str, str], read: Callable[[str], list[str]] | None = None) -> Covers:
    """What a job saves; `read` gives the patterns of an exclude file, or raises Unavailable."""
    patterns, unread = list(job.excludes), []
    for path in job.exclude_files:
        try:
            patterns += read(path) if read is not None else []
        except Unavailable:
            unread.append(path)
    if read is None:
        unread = list(job.exclude_files)
    return Covers(
        paths=tuple(path.rstrip("/") or "/" for path in job.paths),
        excludes=tuple(patterns),
        iexcludes=tuple(job.iexcludes),
        one_file_system=job.one_file_system,
        tags=tuple(job.exclude_if_present),
        caches=job.exclude_caches,
        larger_than=job.exclude_larger_than,
        dumps=tuple(_dumps(job.databases)),
        unread=tuple(unread),
        not_saved={path.rstrip("/") or "/": why for path, why in not_saved.items()},
    )


def _dumps(databases: Any) -> Iterator[Dump]:
    for each in databases.postgresql:
        yield Dump(product="postgresql", name=each.name, port=each.port, socket=each.host)
    for each in databases.mysql:
        yield Dump(product="mysql", name=each.name, port=0 if each.socket else each.port, socket=each.socket)
    for each in databases.redis:
        yield Dump(product="redis", name=each.name, port=0 if each.socket else each.port, socket=each.socket)
    for each in databases.sqlite:
        yield Dump(product="sqlite", name=each.name, paths=tuple(path.rstrip("/") for path in each.paths))
    for each in databases.command:
        yield Dump(product="command", name=each.name, line=" ".join(each.argv))


def delayed(at: str, splay_s: float, who: str) -> str:
    """The time of day `at` (`HH:MM`) plus a part of the splay that depends on `who` alone, to the minute."""
    minutes = int(splay_s // 60)
    share = int.from_bytes(hashlib.sha256(who.encode()).digest()[:4], "big") % (minutes + 1)
    hour, minute = map(int, at.split(":"))
    total = (hour * 60 + minute + share) % _MINUTES_A_DAY
    return f"{total // 60:02d}:{total % 60:02d}"
