"""Who can reach what on one server, as its page shows it: the picture, and a table of listeners by vantages."""

from collections.abc import Iterable
from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import natural, read, unread_words
from console.web.sight_view import current, dated, sight_of, why_empty
from contracts.coverage import Sight
from contracts.exposure_picture import flows, vantage_order, who
from contracts.subjects import datapath, ports
from contracts.subjects.exposure import SUBJECT, Exposure

MAX_ROWS = 300
"""More listeners would make the page slow; those that can be reached are shown first."""
SIGNS = {
    "reachable": words.Sign(
        "Reachable", "reach", "", "The first packet gets there and the answer gets out, by the rules as they are."
    ),
    "blocked": words.Sign(
        "Blocked", "lock", "good", "The connection is refused or never arrives, by the rules as they are."
    ),
    "uncertain": words.Sign(
        "Uncertain", "unproven", "warn", "It depends on something that cannot be known beforehand."
    ),
}
DOUBTED = words.Sign("Reachable so far", "degraded", "warn", "It was reachable; whether it still is cannot be decided.")
PAST = words.Sign(
    "Past the firewall", "degraded", "bad", "It is forwarded past a front end whose rules would have refused it."
)
_ORDER = ("reachable", "uncertain", "blocked")


class FlowView(NamedTuple):
    """One line of the picture: who, how it is decided, what is behind it."""

    key: str
    who: str
    sign: words.Sign
    through: str
    what: tuple[str, ...]
    more: int


class PartView(NamedTuple):
    """What holds for one vantage and one listener, in all or some of its families."""

    sign: words.Sign
    families: str
    place: str
    rule: str
    sent: str
    exceptions: tuple[str, ...]
    unknown: str
    past: str


class CellView(NamedTuple):
    """One listener seen from one vantage; without parts it is not met there."""

    vantage: str
    parts: tuple[PartView, ...]


class ListenerView(NamedTuple):
    """One listener or published port with a cell for each vantage."""

    key: str
    name: str
    port: str
    process: str
    addresses: str
    cells: tuple[CellView, ...]


class ExposureView(NamedTuple):
    """The section, or the reason why it is empty."""

    vantages: tuple[str, ...]
    flows: tuple[FlowView, ...]
    rows: tuple[ListenerView, ...]
    summary: str
    tone: str
    word: str
    reason: str
    dated: str


def exposure_view(detail: AgentDetail, subject: Subject | None) -> ExposureView:
    """Return who can reach what, as the agent concluded last."""
    found, unread, example = read(subject.rows, Exposure) if subject else ({}, 0, "")
    sight = _sight(detail, subject)
    word, reason = why_empty(sight, subject, "listeners or published ports")
    if unread and not found:
        word, reason = "Not understood", unread_words(unread, example)
    vantages = tuple(sorted({who(row) for row in found.values()}, key=vantage_order))
    grouped = _grouped(found.values())
    proven = current(detail.agent)
    notes = (_cut(len(grouped)), dated(sight, subject), unread_words(unread, example))
    return ExposureView(
        vantages=vantages,
        flows=tuple(_flows(row for row in found.values() if row.interface and row.verdict != "blocked")),
        rows=tuple(_listener(rows, vantages, proven) for rows in grouped[:MAX_ROWS]),
        summary=_summary(found.values()),
        tone="bad" if any(row.bypasses for row in found.values()) else "",
        word=word,
        reason=reason,
        dated=" ".join(note for note in notes if note),
    )


def _sight(detail: AgentDetail, subject: Subject | None) -> Sight | None:
    """Return the worst sight of what exposure is concluded from: it is as blind as they are."""
    known = [sight for name in (SUBJECT, datapath.SUBJECT, ports.SUBJECT) if (sight := sight_of(detail.coverage, name))]
    ranked = sorted(known, key=lambda sight: ("unseen", "partial", "unknown", "seen").index(sight.state))
    if ranked:
        return ranked[0]
    return Sight(subject=SUBJECT, state="seen") if subject is not None else None


