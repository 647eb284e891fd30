"""File integrity of one server as its page shows it: what is watched, what changed and what accounts for it, what is not seen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from console.challenge_book import Standing
from console.store.records import AgentDetail, EventRow, Subject
from console.web import words
from console.web.events_view import title, value_words
from console.web.lookup import place_of
from console.web.rows import read, unread_words
from console.web.sight_view import current, sight_of, why_empty
from contracts.coverage import Blind
from contracts.event import Event
from contracts.subjects.integrity import BOOK, SUBJECT, Row

TRANSACTION, UNPROVED = "integrity.transaction", "integrity.transaction_unproved"
UNTRUSTED = "integrity.baseline_untrusted"
RECENT_MS = 7 * 86_400_000
"""So long a baseline that was not the one stated keeps the section red; the sentence about it stays."""
MOST_LISTED = 50
"""Lines of one event that are printed; its own page has all of them."""
_TELLING = (TRANSACTION, UNPROVED, UNTRUSTED)

WATCHING = words.Sign("Watching", "up", "good", "Folders are watched, and scans find what no notice tells.")
STARTING = words.Sign("Starting", "late", "warn", "The baseline is not made yet: changes cannot be told.")
SCANNING = words.Sign("Scanning", "late", "", "A scan is under way.")
PARTLY = words.Sign(
    "Partly watched", "degraded", "warn", "Some of it is not watched at once, or could not be looked at."
)
UNKNOWN = words.Sign("Not known", "blind", "warn", "What the watch is doing is not known.")


_NOT_CHECKED = words.Sign("Not checked yet", "unproven", "", "Proofs were asked for; none was asked for again yet.")
_CHALLENGES = {
    "held": words.Sign("Held", "up", "good", "The files that were picked hold what they held."),
    "told": words.Sign("Changed as told", "up", "good", "What differs is what the host had told of."),
    "unproved": words.Sign("Not proved", "unproven", "warn", "It cannot be told whether what differs was told of."),
    "differs": words.Sign(
        "Differs", "late", "warn", "A file holds something else; whether the host tells of it is waited for."
    ),
    "failed": words.Sign("Failed", "down", "bad", "A file holds something else, and the host told of no change."),
    "unanswered": words.Sign("Unanswered", "blind", "bad", "The host did not prove what its files hold."),
}


class RootRow(NamedTuple):
    """One watched path, in words."""

    path: str
    profile: str
    sign: words.Sign
    names: str
    scanned_ms: int
    detail: str


class ChangeRow(NamedTuple):
    """One event about changed files, in words. `id` is what its page's address holds; `more` counts lines that are not printed."""

    id: str
    title: str
    sign: words.Sign
    at_ms: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    lines: tuple[str, ...]
    more: int
    meaning: tuple[str, ...]
    provenance: str
    contradicts: bool
    who: str
    found_by: str
    diff: str


class RunRow(NamedTuple):
    """One run of a package tool, in words."""

    id: str
    what: str
    sign: words.Sign
    files: str
    packages: tuple[str, ...]
    more: int
    who: str
    at_ms: int


class ChallengeView(NamedTuple):
    """How the console's last challenge ended, in words."""

    sign: words.Sign
    detail: str
    ended_ms: int
    held_ms: int


class IntegrityView(NamedTuple):
    """The section, or the reason why it is empty."""

    sign: words.Sign
    challenge: ChallengeView | None
    facts: tuple[tuple[str, str], ...]
    scanned_ms: int
    roots: tuple[RootRow, ...]
    changes: tuple[ChangeRow, ...]
    runs: tuple[RunRow, ...]
    blind: tuple[Blind, ...]
    distrust: str
    summary: str
    tone: str
    word: str
    reason: str
    dated: str


