"""How a backup job stands, as a pure function of what is known of it and the time; the worst that holds is said.

Green takes a dated proof: a job whose snapshots nobody has restored lately is unproven, however many it made.
"""

from contracts.record import Record
from contracts.subjects.backup import BackupJob

ORDER = ("suspected", "stale", "failing", "late", "unproven", "unverified", "ok")
"""The states, the worst first."""

_HOUR_MS = 3_600_000


class Standing(Record):
    """A state and why."""

    state: str
    detail: str


def standing(job: BackupJob, now_ms: int) -> Standing:
    """Say how `job` stands at `now_ms` (Unix ms). A snapshot from the future counts as one of now: it is not old, but proves no more.

    What else was noted since the last run stands behind the worst that holds, whatever that is.
    """
    found = _worst(job, now_ms)
    notes = "".join(f"; {note}" for _, note in sorted(job.notes.items()))
    return Standing(state=found.state, detail=found.detail + notes)


def _worst(job: BackupJob, now_ms: int) -> Standing:
    if job.suspected_ms:
        return Standing(state="suspected", detail=f"{job.suspicion}; acknowledge it when you have looked")
    good_ms = job.snapshot_ms or job.since_ms
    age_ms = now_ms - good_ms
    last = f"the last snapshot is {_span(age_ms)} old" if job.snapshot_ms else f"no snapshot since {_span(age_ms)}"
    if age_ms >= job.stale_s * 1000:
        return Standing(state="stale", detail=last + _reason(job))
    if job.outcome == "failed":
        return Standing(state="failing", detail=job.detail or "the last run failed")
    for name, database in sorted(job.databases.items()):
        if database.failure:
            return Standing(state="failing", detail=f"the database {name} could not be dumped: {database.failure}")
    for target, why in sorted(job.copies.items()):
        return Standing(state="failing", detail=f"the copy on {target} is not whole: {why}")
    if age_ms >= job.late_s * 1000:
        return Standing(state="late", detail=last)
    if 0 < job.rpo_s * 1000 <= age_ms:
        return Standing(state="late", detail=f"{last}, and its target (RPO) is {_duration(job.rpo_s)}")
    return _proof(job, now_ms)


def _proof(job: BackupJob, now_ms: int) -> Standing:
    if not job.snapshot_ms:
        return Standing(state="unproven", detail=f"it has not run yet; due daily at {job.at}")
    if job.damaged_ms and job.damaged_ms >= job.checked_ms:
        return Standing(state="failing", detail=f"the repository is damaged: {job.damage}")
    if job.proof_failed_ms and job.proof_failed_ms >= job.proved_ms:
        return Standing(state="failing", detail=f"restoring failed: {job.proof_detail}")
    for name, database in sorted(job.databases.items()):
        if database.proof_failure:
            return Standing(state="failing", detail=f"the database {name} does not restore: {database.proof_failure}")
    if job.full_failed_ms and job.full_failed_ms >= job.full_ms:
        return Standing(state="failing", detail=f"restoring all of it failed: {job.full_detail}")
    if 0 < job.rto_s < job.full_seconds and job.full_ms:
        took = f"restoring all of it took {_duration(job.full_seconds)}"
        return Standing(state="failing", detail=f"{took}, and its target (RTO) is {_duration(job.rto_s)}")
    if not _holds(job.proved_ms, job.proof_s, now_ms):
        when = f"restored {_span(now_ms - job.proved_ms)} ago" if job.proved_ms else "never restored"
        return Standing(state="unproven", detail=when)
    if not _holds(job.checked_ms, job.check_s, now_ms):
        when = f"checked {_span(now_ms - job.checked_ms)} ago" if job.checked_ms else "never checked"
        return Standing(state="unverified", detail=f"the repository was {when}")
    if job.full_s and now_ms >= max(job.full_ms, job.since_ms) + job.full_s * 1000:
        when = f"{_span(now_ms - job.full_ms)} ago" if job.full_ms else "never"
        why = f": {job.full_postponed}" if job.full_postponed else ""
        return Standing(state="unverified", detail=f"all of it was restored {when}{why}")
    partial = f"; {job.unreadable} paths could not be read" if job.outcome == "partial" and job.unreadable else ""
    return Standing(state="ok", detail=f"restored {_span(now_ms - job.proved_ms)} ago{partial}")


def _holds(at_ms: int, valid_s: float, now_ms: int) -> bool:
    """Whether something that was done still counts; what was done in the future does not."""
    return 0 < at_ms <= now_ms < at_ms + valid_s * 1000


def _reason(job: BackupJob) -> str:
    return f"; the last run failed: {job.detail}" if job.outcome == "failed" and job.detail else ""


def _duration(seconds: float) -> str:
    """A measured or declared span: in the unit that says it in few digits."""
    for size, unit in ((86400 * 3, "days"), (3600 * 2, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.3g} s"


def _span(ms: int) -> str:
    hours = max(0, ms) // _HOUR_MS
    return f"{hours} h" if hours < 72 else f"{hours // 24} days"