def _grouped(rows: Iterable[Exposure]) -> list[list[Exposure]]:
    """Return the rows by listener, those that can be reached first."""
    groups: dict[tuple[str, int, str, str], list[Exposure]] = {}
    for row in rows:
        groups.setdefault((row.protocol, row.port, row.process, row.listener), []).append(row)
    return sorted(
        groups.values(), key=lambda group: (_weight(group), group[0].port, group[0].protocol, group[0].listener)
    )


def _weight(group: Iterable[Exposure]) -> int:
    return (
        min(_ORDER.index(_verdict(row)) for row in group if row.interface) if any(row.interface for row in group) else 2
    )


def _verdict(row: Exposure) -> str:
    return row.verdict if row.verdict in _ORDER else "uncertain"


def _listener(rows: list[Exposure], vantages: tuple[str, ...], proven: bool) -> ListenerView:
    row = rows[0]
    addresses = sorted({each.address for each in rows}, key=natural)
    shown = ", ".join(addresses[:4]) + (f" and {len(addresses) - 4} more" if len(addresses) > 4 else "")
    return ListenerView(
        key=f"{row.protocol} {row.port} {row.listener}",
        name=f"{row.port}/{row.protocol} {row.process}".rstrip(),
        port=f"{row.port}/{row.protocol}",
        process=row.process or ("published" if any(each.delivered for each in rows) else "not known"),
        addresses=shown,
        cells=tuple(
            CellView(vantage, _parts([each for each in rows if who(each) == vantage], proven)) for vantage in vantages
        ),
    )


def _parts(rows: list[Exposure], proven: bool) -> tuple[PartView, ...]:
    """Return what holds, once for all addresses and families for which the same holds."""
    same: dict[PartView, set[int]] = {}
    for row in rows:
        same.setdefault(_part(row, proven), set()).add(row.family)
    families = {row.family for row in rows}
    return tuple(
        part._replace(families=" and ".join(f"IPv{family}" for family in sorted(mine)) if mine != families else "")
        for part, mine in sorted(same.items(), key=lambda item: (min(item[1]), item[0].sign.word, item[0].place))
    )


def _part(row: Exposure, proven: bool) -> PartView:
    verdict = _verdict(row)
    sign = DOUBTED if verdict == "reachable" and row.unknown else SIGNS[verdict]
    if row.bypasses:
        sign = PAST._replace(word=f"Past {row.bypasses}")
    handle = f" handle {row.handle}" if row.handle else ""
    return PartView(
        sign=sign if proven else words.faded(sign),
        families="",
        place=f"{row.chain}{handle}" if row.chain else "",
        rule=row.why,
        sent=row.delivered,
        exceptions=row.except_for,
        unknown=", ".join(row.unknown),
        past=row.bypasses,
    )


def _flows(rows: Iterable[Exposure]) -> Iterable[FlowView]:
    for flow in flows(rows):
        is_past = "(past " in flow.through
        sign = PAST if is_past else SIGNS[flow.verdict]
        key = f"{flow.verdict} {flow.who} {flow.through}"
        yield FlowView(key, flow.who, sign, flow.through, flow.what[:24], len(flow.what[24:]))


def _summary(rows: Iterable[Exposure]) -> str:
    """Return one sentence: of how many listeners, how many are reachable from where."""
    met = [row for row in rows if row.interface]
    if not met:
        return ""
    places = {(row.protocol, row.port, row.listener) for row in met}
    parts = []
    for vantage in sorted({who(row) for row in met}, key=vantage_order)[:3]:
        open_ = {
            (row.protocol, row.port, row.listener) for row in met if who(row) == vantage and row.verdict == "reachable"
        }
        parts.append(f"{len(open_) or 'none'} from {vantage}")
    past = {(row.protocol, row.port) for row in met if row.bypasses}
    if past:
        parts.append(f"{len(past)} past {', '.join(sorted({row.bypasses for row in met if row.bypasses}))}")
    return f"of {words.plural(len(places), 'listener')} reachable: {', '.join(parts)}"


def _cut(count: int) -> str:
    return (
        f"Only {MAX_ROWS} of {count:,} listeners are shown, those that can be reached first; the API has all."
        if count > MAX_ROWS
        else ""
    )
