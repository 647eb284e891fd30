"""What a site says about alerts beside the rules: those it does not want (`suppress`), and what a rule does that matches too often."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.language.rule import Addresses, Ranges, Rule
from collectors.traffic.rules.language.threshold_config import RateFilter, Suppression, ThresholdConfig

MAX_COUNTERS = 65_536
SECOND_NS = 1_000_000_000
FOREVER_S = 1 << 40


class Site:
    """`suppress` and `rate_filter` of a threshold.config, applied to alerts in their order (`threshold` is the rules' own by then).

    As in Suricata a suppressed alert is not stated, while what its rule does to the packet is done.
    """

    def __init__(self, config: ThresholdConfig) -> None:
        self.suppressed = 0
        self._suppressions: dict[tuple[int, int], list[_Suppress]] = {}
        for suppression in config.suppressions:
            key = (suppression.gid, suppression.sid)
            self._suppressions.setdefault(key, []).append(_Suppress(suppression))
        self._filters: dict[tuple[int, int], list[_Rate]] = {}
        for one in config.rate_filters:
            self._filters.setdefault((one.gid, one.sid), []).append(_Rate(one))

    @property
    def idle(self) -> bool:
        """Whether it says nothing."""
        return not (self._suppressions or self._filters)

    def apply(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Return the alerts that are wanted, each with what its rule does now."""
        if self.idle:
            return list(alerts)
        wanted: list[Alert] = []
        for alert in alerts:
            changed = self._acted(alert)
            if changed is None or any(one.covers(changed) for one in _of(self._suppressions, changed.rule)):
                self.suppressed += 1
                continue
            wanted.append(changed)
        return wanted

    def _acted(self, alert: Alert) -> Alert | None:
        """Return the alert with the action that a rate filter gives its rule now; None when that lets the packet pass."""
        for one in _of(self._filters, alert.rule):
            action = one.action(alert)
            if action == "pass":
                return None
            if action and action != alert.rule.action:
                rule = replace(alert.rule, action=action)
                alert = Alert(rule, alert.packet, alert.transaction, alert.conversation, alert.blocked)
        return alert


class _Suppress:
    """One `suppress` line."""

    def __init__(self, suppression: Suppression) -> None:
        self._track = suppression.track
        self._addresses = suppression.addresses
        self._edges = _edges(suppression.addresses) if suppression.addresses is not None else {}

    def covers(self, alert: Alert) -> bool:
        if self._addresses is None:
            return True
        packet = alert.packet
        sides = {"by_src": (packet.source,), "by_dst": (packet.destination,)}
        ends = sides.get(self._track, (packet.source, packet.destination))
        edges = self._edges.get(packet.family, [])
        return self._addresses.any or any(bisect_right(edges, end) % 2 for end in ends)


class _Rate:
    """One `rate_filter` line: matches are counted by whom it tracks; who is over the limit gets the new action for a while."""

    def __init__(self, given: RateFilter) -> None:
        self._given = given
        self._seen: OrderedDict[Hashable, list[int]] = OrderedDict()
        """By owner: when the window began, matches in it, and until when the new action holds."""

    def action(self, alert: Alert) -> str:
        """Count a match; return the new action while it holds, else ""."""
        packet, limit, now = alert.packet, self._given.threshold, alert.packet.time_ns
        owner: Hashable = {
            "by_src": packet.source,
            "by_dst": packet.destination,
            "by_both": (packet.source, packet.destination),
        }.get(limit.track)
        state = self._seen.setdefault(owner, [now, 0, 0])
        self._seen.move_to_end(owner)
        if len(self._seen) > MAX_COUNTERS:
            self._seen.popitem(last=False)
        if now - state[0] > limit.seconds * SECOND_NS:
            state[0], state[1] = now, 0
        state[1] += 1
        if now < state[2]:
            return self._given.new_action
        if state[1] > limit.count:
            # A timeout of 0 is for good.
            state[2] = now + (self._given.timeout_s or FOREVER_S) * SECOND_NS
            return self._given.new_action
        return ""


T = TypeVar("T")


def _of(table: Mapping[tuple[int, int], list[T]], rule: Rule) -> list[T]:
    """Return what a table has for a rule: under its own number, for all of its generator, for all."""
    return [one for key in ((rule.gid, rule.sid), (rule.gid, 0), (0, 0)) for one in table.get(key, ())]


def edges(ranges: Ranges) -> list[int]:
    """Return where a set begins and ends, in turn: a number of edges that is odd up to a value means inside."""
    found: list[int] = []
    for low, high in ranges:
        if found and found[-1] == low:
            found[-1] = high + 1
        else:
            found += (low, high + 1)
    return found


def _edges(found: Addresses) -> dict[int, list[int]]:
    return {4: edges(found.v4), 6: edges(found.v6)}
