"""What happened to the firewall between two looks, as events."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from collectors.firewall.ruleset import UNREAD
from contracts.event import Event, FieldType, Kind, Severity
from contracts.snapshot import Changes
from contracts.subjects.firewall import SUMMARY, Row, Summary, statement

_DISABLED = ("T1562.004",)
_CHANGE_CLASS = 5019
_TEXT_LIMIT = 2000
_EVIDENCE_LINES = 40

_RULE: Mapping[str, FieldType] = {"table": "str", "chain": "str", "rule": "str", "position": "int", "maker": "str"}
_CHAIN: Mapping[str, FieldType] = {"table": "str", "chain": "str", "hook": "str", "policy": "str", "maker": "str"}
_COUNTS: Mapping[str, FieldType] = {"table": "str", "added": "int", "removed": "int", "remaining": "int"}

FIRST_LOOK = Kind(
    name="firewall.first_look",
    meaning="The firewall was looked at for the first time.",
    title="Firewall: {backends}, {rules} rules, input {policy4} (IPv4) and {policy6} (IPv6)",
    severity=Severity.INFORMATIONAL,
    fields={"backends": "list", "makers": "list", "rules": "int", "policy4": "str", "policy6": "str"},
    ocsf_class=_CHANGE_CLASS,
)
BACKEND_CHANGED = Kind(
    name="firewall.backend_changed",
    meaning="Rules are held by other kernel interfaces than before (nftables, iptables-nft, iptables-legacy).",
    title="Firewall backends are now {backends}, were {former_backends}",
    severity=Severity.MEDIUM,
    fields={"backends": "list", "former_backends": "list"},
    attack=_DISABLED,
    advice="Check that no two tools manage the firewall at once.",
    ocsf_class=_CHANGE_CLASS,
)
RULESET_FLUSHED = Kind(
    name="firewall.ruleset_flushed",
    meaning="All rules of the firewall, or of one table, were removed.",
    title="Firewall flushed: {removed} rules gone from {table}",
    severity=Severity.CRITICAL,
    fields=_COUNTS,
    attack=_DISABLED,
    advice="Load the ruleset again (nft -f, ufw reload, firewall-cmd --reload) and find out who flushed it.",
    ocsf_class=_CHANGE_CLASS,
)
RULESET_REPLACED = Kind(
    name="firewall.ruleset_replaced",
    meaning="Many rules changed at once.",
    title="Firewall rules changed: {added} added, {removed} removed",
    severity=Severity.MEDIUM,
    fields=_COUNTS,
    attack=_DISABLED,
    advice="Compare with `holdfast firewall diff`.",
    ocsf_class=_CHANGE_CLASS,
)
POLICY_OPENED = Kind(
    name="firewall.policy_opened",
    meaning="The default policy of a filtering base chain turned from drop to accept.",
    title="Firewall policy of {table} {chain} turned to accept",
    severity=Severity.HIGH,
    fields=_CHAIN,
    attack=_DISABLED,
    advice="Set the policy back to drop unless this was meant.",
    ocsf_class=_CHANGE_CLASS,
)
POLICY_CLOSED = Kind(
    name="firewall.policy_closed",
    meaning="The default policy of a filtering base chain turned from accept to drop.",
    title="Firewall policy of {table} {chain} turned to drop",
    severity=Severity.INFORMATIONAL,
    fields=_CHAIN,
    ocsf_class=_CHANGE_CLASS,
)
RULE_ADDED = Kind(
    name="firewall.rule_added",
    meaning="A rule was added.",
    title="Firewall rule added to {table} {chain}: {rule}",
    severity=Severity.MEDIUM,
    fields=_RULE,
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
RULE_REMOVED = Kind(
    name="firewall.rule_removed",
    meaning="A rule was removed.",
    title="Firewall rule removed from {table} {chain}: {rule}",
    severity=Severity.MEDIUM,
    fields=_RULE,
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
RULES_REORDERED = Kind(
    name="firewall.rules_reordered",
    meaning="The rules of a chain stand in another order than before, or differ in what only one of two tools states.",
    title="Firewall rules of {table} {chain} reordered",
    severity=Severity.MEDIUM,
    fields={"table": "str", "chain": "str", "maker": "str"},
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
CHAIN_ADDED = Kind(
    name="firewall.chain_added",
    meaning="A chain was added.",
    title="Firewall chain {table} {chain} added",
    severity=Severity.LOW,
    fields=_CHAIN,
    ocsf_class=_CHANGE_CLASS,
)
CHAIN_REMOVED = Kind(
    name="firewall.chain_removed",
    meaning="A chain was removed.",
    title="Firewall chain {table} {chain} removed",
    severity=Severity.MEDIUM,
    fields=_CHAIN,
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
CHAIN_CHANGED = Kind(
    name="firewall.chain_changed",
    meaning="A chain's type, hook, priority or device changed.",
    title="Firewall chain {table} {chain} changed",
    severity=Severity.MEDIUM,
    fields=_CHAIN,
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
CHAIN_EMPTIED = Kind(
    name="firewall.chain_emptied",
    meaning="A base chain lost all its rules; its policy alone decides from now on.",
    title="Firewall chain {table} {chain} lost all its rules; its policy is {policy}",
    severity=Severity.HIGH,
    fields=_CHAIN,
    attack=_DISABLED,
    advice="Load the ruleset again and find out who flushed the chain.",
    ocsf_class=_CHANGE_CLASS,
)
TABLE_CHANGED = Kind(
    name="firewall.table_changed",
    meaning="A table was added or removed, or its flags changed (a dormant table filters nothing).",
    title="Firewall table {table}: {change}",
    severity=Severity.LOW,
    fields={"table": "str", "change": "str", "flags": "str"},
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)
SET_CHANGED = Kind(
    name="firewall.set_changed",
    meaning="A named set, map or object was added, removed or defined anew, or the elements of a fixed set changed.",
    title="Firewall {sort} {table} {name}: {change}",
    severity=Severity.LOW,
    fields={"table": "str", "name": "str", "sort": "str", "change": "str", "elements": "int"},
    attack=_DISABLED,
    ocsf_class=_CHANGE_CLASS,
)

KINDS = (
    FIRST_LOOK,
    BACKEND_CHANGED,
    RULESET_FLUSHED,
    RULESET_REPLACED,
    POLICY_OPENED,
    POLICY_CLOSED,
    RULE_ADDED,
    RULE_REMOVED,
    RULES_REORDERED,
    CHAIN_ADDED,
    CHAIN_REMOVED,
    CHAIN_CHANGED,
    CHAIN_EMPTIED,
    TABLE_CHANGED,
    SET_CHANGED,
)


def first(rows: Mapping[str, Row]) -> tuple[Event, ...]:
    """Return the one event of the very first look: what there is."""
    now = _summary(rows)
    return (
        FIRST_LOOK.event(
            SUMMARY,
            backends=list(now.backends) or ["no backend holds rules"],
            makers=list(now.makers),
            rules=now.rules,
            policy4=now.policy4,
            policy6=now.policy6,
        ),
    )


def happened(
    before: Mapping[str, Row], after: Mapping[str, Row], changes: Changes[Row], max_rules: int
) -> tuple[Event, ...]:
    """Return what turns `before` into `after`; more than `max_rules` rules at once become one event."""
    if not changes:
        return ()
    added = [name for name, row in changes.put.items() if row.what == "rule" and name not in before]
    removed = [name for name in changes.removed if before[name].what == "rule"]
    flushed = _flushed(before, after, removed)
    events = [*_backends(_summary(before), _summary(after)), *flushed]
    gone = {event.key for event in flushed}
    whole = SUMMARY in gone
    if not whole:
        kept = [name for name in removed if _table_of(before[name]) not in gone]
        events += _rules(before, after, added, kept, max_rules)
        events += _reordered(
            before, after, {_chain_of(after[name]) for name in added} | {_chain_of(before[name]) for name in removed}
        )
    names = [*changes.put, *changes.removed]
    for name in names:
        old, new = before.get(name), after.get(name)
        what = (new or old or Row(what="")).what
        if what == "chain":
            events += _chain(name, old, new, quiet=whole)
            if old is not None and new is not None and not gone & {SUMMARY, _table_of(new)}:
                events += _emptied(name, old, new)
        elif what in ("table", "set", "object") and not whole:
            events += _part(name, old, new)
    return tuple(events)


def _summary(rows: Mapping[str, Row]) -> Summary:
    row = rows.get(SUMMARY)
    return row.summary if row is not None and row.summary is not None else Summary()


def _backends(old: Summary, new: Summary) -> Iterable[Event]:
    if old.backends != new.backends and new.backends and old.backends:
        yield BACKEND_CHANGED.event(SUMMARY, backends=list(new.backends), former_backends=list(old.backends))


def _flushed(before: Mapping[str, Row], after: Mapping[str, Row], removed: list[str]) -> list[Event]:
    """Return one event for the whole ruleset, or one for each table with a base chain, that lost every rule."""
    if not removed:
        return []
    if not any(row.what == "rule" for row in after.values()):
        evidence = {"rules": _text(before, removed)}
        return [
            RULESET_FLUSHED.event(
                SUMMARY, evidence=evidence, table="the whole ruleset", added=0, removed=len(removed), remaining=0
            )
        ]
    lost = Counter(_table_of(before[name]) for name in removed)
    remaining = Counter(_table_of(row) for row in after.values() if row.what == "rule")
    filters = {_table_of(row) for row in before.values() if row.what == "chain" and row.type == "filter" and row.hook}
    return [
        RULESET_FLUSHED.event(
            table,
            evidence={"rules": _text(before, [name for name in removed if _table_of(before[name]) == table])},
            table=table,
            added=0,
            removed=count,
            remaining=sum(remaining.values()),
        )
        for table, count in sorted(lost.items())
        if not remaining[table] and table in filters
    ]


def _rules(
    before: Mapping[str, Row], after: Mapping[str, Row], added: list[str], removed: list[str], limit: int
) -> list[Event]:
    if len(added) + len(removed) > limit:
        remaining = sum(row.what == "rule" for row in after.values())
        tables = sorted({_table_of(after[name]) for name in added} | {_table_of(before[name]) for name in removed})
        evidence = {"added": _text(after, added), "removed": _text(before, removed)}
        table = tables[0] if len(tables) == 1 else f"{len(tables)} tables"
        return [
            RULESET_REPLACED.event(
                SUMMARY, evidence=evidence, table=table, added=len(added), removed=len(removed), remaining=remaining
            )
        ]
    events = []
    for kind, names, rows in ((RULE_ADDED, added, after), (RULE_REMOVED, removed, before)):
        places = _positions(rows, {_chain_of(rows[name]) for name in names})
        for name in names:
            row = rows[name]
            words: dict[str, Any] = {
                "table": _table_of(row),
                "chain": row.name,
                "rule": statement(row)[:_TEXT_LIMIT],
                "maker": row.maker,
            }
            events.append(kind.event(name, position=places[name], **words))
    return events


def _positions(rows: Mapping[str, Row], chains: set[tuple[str, str, str]]) -> dict[str, int]:
    """Return the place of every rule of `chains`, from 1."""
    if not chains:
        return {}
    mine = sorted(
        (_chain_of(row), row.rank, name)
        for name, row in rows.items()
        if row.what == "rule" and _chain_of(row) in chains
    )
    return {
        name: place
        for _, group in groupby(mine, key=lambda entry: entry[0])
        for place, (_, _, name) in enumerate(group, start=1)
    }


def _reordered(
    before: Mapping[str, Row], after: Mapping[str, Row], touched: set[tuple[str, str, str]]
) -> Iterable[Event]:
    for name, row in after.items():
        old = before.get(name)
        if row.what == "chain" and old is not None and old.digest != row.digest and _chain_of(row) not in touched:
            yield RULES_REORDERED.event(name, table=_table_of(row), chain=row.name, maker=row.maker)


def _chain(name: str, old: Row | None, new: Row | None, quiet: bool) -> Iterable[Event]:
    row = new or old
    if row is None:
        return
    policy = new.policy if new is not None else "accept"
    words: dict[str, Any] = {
        "table": _table_of(row),
        "chain": row.name,
        "hook": row.hook,
        "policy": policy,
        "maker": row.maker,
    }
    if row.type == "filter" and row.hook:
        was_closed, is_closed = old is not None and old.policy == "drop", new is not None and new.policy == "drop"
        if was_closed and not is_closed:
            yield POLICY_OPENED.event(name, **words)
        elif is_closed and not was_closed and old is not None:
            yield POLICY_CLOSED.event(name, **words)
    if quiet:
        return
    if old is None:
        yield CHAIN_ADDED.event(name, **words)
    elif new is None:
        yield CHAIN_REMOVED.event(name, **words)
    elif (old.type, old.hook, old.priority, old.device) != (new.type, new.hook, new.priority, new.device):
        yield CHAIN_CHANGED.event(name, **words)


def _emptied(name: str, old: Row, new: Row) -> Iterable[Event]:
    """Yield that a base chain has no rules any more; a flush of its whole table is told as one."""
    if new.hook and old.rules and not new.rules:
        yield CHAIN_EMPTIED.event(
            name, table=_table_of(new), chain=new.name, hook=new.hook, policy=new.policy, maker=new.maker
        )


def _part(name: str, old: Row | None, new: Row | None) -> Iterable[Event]:
    row = new or old
    change = "added" if old is None else "removed" if new is None else ""
    if row is None:
        return
    if row.what == "table":
        if not change and old is not None and new is not None and old.text != new.text:
            change = f"flags were {old.text or 'none'}, are {new.text or 'none'}"
        if change:
            severity = Severity.HIGH if "dormant" in row.text else None
            yield TABLE_CHANGED.event(name, severity=severity, table=_table_of(row), change=change, flags=row.text)
        return
    if not change and old is not None and new is not None:
        change = "definition" if old.text != new.text else "elements" if _other_elements(old, new) else ""
    if change:
        table = f"{row.family} {row.table}"
        yield SET_CHANGED.event(
            name, table=table, name=row.name, sort=row.type, change=change, elements=row.elements or 0
        )


def _other_elements(old: Row, new: Row) -> bool:
    """Say whether a set holds other elements; not known where they could not be read."""
    return old.digest != new.digest and not any(not row.digest or row.digest.startswith(UNREAD) for row in (old, new))


def _table_of(row: Row) -> str:
    return f"{row.family} {row.table}"


def _chain_of(row: Row) -> tuple[str, str, str]:
    return row.family, row.table, row.name


def _text(rows: Mapping[str, Row], names: list[str]) -> str:
    lines = [
        f"{_table_of(rows[name])} {rows[name].name}: {statement(rows[name])[:200]}" for name in names[:_EVIDENCE_LINES]
    ]
    if len(names) > _EVIDENCE_LINES:
        lines.append(f"… and {len(names) - _EVIDENCE_LINES} more")
    return "\n".join(lines)
