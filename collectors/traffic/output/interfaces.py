"""Which interfaces the sensor cannot see: those that are not there, over which nothing can come, or whose socket complains."""

from collections.abc import Iterator

from collectors.traffic.kinds import INTERFACE_BACK, INTERFACE_DOWN, INTERFACE_GONE, INTERFACE_UP
from collectors.traffic.live import LiveSource
from collectors.traffic.ring import DOWN
from contracts.collector import Emit
from contracts.coverage import Blind
from contracts.errors import Why

_WORDS = {DOWN: "it is administratively down"}
_NO_CARRIER = "it is up, but has no carrier"


class Interfaces:
    """Keeps which interfaces are away or stand still, and since when."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._gone: dict[str, float] = {}
        self._still: dict[str, tuple[str, float]] = {}
        """Why and since when nothing can come, by name."""
        self._problems: dict[str, str] = {}

    def look(self, source: LiveSource, now_s: float) -> None:
        """Take what the source knows now, and state what has changed."""
        missing, still = set(source.missing()), source.standing_still()
        self._problems = dict(source.problems)
        for name in sorted(missing - self._gone.keys()):
            self._gone[name] = now_s
            # What is not there at all is neither down nor up.
            self._still.pop(name, None)
            self._emit.event(INTERFACE_GONE.event(name, interface=name))
        for name in [name for name in self._gone if name not in missing]:
            since = self._gone.pop(name)
            if name in source.names:
                self._emit.event(INTERFACE_BACK.event(name, interface=name, seconds=round(now_s - since, 1)))
        for name, why in sorted(still.items()):
            former, since = self._still.get(name, ("", now_s))
            self._still[name] = (why, since)
            if why != former:
                self._emit.event(INTERFACE_DOWN.event(name, interface=name, reason=_words(why)))
        for name in [name for name in self._still if name not in still]:
            _, since = self._still.pop(name)
            if name in source.names:
                self._emit.event(INTERFACE_UP.event(name, interface=name, seconds=round(now_s - since, 1)))

    def blind(self) -> Iterator[Blind]:
        """Yield what of them is not seen. They are named in the settings: each is a failure to look, and no finding."""
        for name in sorted(self._gone):
            yield _spot(name, "there is no interface of this name now", "Bring it back")
        for name, (why, _) in sorted(self._still.items()):
            fix = f"Bring it up (ip link set {name} up)" if why == DOWN else "Look at its cable, its peer or its ports"
            yield _spot(name, f"nothing can come over it: {_words(why)}", fix)
        for name, problem in sorted(self._problems.items()):
            yield Blind(
                what=f"all packets of {name}",
                why=Why.OTHER,
                detail=f"its packet socket complained, and no packet has come since: {problem}",
                fix="Look at the interface; packets that come end this.",
            )


def _words(why: str) -> str:
    return _WORDS.get(why, _NO_CARRIER)


def _spot(name: str, detail: str, fix: str) -> Blind:
    fix = f"{fix}, or take it out of collectors.traffic.interfaces."
    return Blind(what=f"the traffic of {name}", why=Why.OTHER, detail=detail, fix=fix)
