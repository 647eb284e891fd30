"""The firewall of one server as its pages show it: the summary, and the rules as tables, chains and rules in the kernel's order."""

from collections import defaultdict
from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import natural, read, unread_words
from console.web.sight_view import current, dated, sight_of, why_empty
from contracts.coverage import Blind
from contracts.subjects.firewall import SUBJECT, SUMMARY, Row, Summary, statement

MAX_RULES = 5000
FILTERING = {
    "closed": words.Sign("Closed", "lock", "good", "What no rule names is dropped or rejected."),
    "partial": words.Sign("Partly open", "degraded", "warn", "Some rules refuse something; the rest is let in."),
    "open": words.Sign("Open", "down", "bad", "Nothing refuses anything."),
}
UNKNOWN = words.Sign("Not known", "unproven", "", "This console does not know the answer's meaning.")
NO_IPV6 = words.Sign("No IPv6", "silenced", "", "This server does not speak IPv6.")
POLICIES = {
    "drop": words.Sign("policy drop", "lock", "good", "What reaches the end of this chain is dropped."),
    "reject": words.Sign("policy reject", "lock", "good", "What reaches the end of this chain is rejected."),
    "accept": words.Sign("policy accept", "down", "warn", "What reaches the end of this chain is let through."),
}


class FirewallView(NamedTuple):
    """What is said of the firewall as a whole. `known` when rows have arrived; else `word` and `reason` say why not."""

    known: bool
    summary: Summary | None
    backend: str
    sign4: words.Sign
    sign6: words.Sign
    word: str
    reason: str
    dated: str
    blind: tuple[Blind, ...]


class RuleView(NamedTuple):
    """One rule as its own tool writes it."""

    key: str
    text: str


class ChainView(NamedTuple):
    """One chain with its rules in the kernel's order."""

    key: str
    name: str
    hook: str
    priority: int | None
    policy: str
    sign: words.Sign
    rules: tuple[RuleView, ...]


class OtherView(NamedTuple):
    """A set or another object of a table."""

    key: str
    what: str
    name: str
    type: str
    elements: int | None
    text: str


class TableView(NamedTuple):
    """One table: base chains first, then the chains they call, then sets and objects."""

    family: str
    name: str
    source: str
    maker: str
    flags: str
    chains: tuple[ChainView, ...]
    others: tuple[OtherView, ...]


def firewall_view(detail: AgentDetail, subject: Subject | None) -> FirewallView:
    """Return the summary of the firewall, or why there is none."""
    sight = sight_of(detail.coverage, SUBJECT)
    raw = {SUMMARY: subject.rows[SUMMARY]} if subject and SUMMARY in subject.rows else {}
    rows, unread, example = read(raw, Row)
    summary = rows[SUMMARY].summary if rows else None
    word, reason = why_empty(sight, subject, "firewall rules")
    if unread:
        word, reason = "Not understood", unread_words(unread, example)
    return FirewallView(
        known=subject is not None and (summary is not None or bool(subject.rows)),
        summary=summary,
        backend=backend_words(summary),
        sign4=_proven(detail, FILTERING.get(summary.filtering4, UNKNOWN) if summary else UNKNOWN),
        sign6=_proven(detail, _sign6(summary)),
        word=word,
        reason=reason,
        dated=dated(sight, subject),
        blind=sight.blind if sight else (),
    )


def backend_words(summary: Summary | None) -> str:
    """Return the backends that hold rules, "none: nothing is filtered" when a look found none."""
    if summary is None:
        return "not known"
    return ", ".join(summary.backends) or "none holds a rule"


def ruleset(subject: Subject, max_rules: int = MAX_RULES) -> tuple[tuple[TableView, ...], int, int, str]:
    """Return the tables, how many rules they show, how many there are, and a sentence about rows not understood."""
    rows, unread, example = read(subject.rows, Row)
    parts: dict[tuple[str, str], list[tuple[str, Row]]] = defaultdict(list)
    rules: dict[tuple[str, str, str], list[tuple[str, Row]]] = defaultdict(list)
    total = 0
    for key, row in rows.items():
        if row.what == "rule":
            total += 1
            rules[row.family, row.table, row.name].append((key, row))
        elif row.what != "summary":
            parts[row.family, row.name if row.what == "table" else row.table].append((key, row))
    for family, table, _ in rules:
        parts.setdefault((family, table), [])
    left = max_rules
    tables = []
    for family, name in sorted(parts):
        view, left = _table(family, name, parts[family, name], rules, left)
        tables.append(view)
    return tuple(tables), min(total, max_rules - left), total, unread_words(unread, example)


def _table(
    family: str,
    name: str,
    members: list[tuple[str, Row]],
    rules: dict[tuple[str, str, str], list[tuple[str, Row]]],
    left: int,
) -> tuple[TableView, int]:
    own = next((row for _, row in members if row.what == "table"), None)
    stated = {row.name: (key, row) for key, row in members if row.what == "chain"}
    # A rule whose chain row has not arrived is still shown, under a chain without a hook.
    for rule_family, table, chain in rules:
        if (rule_family, table) == (family, name) and chain not in stated:
            stated[chain] = (f"chain {family} {name} {chain}", Row(what="chain", family=family, table=name, name=chain))
    chains = []
    for key, row in sorted(stated.values(), key=lambda item: (not item[1].hook, item[1].hook, item[1].name)):
        ordered = sorted(rules.get((family, name, row.name), ()), key=lambda item: (item[1].rank, natural(item[0])))
        shown = tuple(RuleView(rule_key, statement(rule)) for rule_key, rule in ordered[:left])
        left -= len(shown)
        sign = POLICIES.get(row.policy, UNKNOWN)
        chains.append(ChainView(key, row.name, row.hook, row.priority, row.policy, sign, shown))
    others = tuple(
        OtherView(key, row.what, row.name, row.type, row.elements, row.text)
        for key, row in sorted(members, key=lambda item: natural(item[0]))
        if row.what not in ("table", "chain")
    )
    source = own.source if own else (chains and next(iter(stated.values()))[1].source) or ""
    flags = own.text if own else ""
    return TableView(family, name, source, own.maker if own else "", flags, tuple(chains), others), left


def _proven(detail: AgentDetail, sign: words.Sign) -> words.Sign:
    return sign if current(detail.agent) else words.faded(sign)


def _sign6(summary: Summary | None) -> words.Sign:
    if summary is None:
        return UNKNOWN
    return FILTERING.get(summary.filtering6, UNKNOWN) if summary.ipv6 else NO_IPV6
