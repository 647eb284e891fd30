"""Judges what state the firewall is in: filtering lost, IPv6 left open beside a filtered IPv4, listeners without any filtering.

The collector states what happened (a flush, an opened policy); this judge states what holds since, until it ceases.
"""

from collections.abc import Container, Mapping
from typing import ClassVar

from analysis.conclusions import turn
from contracts.collector import Report
from contracts.event import Event, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects import firewall, ports
from contracts.subjects.firewall import Summary

_DISABLED = ("T1562.004",)
_STRICTNESS = ("open", "partial", "closed")

FILTERING_LOST = Kind(
    name="firewall.filtering_lost",
    meaning="The firewall lets in what it used to refuse: it was flushed, opened or unloaded, and is still so.",
    title="Firewall is {filtering} for IPv{ip_version}, was {former}",
    severity=Severity.CRITICAL,
    fields={"ip_version": "int", "filtering": "str", "former": "str"},
    attack=_DISABLED,
    advice="Load the ruleset again, or accept the firewall as it is with `holdfast firewall accept`.",
)
FILTERING_RESTORED = Kind(
    name="firewall.filtering_restored",
    meaning="The firewall filters again as strictly as it used to, or was accepted as it is.",
    title="Firewall is as strict as expected again for IPv{ip_version} ({filtering})",
    severity=Severity.INFORMATIONAL,
    fields={"ip_version": "int", "filtering": "str"},
)
IPV6_UNFILTERED = Kind(
    name="firewall.ipv6_unfiltered",
    meaning="IPv4 is filtered more strictly than IPv6, so that services refused over one are reachable over the other.",
    title="IPv4 is {filtering4}, but IPv6 is {filtering6}",
    severity=Severity.HIGH,
    fields={"filtering4": "str", "filtering6": "str"},
    attack=_DISABLED,
    advice="Write the rules for IPv6 too (a table of family inet serves both), or accept it with `holdfast firewall accept`.",
)
IPV6_FILTERED = Kind(
    name="firewall.ipv6_filtered",
    meaning="IPv6 is filtered as strictly as IPv4 again, or the difference was accepted.",
    title="IPv6 is no longer less filtered than IPv4",
    severity=Severity.INFORMATIONAL,
    fields={"filtering4": "str", "filtering6": "str"},
)
LISTENERS_UNFILTERED = Kind(
    name="firewall.listeners_unfiltered",
    meaning="Nothing filters arriving packets while services listen on addresses others can reach.",
    title="{listeners} reachable listeners and no filtering at all",
    severity=Severity.MEDIUM,
    fields={"listeners": "int"},
    advice="Set up a firewall, or accept it with `holdfast firewall accept` if another device filters for this host.",
)
LISTENERS_FILTERED = Kind(
    name="firewall.listeners_filtered",
    meaning="Listeners are filtered again, are gone, or their openness was accepted.",
    title="No listener is judged unfiltered any more: {reason}",
    severity=Severity.INFORMATIONAL,
    fields={"listeners": "int", "reason": "str"},
)

_REFERENCE = "reference"


class Conclusion(Record, omit_defaults=True):
    """What holds (`lost4`, `lost6`, `ipv6`, `listeners`), or under `reference` the strictest state since the accepted baseline."""

    since_ms: int = 0
    accepted: int = 0
    filtering4: str = "open"
    filtering6: str = "open"


class FirewallState:
    """The firewall's state, each conclusion stated when it begins and when it ceases."""

    name: ClassVar[str] = "firewall_state"
    kinds: ClassVar[tuple[Kind, ...]] = (
        FILTERING_LOST,
        FILTERING_RESTORED,
        IPV6_UNFILTERED,
        IPV6_FILTERED,
        LISTENERS_UNFILTERED,
        LISTENERS_FILTERED,
    )
    subjects: ClassVar[Mapping[str, type[Record]]] = {firewall.SUBJECT: firewall.Row, ports.SUBJECT: ports.Listener}
    row: type[Conclusion] = Conclusion
    every_s: ClassVar[float] = 0.0

    def judge(self, view: View, before: Snapshot[Conclusion]) -> Report[Conclusion]:
        """Conclude; nothing before the first look at the firewall."""
        seen = _summary(view.snapshots[firewall.SUBJECT])
        if seen is None:
            return Report()
        accepted = view.accepted[firewall.SUBJECT]
        reference = _reference(seen, before.rows.get(_REFERENCE), _summary(accepted), accepted.revision)
        reachable = _reachable(view.snapshots[ports.SUBJECT])
        holds = _holding(seen, reference, _summary(accepted), reachable, set(before.rows))
        held = {key: row for key, row in before.rows.items() if key != _REFERENCE}
        turned = turn(held, holds)
        events = [_begun(key, seen, reference, reachable or 0) for key in turned.begun]
        events += [_ceased(key, seen, reachable or 0) for key in turned.ceased]
        now = {key: held.get(key, Conclusion(since_ms=view.now_ms)) for key in holds}
        return Report(events=tuple(events), changes=compare(before.rows, {**now, _REFERENCE: reference}))


