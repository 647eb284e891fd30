"""How often a rule may speak: `threshold`, `detection_filter` and their counters, by source, destination, pair, rule or flow.

The counting is Suricata's: windows begin with the first match and end `seconds` later, on the packets' own clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from collectors.traffic.rules.language.rule import Threshold

MAX_COUNTERS = 262_144
SECOND_NS = 1_000_000_000

SILENT, SPEAK, ACT = 0, 1, 2
"""No alert; alert; no alert, but what the rule does to the packet is done."""


@dataclass(slots=True)
class _Count:
    begin_ns: int
    count: int = 0
    next: int = 0
    seen: set[int] = field(default_factory=set)


class Thresholds:
    """The counters of all rules."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()
        self.forgotten = 0

    def forget(self, slot: int, serial: int) -> None:
        """Drop nothing now: counters by flow carry the flow's serial number and age out; here for the symmetry of owners."""
        del slot, serial

    def allow(self, rule: int, threshold: Threshold, owner: Hashable, now_ns: int, distinct: int | None = None) -> int:
        """Count one match and return whether the rule may speak (`SILENT`, `SPEAK`, `ACT`)."""
        key = (rule, threshold.type == "detection_filter", owner)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(now_ns)
            if len(self._counts) > MAX_COUNTERS:
                self._counts.popitem(last=False)
                self.forgotten += 1
            return self._first(threshold, count, distinct)
        self._counts.move_to_end(key)
        return self._next(threshold, count, now_ns, distinct)

    def _first(self, threshold: Threshold, count: _Count, distinct: int | None) -> int:
        count.count = 1
        if distinct is not None:
            count.seen.add(distinct)
        match threshold.type:
            case "detection_filter":
                return SILENT if threshold.count >= 1 else SPEAK
            case "backoff":
                count.next = threshold.count
                return self._backoff(threshold, count)
            case "limit":
                return SPEAK
        return SPEAK if threshold.count == 1 else SILENT

    def _next(self, threshold: Threshold, count: _Count, now_ns: int, distinct: int | None) -> int:
        window = threshold.seconds * SECOND_NS
        over = now_ns - count.begin_ns > window
        kind = threshold.type
        if kind == "backoff":
            count.count += 1
            return self._backoff(threshold, count)
        if distinct is not None and not over and distinct in count.seen:
            return SPEAK if kind == "detection_filter" and len(count.seen) > threshold.count else SILENT
        if over:
            count.begin_ns, count.count, count.seen = now_ns, 1, set()
        else:
            count.count += 1
        if distinct is not None:
            count.seen.add(distinct)
        if kind == "limit":
            return SPEAK if count.count <= threshold.count else ACT
        if kind == "both":
            return SPEAK if count.count == threshold.count else ACT if count.count > threshold.count else SILENT
        if kind == "detection_filter":
            return SPEAK if count.count > threshold.count else SILENT
        if count.count >= threshold.count:
            count.count = 0
            return SPEAK
        return SILENT

    @staticmethod
    def _backoff(threshold: Threshold, count: _Count) -> int:
        """Speak at the first match that reaches `count`, then each time the matches have multiplied."""
        if not count.next:
            count.next = threshold.count
        if count.count < count.next:
            return SILENT
        count.next *= max(2, threshold.multiplier)
        return SPEAK
