"""Whether one server keeps to its declared policy, as its page shows it: the services declared, and each disagreement with reality."""

from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import read, unread_words
from console.web.sight_view import current, dated, sight_of, why_empty
from contracts.coverage import Blind, Sight
from contracts.subjects.policy import KEY, Declared
from contracts.subjects.policy_drift import CLOSED, OPEN, SUBJECT, UNDECIDED, Drift

MAX_ROWS = 100
KEPT = words.Sign(
    "Kept", "lock", "good", "What can be reached is what the policy declares, from everywhere it was judged."
)
SIGNS = {
    OPEN: words.Sign("Not declared", "reach", "bad", "It can be reached, and the policy does not declare it."),
    CLOSED: words.Sign("Not reachable", "lock", "warn", "The policy declares it, and a rule keeps others from it."),
    UNDECIDED: words.Sign("Uncertain", "unproven", "warn", "Whether it can be reached cannot be decided."),
}
_MOST_PORTS = 12


class DriftView(NamedTuple):
    """One disagreement in words."""

    key: str
    sign: words.Sign
    what: str
    vantage: str
    address: str
    rule: str
    place: str
    unknown: str
    since_ms: int


class PolicyView(NamedTuple):
    """The section, or the reason why it is empty. `kept` is the sign of a policy that holds."""

    summary: str
    tone: str
    kept: words.Sign | None
    rows: tuple[DriftView, ...]
    more: int
    blind: tuple[Blind, ...]
    word: str
    reason: str
    dated: str


def policy_view(detail: AgentDetail, declared: Subject | None, drift: Subject | None) -> PolicyView:
    """Return what is declared and how reality differs, as the agent concluded last; `declared` and `drift` are its two subjects."""
    policies, _, _ = read(declared.rows, Declared) if declared else ({}, 0, "")
    found, unread, example = read(drift.rows, Drift) if drift else ({}, 0, "")
    sight = sight_of(detail.coverage, SUBJECT)
    policy = policies.get(KEY)
    word, reason = _why_empty(sight, drift, policy is not None)
    if unread and not found:
        word, reason = "Not understood", unread_words(unread, example)
    proven = current(detail.agent)
    holds = policy is not None and not found and not unread and sight is not None and sight.state in ("seen", "partial")
    rows = sorted(found.items(), key=lambda item: (list(SIGNS).index(_change(item[1])), item[0]))
    return PolicyView(
        summary=_summary(policy, len(found)),
        tone="bad" if any(_change(row) == OPEN for row in found.values()) else "warn" if found else "",
        kept=(KEPT if proven else words.faded(KEPT)) if holds else None,
        rows=tuple(_row(key, row, proven) for key, row in rows[:MAX_ROWS]),
        more=len(rows[MAX_ROWS:]),
        blind=sight.blind if sight else (),
        word=word,
        reason=reason,
        dated=" ".join(filter(None, (dated(sight, drift), unread_words(unread, example)))),
    )


def _why_empty(sight: Sight | None, drift: Subject | None, is_declared: bool) -> tuple[str, str]:
    if is_declared or sight is None:
        return why_empty(sight, drift, "differences between policy and reality")
    text = "Declare who may reach this server under firewall.policy in the agent's configuration; what differs is shown here then."
    return "No policy declared", text


def _change(row: Drift) -> str:
    return row.difference.change if row.difference.change in SIGNS else UNDECIDED


def _summary(policy: Declared | None, differences: int) -> str:
    if policy is None:
        return ""
    names = list(policy.policy.services)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    use = "" if policy.policy.enforce else ", only compared"
    count = f"; {words.plural(differences, 'difference')}" if differences else ""
    return f"declared: {shown}{use}{count}"


def _row(key: str, row: Drift, proven: bool) -> DriftView:
    each, sign = row.difference, SIGNS[_change(row)]
    ports = [str(port) for port in each.ports[:_MOST_PORTS]]
    if len(each.ports) > _MOST_PORTS:
        ports.append(f"{len(each.ports) - _MOST_PORTS} more")
    services = f" ({', '.join(each.services)})" if each.services else ""
    named = ", ".join([*ports, *(["every other port"] if each.others else [])])
    return DriftView(
        key=key,
        sign=sign if proven else words.faded(sign),
        what=f"{each.protocol} {named}{services}",
        vantage=each.vantage,
        address=f"{each.address} (IPv{each.family})",
        rule=each.why,
        place=each.chain,
        unknown=", ".join(each.unknown),
        since_ms=row.since_ms,
    )
