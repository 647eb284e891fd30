"""Makes events of what the journal holds: one a change, or one that lists many where many came at once."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from analysis.integrity.windows import window_at
from analysis.integrity.wording import before_and_after, common_folder, line, text_diff
from collectors.integrity import kinds
from contracts import file_change as words
from contracts.event import Event, Kind, Severity
from contracts.file_change import Change
from contracts.maintenance import Window
from contracts.open_change import Statement
from contracts.text import escape

if TYPE_CHECKING:
    from collectors.integrity.explaining import Note

LISTED = 500
"""Changes in one event that lists them."""
LISTED_CHARS = 64_000
ALWAYS_SINGLE = 100
"""So many changes that stand out by themselves stay events of their own among many."""
KEY_CHARS = 1000
SECRET = frozenset({b"/etc/shadow", b"/etc/gshadow"})
"""Whose lines are never shown, though what came and went in them is known."""

_BY_WORD: dict[str, Kind] = {
    words.SETUID: kinds.SETUID,
    words.CAPABILITIES: kinds.CAPABILITIES,
    words.TIMESTOMPED: kinds.TIMESTOMPED,
    words.TYPE: kinds.TYPE,
    words.CREATED: kinds.CREATED,
    words.DELETED: kinds.DELETED,
    words.MODIFIED: kinds.MODIFIED,
    words.RENAMED: kinds.RENAMED,
    words.TARGET: kinds.TARGET,
    words.OWNER: kinds.OWNER,
    words.MODE: kinds.PERMISSIONS,
    words.ATTRIBUTES: kinds.ATTRIBUTES,
    words.UNKNOWN: kinds.UNKNOWN,
    words.KNOWN: kinds.KNOWN,
}
_STANDING_OUT = frozenset({words.SETUID, words.CAPABILITIES, words.TIMESTOMPED})
_STATED = {kind.name: kind for kind in kinds.COLLECTED}


Notes = Mapping[int, "Note"]
"""What is known of a change besides, by `id` of it."""


def events(
    changes: Sequence[Change], single: int, notes: Notes | None = None, windows: Sequence[Window] = ()
) -> Iterator[Event]:
    """Yield what is to be said of changes that came together: up to `single` of them one by one, more as lists.

    `windows` are declared times of maintenance; what changed in one is told with its name.
    """
    known = notes or {}
    if len(changes) <= single:
        yield from (event(change, known.get(id(change)), windows) for change in changes)
        return
    outstanding = [change for change in changes if _stands_out(change, known.get(id(change)))][:ALWAYS_SINGLE]
    yield from (event(change, known.get(id(change)), windows) for change in outstanding)
    apart = {id(change) for change in outstanding}
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        if id(change) not in apart:
            groups.setdefault((change.profile, change.found_by), []).append(change)
    for group in groups.values():
        if len(group) <= single:
            yield from (event(change, known.get(id(change)), windows) for change in group)
        else:
            yield from _lists(group)


def _stands_out(change: Change, note: "Note | None") -> bool:
    return bool(_STANDING_OUT & set(change.kinds)) or (note is not None and note.severity >= Severity.HIGH)


def event(change: Change, note: "Note | None" = None, windows: Sequence[Window] = ()) -> Event:
    """Return the event of one change: its kind is that of its most telling word."""
    kind = next(kind for word, kind in _BY_WORD.items() if word in change.kinds)
    before, after = before_and_after(change)
    diff = note.diff if note is not None else _lines_that_differ(change)
    author = change.author
    fields: dict[str, Any] = {
        "path": escape(change.path),
        "former": escape(change.former) or None,
        "profile": change.profile,
        "words": list(change.kinds),
        "before": before,
        "after": after,
        "found_by": change.found_by,
        "process": author.process or None,
        "command": author.command or None,
        "user": author.user or None,
        "login": author.login or None,
        "author_unknown": author.unknown or None,
        "maintenance": _window(change.at_ms, windows),
    }
    if note is not None:
        provenance = note.provenance
        fields |= {
            "package": provenance.package or None,
            "accounted": provenance.basis or None,
            "contradicts": provenance.contradicts or None,
            "meaning": [one.text for one in note.sentences] or None,
            "techniques": list(note.attack) or None,
        }
    severity = max(kind.severity, note.severity) if note is not None else kind.severity
    evidence = {"diff": diff} if diff else None
    return kind.event(key(change.path), evidence=evidence, severity=severity, observed_ms=change.at_ms, **fields)


def _lines_that_differ(change: Change) -> str:
    return text_diff(change.old, change.new) if change.path not in SECRET else ""


def _window(at_ms: int, windows: Sequence[Window]) -> str | None:
    if not windows:
        return None
    local = time.localtime(at_ms / 1000)
    found = window_at(windows, local.tm_wday, local.tm_hour * 60 + local.tm_min)
    return (found.why or f"{found.begin} to {found.end}") if found is not None else None


def statement(value: Statement) -> Event:
    """Return the event of a fact that is not about one file."""
    fields: dict[str, Any] = value.fields
    return _STATED[value.kind].event(value.key[:KEY_CHARS], observed_ms=value.at_ms, **fields)


def key(path: bytes) -> str:
    """Return a path as the key of an event: whole, or with a digest in place of its end where it is longer than a key may be."""
    text = escape(path)
    return text if len(text) <= KEY_CHARS else f"{text[: KEY_CHARS - 20]}…{sha256(path).hexdigest()[:16]}"


def _lists(changes: Sequence[Change]) -> Iterator[Event]:
    part, size = 1, 0
    lines: list[str] = []
    held: list[Change] = []
    for change in changes:
        text = line(change)
        if lines and (len(lines) >= LISTED or size + len(text) > LISTED_CHARS):
            yield _list(held, lines, part)
            part, lines, held, size = part + 1, [], [], 0
        lines.append(text)
        held.append(change)
        size += len(text)
    if lines:
        yield _list(held, lines, part)


def _list(changes: Sequence[Change], lines: Iterable[str], part: int) -> Event:
    folder = common_folder([change.path for change in changes])
    return kinds.MANY.event(
        key(folder),
        folder=escape(folder),
        profile=changes[0].profile,
        count=len(changes),
        changes=list(lines),
        part=part,
        found_by=changes[0].found_by,
        observed_ms=changes[-1].at_ms,
    )