def integrity_view(
    detail: AgentDetail,
    subject: Subject | None,
    events: Sequence[EventRow],
    now_ms: int,
    challenge: ChallengeView | None = None,
) -> IntegrityView:
    """Return what the agent said of its watch (`subject`), and of changes (`events` of kinds `integrity.…`, in any order)."""
    known, unread, example = read(subject.rows, Row) if subject else ({}, 0, "")
    sight = sight_of(detail.heartbeat.coverage, SUBJECT) if detail.heartbeat else None
    blind = sight.blind if sight else ()
    proven = current(detail.agent)
    book = known.get(BOOK)
    sign = _sign(book, bool(blind) or (sight is not None and sight.state != "seen"), proven) if known else UNKNOWN
    roots = tuple(_root(row, proven) for key, row in sorted(known.items()) if row.kind == "root")
    ordered = sorted(
        {row.number: row for row in events}.values(), key=lambda row: row.envelope.event.observed_ms, reverse=True
    )
    distrusted = [row for row in ordered if row.envelope.event.kind == UNTRUSTED]
    word, reason = why_empty(sight, subject, "changes of files")
    if known or unread:
        word, reason = "Not known", unread_words(unread, example) or "The agent has not said how the watch stands."
    scan = known.get("scan")
    return IntegrityView(
        sign=sign,
        challenge=challenge,
        facts=_facts(known, book) if book else (),
        scanned_ms=scan.scanned_ms if scan else 0,
        roots=roots,
        changes=tuple(_change(row) for row in ordered if row.envelope.event.kind not in _TELLING),
        runs=tuple(_run(row) for row in ordered if row.envelope.event.kind in (TRANSACTION, UNPROVED)),
        blind=blind,
        distrust=_distrust(distrusted),
        summary=_summary(book, roots),
        tone=_tone(sign if known or unread else None, distrusted, now_ms, challenge),
        word=word,
        reason=reason,
        dated=_dated(subject, unread_words(unread, example)) if known else "",
    )


def challenge_view(standing: Standing, every_s: float, now_ms: int) -> ChallengeView | None:
    """Return how the last challenge ended; None where none was ever asked. One that held long ago is not green."""
    if not standing.outcome:
        if not (standing.references or standing.asked):
            return None
        return ChallengeView(_NOT_CHECKED, standing.detail, 0, 0)
    sign = _CHALLENGES.get(standing.outcome, _NOT_CHECKED)
    if sign.tone == "good" and every_s and now_ms - standing.ended_ms > 3000 * every_s:
        sign = words.Sign("Held once", "late", "warn", "It is long ago that the host proved anything.")
    return ChallengeView(sign, standing.detail, standing.ended_ms, standing.held_ms)


def _sign(book: Row | None, is_blind: bool, proven: bool) -> words.Sign:
    if book is None:
        return UNKNOWN
    state = book.state.partition(" ")[0]
    if state in ("watching", "scanning"):
        sign = WATCHING if state == "watching" else SCANNING
        if is_blind or book.unwatched or book.flaws or book.detail:
            sign = PARTLY
    else:
        sign = STARTING if state == "starting" else UNKNOWN
    if proven or sign.tone == "warn":
        return sign
    return words.faded(sign)._replace(word="Was watching", meaning="It was so then; what is true now is not known.")


def _facts(rows: Mapping[str, Row], book: Row) -> tuple[tuple[str, str], ...]:
    roots = [row for row in rows.values() if row.kind == "root"]
    limit = f" of at most {book.limit:,}" if book.limit else ""
    missing = f", {book.unwatched:,} more could not be" if book.unwatched else ""
    facts = [
        (
            "Names",
            f"{sum(row.files for row in roots):,} in {words.plural(sum(row.folders for row in roots), 'folder')}",
        ),
        ("Watched at once", f"{words.plural(book.watches, 'folder')}{limit}{missing}"),
        ("Waiting to be accepted", words.plural(book.open, "change") if book.open else "none"),
        ("Baseline", f"{book.root[:16] or 'not made'} after {words.plural(book.position, 'writing')}"),
    ]
    scan = rows.get("scan")
    if scan is not None:
        seen = f"{scan.files:,} names in {words.duration(scan.seconds)}, {words.size(scan.read_bytes)} read"
        flaws = f", {scan.flaws:,} not looked at wholly" if scan.flaws else ""
        facts.append(("Last full scan", f"{seen}, {words.plural(scan.changes, 'change')}{flaws}"))
    else:
        facts.append(("Last full scan", "none has ended"))
    if book.state.startswith("scanning"):
        facts.append(("Now", book.state))
    if book.detail:
        facts.append(("Trouble", book.detail))
    return tuple(facts)


