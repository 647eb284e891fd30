"""The backup jobs of one server as its page shows them: how each stands, its last snapshot, whether that was restored, what runs now."""

from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import read, unread_words
from console.web.sight_view import current
from contracts.subjects.backup import BackupJob, JobState
from contracts.subjects.holdings import Gap
from contracts.wire import Work

STATES = {
    "ok": words.Sign(
        "Proved", "up", "good", "The last snapshot is recent, and files of it were restored and compared."
    ),
    "unverified": words.Sign("Not checked", "unproven", "warn", "Restored, but the repository was not checked lately."),
    "unproven": words.Sign(
        "UNPROVEN", "unproven", "warn", "Nobody has restored from it lately: it is not known to work."
    ),
    "late": words.Sign("Late", "late", "warn", "No snapshot for longer than the settings allow."),
    "suspected": words.Sign(
        "Anomaly suspected",
        "down",
        "bad",
        "A run looked like an attacker's work. Nothing is removed until somebody has looked.",
    ),
    "failing": words.Sign("Failing", "down", "bad", "The last run, proof or check failed."),
    "stale": words.Sign("Stale", "down", "bad", "No snapshot for so long that a disaster would cost too much."),
}
UNKNOWN = words.Sign(
    "Not known", "unproven", "", "The agent has not judged it yet, or says something newer than this console."
)
NO_COVER = words.Sign("Not covered", "unproven", "warn", "No backup job covers it.")
GAP_SIGNS = {
    "files only": words.Sign(
        "Files only", "unproven", "warn", "Its files are saved while the database writes, and no job dumps it."
    ),
    "excluded": words.Sign("Left out", "unproven", "warn", "A pattern of the job leaves it out."),
    "not known": words.Sign("Not known", "blind", "warn", "It could not be looked at, so that gaps may be there."),
    "on purpose": words.Sign("On purpose", "up", "", "The settings say why it needs no backup."),
}
RANK = ("suspected", "stale", "failing", "late", "unproven", "unverified", "ok")


class JobRow(NamedTuple):
    """One job, in words."""

    key: str
    repository: str
    sign: words.Sign
    detail: str
    snapshot_ms: int
    snapshot: str
    size: str
    added: str
    next: str
    running: str
    whole: str = ""
    """When everything of it was restored last, how long that took, and what is declared."""
    reminder: str = ""
    """Why its recovery key is nothing to count on."""


class GapRow(NamedTuple):
    """Something that no job covers, in words."""

    name: str
    kind: str
    sign: words.Sign
    reason: str
    settings: str
    since_ms: int


class BackupView(NamedTuple):
    """The table with its summary and tone, or the reason why it is empty."""

    rows: tuple[JobRow, ...]
    summary: str
    tone: str
    word: str
    reason: str
    dated: str
    gaps: tuple[GapRow, ...] = ()
    gaps_summary: str = ""


def backup_view(
    detail: AgentDetail, jobs: Subject | None, states: Subject | None, gaps: Subject | None = None
) -> BackupView:
    """Return every job the agent reported, the worst first."""
    known, unread, example = read(jobs.rows, BackupJob) if jobs else ({}, 0, "")
    judged, _, _ = read(states.rows, JobState) if states else ({}, 0, "")
    work = {each.key: each for each in detail.heartbeat.work if each.action == "backup"} if detail.heartbeat else {}
    proven = current(detail.agent)
    rows = [_row(key, job, judged.get(key), work, proven) for key, job in known.items()]
    order = {key: RANK.index(row.state) if row.state in RANK else 0 for key, row in judged.items()}
    rows.sort(key=lambda row: (order.get(row.key, 0), row.key))
    word, reason = ("Not understood", unread_words(unread, example)) if unread and not known else _why_empty(jobs)
    dated = f"Judged at {words.moment(states.at_ms)} by the server's clock." if states and rows else ""
    notes = " ".join(part for part in (dated, unread_words(unread, example) if rows else "") if part)
    missing, gaps_summary = _gaps(gaps)
    signs = (*(row.sign for row in rows), *(gap.sign for gap in missing))
    tone = next((tone for tone in ("bad", "warn") if any(sign.tone == tone for sign in signs)), "")
    return BackupView(tuple(rows), _summary(rows), tone, word, reason, notes, missing, gaps_summary)


def _gaps(subject: Subject | None) -> tuple[tuple[GapRow, ...], str]:
    """What no job covers, gaps before what is not known and what is left out on purpose, and how many there are."""
    if subject is None:
        return (), ""
    known, unread, example = read(subject.rows, Gap)
    rows = [
        GapRow(
            name=gap.name,
            kind=gap.kind,
            sign=GAP_SIGNS.get(gap.state, NO_COVER),
            reason=gap.reason,
            settings=gap.settings,
            since_ms=gap.since_ms,
        )
        for gap in known.values()
    ]
    rows.sort(key=lambda row: (not row.sign.tone, row.sign is GAP_SIGNS["not known"], row.name))
    count = sum(row.sign is not GAP_SIGNS["not known"] and bool(row.sign.tone) for row in rows)
    unknown = sum(row.sign is GAP_SIGNS["not known"] for row in rows)
    parts = [f"{words.plural(count, 'gap')}" if count else "no gap known"]
    parts += [f"{unknown} not known"] if unknown else []
    parts += [unread_words(unread, example)] if unread else []
    return tuple(rows), ", ".join(parts)


def _row(key: str, job: BackupJob, judged: JobState | None, work: dict[str, Work], proven: bool) -> JobRow:
    sign = STATES.get(judged.state, UNKNOWN) if judged else UNKNOWN
    if not proven and sign.tone == "good":
        sign = words.faded(sign)._replace(word="Was proved", meaning="It was so then; what is true now is not known.")
    return JobRow(
        key=key,
        repository=job.repository,
        sign=sign,
        detail=judged.detail if judged else "",
        snapshot_ms=job.snapshot_ms,
        snapshot=job.snapshot[:8],
        size=f"{words.size(job.bytes_total)} in {words.plural(job.files, 'file')}" if job.snapshot else "",
        added=words.size(job.bytes_added) if job.snapshot else "",
        next=f"daily at {job.at}",
        running=_running(work.get(key) or (work.get("") if len(work) == 1 else None)),
        whole=_whole(job),
        reminder=job.recovery_key,
    )


def _whole(job: BackupJob) -> str:
    if not job.full_ms:
        return f"Never restored as a whole: {job.full_postponed}" if job.full_postponed else ""
    told = f"All of it restored in {words.duration(job.full_seconds)} at {words.moment(job.full_ms)}"
    return f"{told}; declared are {words.duration(job.rto_s)}" if job.rto_s else told


def _running(work: Work | None) -> str:
    if work is None:
        return ""
    share = f" of {words.size(round(work.total))}" if work.total else ""
    return f"running: {words.size(round(work.done))}{share}, {work.what}"


def _summary(rows: list[JobRow]) -> str:
    if not rows:
        return ""
    proved = sum(1 for row in rows if row.sign is STATES["ok"])
    return f"{proved} of {words.plural(len(rows), 'job')} proved by restoring"


def _why_empty(jobs: Subject | None) -> tuple[str, str]:
    if jobs is None:
        return "Not known yet", "The agent has not told which backup jobs it has."
    return "None", "No backup job is configured on this server. See docs/guides/backup.md for the first one."
