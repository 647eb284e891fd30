"""How often alerts become events: the first of a rule about a source at once, the rest counted, and the number told."""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator

from msgspec.structs import replace

from contracts.event import Event
from contracts.record import Record

MAX_SOURCES = 65_536
"""Rules and sources that are counted one by one; what is held back of those beyond is counted by rule alone."""
MINUTE_S = 60.0
BURST = 10
"""So many seconds' worth of events may come at once."""


class Limits(Record):
    """`again_s`: within this time the alerts of a rule about a source are one event. The others bound what is stated of all sources."""

    again_s: float = 60.0
    per_rule: int = 120
    per_second: int = 50


class _Window:
    """What was said of one rule about one source since `begun_s`."""

    __slots__ = ("begun_s", "held", "last")

    def __init__(self, begun_s: float) -> None:
        self.begun_s = begun_s
        self.held = 0
        self.last: Event | None = None


class Limiter:
    """Decides of each event whether it is stated, and counts those that are not. Times are monotonic seconds."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self.limits = limits
        self.held = 0
        """Events that were counted instead of stated, since the start."""
        self._windows: OrderedDict[tuple[int, Hashable], _Window] = OrderedDict()
        self._rules: Counter[int] = Counter()
        self._minute_s = now_s
        self._level, self._at = float(limits.per_second * BURST), now_s
        self._left_out: Counter[int] = Counter()

    def wants(self, sid: int, source: Hashable, now_s: float) -> bool:
        """Return whether an event of a rule about a source is stated now; `hold` takes one that is not."""
        window = self._windows.get((sid, source))
        if window is not None and now_s - window.begun_s < self.limits.again_s:
            return False
        return self._has_room(sid, now_s)

    def stated(self, sid: int, source: Hashable, now_s: float) -> int:
        """Note that an event was stated; return how many were held back before it that nothing has told of yet."""
        window = self._windows.pop((sid, source), None)
        self._windows[sid, source] = _Window(now_s)
        self._rules[sid] += 1
        self._level -= 1
        if len(self._windows) > MAX_SOURCES:
            (old, _), gone = self._windows.popitem(last=False)
            self._left_out[old] += gone.held
        return window.held if window is not None else 0

    def hold(self, sid: int, source: Hashable, event: Event | None) -> None:
        """Count an event that is not stated; `event` is what it would have been, for the one that tells of the number."""
        self.held += 1
        window = self._windows.get((sid, source))
        if window is None:
            self._left_out[sid] += 1
            return
        window.held += 1
        if event is not None:
            window.last = event

    def knows(self, sid: int, source: Hashable) -> bool:
        """Return whether an event that is to be held back for a rule and a source is kept already."""
        window = self._windows.get((sid, source))
        return window is not None and window.last is not None

    def due(self, now_s: float, at_end: bool = False) -> Iterator[Event]:
        """Yield an event for every rule and source whose time is over and of which something was held back, with the number."""
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if not at_end and now_s - window.begun_s < self.limits.again_s:
                return
            del self._windows[key]
            if not window.held:
                continue
            if window.last is None or not self._has_room(key[0], now_s):
                self._left_out[key[0]] += window.held
                continue
            self._rules[key[0]] += 1
            self._level -= 1
            yield replace(window.last, repeats=window.held - 1)

    def left_out(self, now_s: float, at_end: bool = False) -> Counter[int] | None:
        """Return, once a minute, what nothing has told of, by rule; None in between and when there is nothing."""
        if not at_end and now_s - self._minute_s < MINUTE_S:
            return None
        self._minute_s = now_s
        self._rules.clear()
        told, self._left_out = +self._left_out, Counter()
        return told or None

    def _has_room(self, sid: int, now_s: float) -> bool:
        most = float(self.limits.per_second * BURST)
        self._level = min(most, self._level + (now_s - self._at) * self.limits.per_second)
        self._at = now_s
        return self._level >= 1 and self._rules[sid] < self.limits.per_rule