def _summary(snapshot: Snapshot[firewall.Row]) -> Summary | None:
    row = snapshot.rows.get(firewall.SUMMARY)
    return row.summary if row is not None else None


def _reference(seen: Summary, former: Conclusion | None, accepted: Summary | None, revision: int) -> Conclusion:
    """Return how strict the firewall has been at its strictest since the baseline was accepted."""
    if former is None or former.accepted != revision:
        start = accepted or seen
        former = Conclusion(accepted=revision, filtering4=start.filtering4, filtering6=start.filtering6)
    return Conclusion(
        accepted=revision,
        filtering4=max(former.filtering4, seen.filtering4, key=_STRICTNESS.index),
        filtering6=max(former.filtering6, seen.filtering6, key=_STRICTNESS.index),
    )


def _holding(
    seen: Summary, reference: Conclusion, accepted: Summary | None, reachable: int | None, held: Container[str]
) -> dict[str, bool]:
    """Return what holds. Where rules or ports (`reachable` None) were not looked at, what `held` may go on, but nothing begins."""
    was_accepted_open = accepted is not None and accepted.filtering4 == accepted.filtering6 == "open"
    found = {
        "lost4": _is_laxer(seen.filtering4, reference.filtering4),
        "lost6": _is_laxer(seen.filtering6, reference.filtering6),
        "ipv6": _has_gap(seen) and not (accepted is not None and _has_gap(accepted)),
        "listeners": _is_open(seen) and not was_accepted_open and (reachable is None or reachable > 0),
    }
    begun = {"ipv6": not seen.unseen6, "listeners": not (reachable is None or seen.unseen4 or seen.unseen6)}
    return {key: True for key, holds in found.items() if holds and (key in held or begun.get(key, True))}


def _is_open(seen: Summary) -> bool:
    return seen.filtering4 == "open" and (seen.filtering6 == "open" or not seen.ipv6)


def _is_laxer(one: str, other: str) -> bool:
    return _STRICTNESS.index(one) < _STRICTNESS.index(other)


def _has_gap(seen: Summary) -> bool:
    return seen.ipv6 and _is_laxer(seen.filtering6, seen.filtering4)


def _reachable(snapshot: Snapshot[ports.Listener]) -> int | None:
    if snapshot.first:
        return None
    return sum(row.scope != "loopback" for row in snapshot.rows.values())


def _begun(key: str, seen: Summary, reference: Conclusion, listeners: int) -> Event:
    if key == "lost4":
        return FILTERING_LOST.event(key, ip_version=4, filtering=seen.filtering4, former=reference.filtering4)
    if key == "lost6":
        return FILTERING_LOST.event(key, ip_version=6, filtering=seen.filtering6, former=reference.filtering6)
    if key == "ipv6":
        return IPV6_UNFILTERED.event(key, filtering4=seen.filtering4, filtering6=seen.filtering6)
    return LISTENERS_UNFILTERED.event(key, listeners=listeners)


def _ceased(key: str, seen: Summary, listeners: int) -> Event:
    if key == "lost4":
        return FILTERING_RESTORED.event(key, ip_version=4, filtering=seen.filtering4)
    if key == "lost6":
        return FILTERING_RESTORED.event(key, ip_version=6, filtering=seen.filtering6)
    if key == "ipv6":
        return IPV6_FILTERED.event(key, filtering4=seen.filtering4, filtering6=seen.filtering6)
    reason = (
        "the firewall filters"
        if not _is_open(seen)
        else "the open firewall was accepted"
        if listeners
        else "none is left"
    )
    return LISTENERS_FILTERED.event(key, listeners=listeners, reason=reason)
