"""The listening ports of one server as its page shows them."""

from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import natural, read, unread_words
from console.web.sight_view import dated, sight_of, why_empty
from contracts.subjects.ports import SUBJECT, Listener

MAX_ROWS = 1000
"""More would make the page slow; the ones that matter most are shown, and the page says how many are not."""
SCOPES = {
    "loopback": "this server only",
    "link": "the local link",
    "host": "one address of this server",
    "any": "every address",
}
EXPECTED = {
    True: words.Sign("Expected", "up", "good", "ports.expected in the agent's configuration allows it."),
    False: words.Sign(
        "Not expected", "degraded", "bad", "ports.expected in the agent's configuration does not list it."
    ),
    None: words.Sign("No rule", "unproven", "", "No expectations are configured; list them under ports.expected."),
}


class PortRow(NamedTuple):
    """One listener, in words."""

    key: str
    name: str
    port: str
    address: str
    scope: str
    owner_known: bool
    process: str
    executable: str
    deleted: bool
    user: str
    place: str
    package: str
    expected: words.Sign


class PortsView(NamedTuple):
    """The table with its summary, or the reason why it is empty."""

    rows: tuple[PortRow, ...]
    summary: str
    word: str
    reason: str
    dated: str


def ports_view(detail: AgentDetail, subject: Subject | None) -> PortsView:
    """Return every listening port the agent reported, by number."""
    sight = sight_of(detail.coverage, SUBJECT)
    listeners, unread, example = read(subject.rows, Listener) if subject else ({}, 0, "")
    shown = sorted(listeners.items(), key=_interest)[:MAX_ROWS]
    ordered = sorted(shown, key=lambda item: _order(*item))
    word, reason = why_empty(sight, subject, "listening ports")
    notes = " ".join(part for part in (_cut(listeners), dated(sight, subject), unread_words(unread, example)) if part)
    if unread and not listeners:
        word, reason = "Not understood", unread_words(unread, example)
    return PortsView(tuple(_row(key, row) for key, row in ordered), _summary(listeners), word, reason, notes)


def _row(key: str, row: Listener) -> PortRow:
    address = f"[{row.address}]" if ":" in row.address else row.address
    scope = SCOPES.get(row.scope, row.scope)
    elsewhere = f"network namespace {row.netns}" if key.endswith(f"#{row.netns}") else ""
    details = [scope, f"on {row.interface}" if row.interface else "", _v6(row), _twins(row), elsewhere]
    process = f"{row.process} ({_pids(row.pids)})" if row.pids else row.process
    return PortRow(
        key=key,
        name=f"{row.protocol} {row.port} {row.process}".rstrip(),
        port=f"{row.port}/{row.protocol}",
        address=f"{address}:{row.port}",
        scope=", ".join(part for part in details if part),
        owner_known=row.owner_known,
        process=process,
        executable=row.executable,
        deleted=row.executable_deleted,
        user=row.user,
        place=row.container or row.unit,
        package=row.package,
        expected=EXPECTED[row.expected],
    )


def _order(key: str, row: Listener) -> tuple[int, str, int, tuple[tuple[int, int, str], ...]]:
    return row.port, row.protocol, row.family, natural(key)


def _interest(item: tuple[str, Listener]) -> tuple[bool, bool, int, str]:
    key, row = item
    return row.expected is True, row.scope == "loopback", row.port, key


def _cut(listeners: dict[str, Listener]) -> str:
    if len(listeners) <= MAX_ROWS:
        return ""
    return f"Only {MAX_ROWS:,} of {len(listeners):,} are shown, unexpected ones and ones beyond loopback first; the API has all."


def _summary(listeners: dict[str, Listener]) -> str:
    if not listeners:
        return ""
    reachable = sum(1 for row in listeners.values() if row.scope != "loopback")
    unseen = sum(1 for row in listeners.values() if not row.owner_known)
    parts = [f"{len(listeners)} in all", f"{reachable} bound beyond loopback"]
    if unseen:
        parts.append(f"{unseen} with an owner that was not seen")
    return ", ".join(parts)


def _v6(row: Listener) -> str:
    if row.family != 6 or row.scope != "any" or row.v6only is None:
        return ""
    return "IPv6 only" if row.v6only else "IPv4 too"


def _twins(row: Listener) -> str:
    return f"{row.sockets} sockets" if row.sockets > 1 else ""


def _pids(pids: tuple[int, ...]) -> str:
    shown = ", ".join(str(pid) for pid in pids[:3])
    return f"{shown} and {len(pids) - 3} more" if len(pids) > 3 else shown
