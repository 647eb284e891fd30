"""Judges whether reality keeps to the declared policy: who reaches what was not declared, and whom a rule keeps from what was.

One event when a disagreement begins and one when it ceases. What cannot be decided never reads as kept: it is a disagreement of its own.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from msgspec.structs import replace

from analysis.conclusions import turn
from analysis.exposure import vantages
from analysis.firewall.policy_diff import Comparison, compare, reachable_ports
from analysis.firewall.reading import Reader
from contracts.blocking import TABLE as OWN_TABLE
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Event, FieldType, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot
from contracts.snapshot import compare as changes
from contracts.subjects import datapath, policy, ports
from contracts.subjects.policy import Declared
from contracts.subjects.policy_drift import CLOSED, OPEN, SUBJECT, Difference, Drift

_FIELDS: Mapping[str, FieldType] = {
    "vantage": "str",
    "ip_version": "int",
    "protocol": "str",
    "ports": "list",
    "change": "str",
    "rule": "str",
    "chain": "str",
    "services": "list",
    "unknown": "list",
}
DRIFTED = Kind(
    name="firewall.policy_drift",
    meaning="What can be reached is not what the policy declares.",
    title="Policy drift: {protocol} {ports} over IPv{ip_version} from {vantage} is {change} ({rule})",
    severity=Severity.HIGH,
    fields=_FIELDS,
    attack=("T1562.004",),
    advice="Look at `holdfast firewall policy plan`; apply the policy, or declare what is meant.",
)
KEPT = Kind(
    name="firewall.policy_kept",
    meaning="A drift from the declared policy is over, or the policy declares it now.",
    title="Policy kept again: {protocol} {ports} over IPv{ip_version} from {vantage}",
    severity=Severity.INFORMATIONAL,
    fields=_FIELDS,
)
MANY_DRIFTED = Kind(
    name="firewall.policy_not_in_force",
    meaning="So much differs from the declared policy at once that it is not reported piece by piece.",
    title="The declared policy does not hold: {differences} differences, among them {examples}",
    severity=Severity.HIGH,
    fields={"differences": "int", "examples": "list"},
    attack=("T1562.004",),
    advice="Look at `holdfast firewall policy plan`.",
)
MANY_KEPT = Kind(
    name="firewall.policy_in_force",
    meaning="Many differences from the declared policy are over at once.",
    title="{differences} differences from the declared policy are over, among them {examples}",
    severity=Severity.INFORMATIONAL,
    fields={"differences": "int", "examples": "list"},
)

_WORDS = {OPEN: "reachable, and not declared", CLOSED: "declared, and not reachable"}
_SEVERITY = {OPEN: Severity.HIGH, CLOSED: Severity.MEDIUM}
_OWN_SETS = f"set inet {OWN_TABLE} "
_MOST = 20
_EXAMPLES = 5
_MOST_PORTS = 30


class PolicyDrift:
    """The declared policy against reality, each disagreement stated when it begins and when it ceases."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (DRIFTED, KEPT, MANY_DRIFTED, MANY_KEPT)
    subjects: ClassVar[Mapping[str, type[Record]]] = {
        policy.SUBJECT: Declared,
        datapath.SUBJECT: datapath.Row,
        ports.SUBJECT: ports.Listener,
    }
    row: type[Drift] = Drift
    every_s: ClassVar[float] = 0.0

    def __init__(self) -> None:
        # Both remember, and change nothing in what is concluded.
        self._reader = Reader()
        self._last: tuple[_Ground, Comparison] | None = None

    def judge(self, view: View, before: Snapshot[Drift]) -> Report[Drift]:
        """Conclude; nothing before the first look at the datapath, and nothing without a declared policy."""
        seen: Snapshot[datapath.Row] = view.snapshots[datapath.SUBJECT]
        declared: Declared | None = view.snapshots[policy.SUBJECT].rows.get(policy.KEY)
        if seen.first:
            return Report()
        now: dict[str, Drift] = {}
        blind: tuple[Blind, ...] = ()
        if declared is not None:
            found = self._compared(declared, seen.rows, reachable_ports(view.snapshots[ports.SUBJECT].rows))
            now = {key(each): Drift(difference=each, since_ms=view.now_ms) for each in found.differences}
            blind = tuple(_unjudged(place) for place in found.not_judged)
        now = {name: _kept(before.rows.get(name), row) for name, row in now.items()}
        turned = turn(before.rows, now)
        begun = [_event(DRIFTED, name, now[name].difference) for name in turned.begun]
        ceased = [_event(KEPT, name, before.rows[name].difference) for name in turned.ceased]
        events = [*_bounded(begun, MANY_DRIFTED), *_bounded(ceased, MANY_KEPT)]
        return Report(events=tuple(events), changes=changes(before.rows, now), blind=blind)

    def _compared(
        self, declared: Declared, rows: Mapping[str, datapath.Row], listening: set[tuple[str, int]]
    ) -> Comparison:
        """Compare policy and reality, unless neither has changed: at most bans came or went, which are no drift."""
        kept = {name: row for name, row in rows.items() if not (row.what == "set" and name.startswith(_OWN_SETS))}
        ground = _Ground(declared.digest, kept, listening)
        if self._last is None or self._last[0] != ground:
            found = compare(declared.policy, self._reader.read(rows), vantages(rows), listening)
            self._last = ground, found
        return self._last[1]


class _Ground(NamedTuple):
    """What a comparison rests on."""

    digest: str
    rows: Mapping[str, datapath.Row]
    listening: set[tuple[str, int]]


def key(each: Difference) -> str:
    """Return the key of a disagreement; what decides it in reality is not part of it, so that a renumbered rule is nothing new."""
    return f"{each.vantage} {each.family} {each.protocol} {each.change} {each.address} {_ports(each)}"


def _unjudged(place: str) -> Blind:
    what = f"whether the policy holds towards {place}"
    return Blind(what=what, why=Why.NOT_PRESENT, detail="no route leads there", fix="Check the zone's networks.")


def _kept(former: Drift | None, row: Drift) -> Drift:
    return row if former is None else replace(row, since_ms=former.since_ms)


def _event(kind: Kind, name: str, each: Difference) -> Event:
    severity = _SEVERITY.get(each.change, Severity.MEDIUM) if kind is DRIFTED else None
    fields: dict[str, Any] = {
        "vantage": each.vantage,
        "ip_version": each.family,
        "protocol": each.protocol,
        "ports": _ports(each).split(","),
        "change": _WORDS.get(each.change, "not to be decided"),
        "rule": each.why,
        "chain": each.chain,
        "services": list(each.services),
        "unknown": list(each.unknown),
    }
    return kind.event(name, severity=severity, **fields)


def _ports(each: Difference) -> str:
    shown = [str(port) for port in each.ports[:_MOST_PORTS]]
    if len(each.ports) > _MOST_PORTS:
        shown.append(f"{len(each.ports) - _MOST_PORTS} more")
    return ",".join([*shown, *(["all others"] if each.others else [])])


def _bounded(events: list[Event], many: Kind) -> Iterable[Event]:
    """Return `events`, or one that stands for all of them when there are too many; the worst are its examples."""
    if len(events) <= _MOST:
        return events
    worst = sorted(events, key=lambda event: -event.severity)
    examples = [event.key for event in worst[:_EXAMPLES]]
    return [many.event("many", severity=worst[0].severity, differences=len(events), examples=examples)]
