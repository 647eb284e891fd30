"""The plain picture of exposure: who -> which chain -> what, from rows of the subject `exposure`, for the terminal and the page alike."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from contracts.subjects.exposure import Exposure

ARROWS = {"reachable": "-->", "blocked": "--|", "uncertain": "-?-"}
MOST_NAMED = 8
"""Of more listeners behind one chain, the rest is counted."""
_ORDER = ("reachable", "uncertain", "blocked")


class Flow(NamedTuple):
    """Everything that one vantage meets at one place: `through` is the chain (or fact) that decides, `what` the listeners behind it."""

    who: str
    verdict: str
    through: str
    what: tuple[str, ...]

    def line(self) -> str:
        """Return the flow as one line of text."""
        arrow = ARROWS.get(self.verdict, "-?-")
        shown = ", ".join(self.what[:MOST_NAMED])
        more = f" and {len(self.what) - MOST_NAMED} more" if len(self.what) > MOST_NAMED else ""
        return f"{self.who} {arrow} {self.through} {arrow} {shown}{more}"


def flows(rows: Iterable[Exposure]) -> tuple[Flow, ...]:
    """Return the picture by vantage, the internet first: what can be reached, then what is not known, then what is blocked."""
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in rows:
        verdict = row.verdict if row.verdict in _ORDER else "uncertain"
        found.setdefault((verdict, who(row), through(row)), {})[name(row)] = row.port
    ordered = sorted(found, key=lambda key: (vantage_order(key[1]), _ORDER.index(key[0]), key[2]))
    return tuple(
        Flow(
            vantage,
            verdict,
            by,
            tuple(sorted(found[verdict, vantage, by], key=found[verdict, vantage, by].__getitem__)),
        )
        for verdict, vantage, by in ordered
    )


def lines(drawn: Sequence[Flow]) -> Iterator[str]:
    """Yield the picture as lines, its columns aligned."""
    whos = max((len(flow.who) for flow in drawn), default=0)
    ways = max((min(len(flow.through), 60) for flow in drawn), default=0)
    for flow in drawn:
        yield flow._replace(who=flow.who.ljust(whos), through=flow.through.ljust(ways)).line()


def who(row: Exposure) -> str:
    """Return whom a row speaks of: its vantage, where that is one of several networks at one interface all of them together."""
    return f"network {row.interface}" if row.interface and row.vantage.startswith(f"{row.interface} ") else row.vantage


def vantage_order(vantage: str) -> tuple[bool, bool, str]:
    """Return a sort key that puts the internet first and this host itself last."""
    return not vantage.startswith("internet"), vantage == "loopback", vantage


def through(row: Exposure) -> str:
    """Return where it is decided: the chain, with the front end that is gone past; else the fact that decides."""
    if row.unknown and row.verdict != "blocked":
        return f"not known: {', '.join(row.unknown)}"
    place = row.chain or f"{row.why.partition(': ')[0] or 'nothing refuses it'} (IPv{row.family})"
    return f"{place} (past {row.bypasses})" if row.bypasses else place


def name(row: Exposure) -> str:
    """Return what is reached in a few words: `22/tcp sshd`, `8080/tcp docker-proxy to 172.17.0.2:80`."""
    words = [f"{row.port}/{row.protocol}", row.process, f"to {row.delivered}" if row.delivered else ""]
    return " ".join(word for word in words if word)