def _root(row: Row, proven: bool) -> RootRow:
    if row.flaws:
        sign = PARTLY._replace(word=f"{row.flaws:,} not wholly")
    elif row.state == "absent":
        sign = words.Sign("Not there", "unproven", "", "There was nothing at this path when it was looked at last.")
    elif row.scanned_ms:
        sign = words.Sign("Known", "up", "good", "Its baseline is made.")
    else:
        sign = STARTING._replace(word=row.state.capitalize() or "Not known")
    names = f"{row.files:,} in {words.plural(row.folders, 'folder')}"
    return RootRow(row.name, row.profile, sign if proven else words.faded(sign), names, row.scanned_ms, row.detail)


def _change(row: EventRow) -> ChangeRow:
    event = row.envelope.event
    lines = _list(event, "changes")
    accounted, package = _text(event, "accounted"), _text(event, "package")
    provenance = ": ".join(part for part in (package, accounted) if part)
    return ChangeRow(
        id=place_of(row),
        title=event.text or title(event.kind, event.key),
        sign=words.severity_sign(event.severity),
        at_ms=event.observed_ms,
        before=_list(event, "before"),
        after=_list(event, "after"),
        lines=lines[:MOST_LISTED],
        more=max(0, len(lines) - MOST_LISTED),
        meaning=_list(event, "meaning"),
        provenance=provenance,
        contradicts=event.fields.get("contradicts") is True,
        who=_author(event),
        found_by=_text(event, "found_by"),
        diff=event.evidence.get("diff", ""),
    )


def _run(row: EventRow) -> RunRow:
    event = row.envelope.event
    packages = _list(event, "packages")
    numbers = (
        ("proved", "shipped by signed packages"),
        ("products", "written by their scripts"),
        ("unproved", "by an unsigned list only"),
    )
    shares = [f"{event.fields[name]} {said}" for name, said in numbers if event.fields.get(name)]
    files = f"{_text(event, 'files') or 'no'} files" + (f" ({', '.join(shares)})" if shares else "")
    sign = words.Sign(
        "Accounted for", "up", "good", "Each file is what signed packages ship or what their scripts write."
    )
    if event.kind == UNPROVED:
        sign = words.Sign("Unproved", "degraded", "warn", "Some of it only a list that nobody signed accounts for.")
    return RunRow(
        id=place_of(row),
        what=_text(event, "what") or event.text or event.key,
        sign=sign,
        files=files,
        packages=packages[:MOST_LISTED],
        more=max(0, len(packages) - MOST_LISTED),
        who=", ".join(part for part in (_text(event, "who"), _text(event, "command")) if part),
        at_ms=event.observed_ms,
    )


def _author(event: Event) -> str:
    """Return who did it, or why that is not known; "" where the event says neither."""
    process, user, login = (_text(event, name) for name in ("process", "user", "login"))
    if not (process or user or login):
        unknown = _text(event, "author_unknown")
        return f"not known: {unknown}" if unknown else ""
    login = f" (logged in as {login})" if login and login != user else ""
    return f"{process or 'a process that is not known'} of {user or 'a user that is not known'}{login}"


def _distrust(rows: Sequence[EventRow]) -> str:
    if not rows:
        return ""
    event = rows[0].envelope.event
    detail = _text(event, "detail") or "the event does not say why"
    return (
        f"The baseline was not the one that was stated, {words.moment(event.observed_ms)}: {detail}. "
        "What it says of the time before proves nothing."
    )


def _tone(sign: words.Sign | None, distrusted: Sequence[EventRow], now_ms: int, challenge: ChallengeView | None) -> str:
    asked = challenge.sign.tone if challenge is not None else ""
    if asked == "bad" or (distrusted and now_ms - distrusted[0].envelope.event.observed_ms < RECENT_MS):
        return "bad"
    return "warn" if "warn" in (asked, sign.tone if sign is not None else "") else ""


def _summary(book: Row | None, roots: Sequence[RootRow]) -> str:
    if book is None:
        return ""
    waiting = f", {words.plural(book.open, 'change')} waiting to be accepted" if book.open else ""
    return f"{words.plural(len(roots), 'watched path')}{waiting}"


def _dated(subject: Subject | None, unread: str) -> str:
    said = f"Said at {words.moment(subject.at_ms)} by the server's clock." if subject else ""
    return " ".join(part for part in (said, unread) if part)


def _list(event: Event, name: str) -> tuple[str, ...]:
    value = event.fields.get(name)
    if isinstance(value, list):
        return tuple(str(each) for each in value)
    return () if value is None else (value_words(value),)


def _text(event: Event, name: str) -> str:
    value = event.fields.get(name)
    return "" if value is None else value_words(value)
