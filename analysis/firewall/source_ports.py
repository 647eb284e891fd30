"""Which source ports the rules name: anybody calls from one that none names, and from those they do name it is tried besides."""

from collections.abc import Iterator
from typing import TypeAlias

from analysis.firewall.model import Concat, Datapath, Field, Joined, Members, NamedSet, Rule, SetRef, Span, Table
from analysis.firewall.named import comparisons
from analysis.firewall.probe import SOURCE_PORT

_FIELDS = frozenset({"tcp sport", "udp sport", "th sport", "ct original proto-src"})
_FIRST, _LAST = 32768, 60999
"""The ports that Linux hands out to clients (ip_local_port_range)."""
_Read: TypeAlias = dict[int, tuple[Rule, tuple[tuple[object, tuple[int, ...]], ...]]]
_MOST = 8
_STEPS = 97


def named_source_ports(datapath: Datapath) -> tuple[tuple[int, int], ...]:
    """Return the source ports (low, high) that rules compare with, in the order of the rules, each once.

    Which comparisons a rule has is read once and remembered in `datapath.cache`; what named sets hold is not.
    """
    before: _Read = datapath.cache.get("source ports", {})
    after: _Read = {}
    found: dict[tuple[int, int], None] = {}
    for table in datapath.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                known = before.get(id(rule))
                if known is None or known[0] is not rule:
                    known = rule, tuple(_asked(rule))
                after[id(rule)] = known
                for right, places in known[1]:
                    for span in _spans(datapath, table, right, places):
                        found[span.low, span.high] = None
    datapath.cache["source ports"] = after
    return tuple(found)


def _asked(rule: Rule) -> Iterator[tuple[object, tuple[int, ...]]]:
    """Yield what a rule compares source ports with, and where in the key they stand."""
    for left, right in comparisons(rule.statements):
        if places := _places(left):
            yield right, places


def usual(spans: tuple[tuple[int, int], ...]) -> int:
    """Return the port that stands for those that clients have: one that no rule names, unless it names all of them."""
    narrow = [(low, high) for low, high in spans if not (low <= _FIRST and high >= _LAST)]
    tried = [SOURCE_PORT, *range(_FIRST, _LAST + 1, _STEPS)]
    return next((port for port in tried if not any(low <= port <= high for low, high in narrow)), SOURCE_PORT)


def special(spans: tuple[tuple[int, int], ...], port: int) -> tuple[int, ...]:
    """Return ports that rules may treat otherwise than `port`: one of each span that does not hold it, one beside each that does."""
    found: dict[int, None] = {}
    for low, high in spans:
        if not low <= port <= high:
            found[max(low, 1)] = None
        else:
            found.update(dict.fromkeys(one for one in (low - 1, high + 1) if 1 <= one <= 65535))
    return tuple(found)[:_MOST]


def _places(left: object) -> tuple[int, ...]:
    """Return where in a key the source port stands; (-1,) where it is all of it."""
    if isinstance(left, Concat):
        return tuple(place for place, part in enumerate(left.parts) if isinstance(part, Field) and part.name in _FIELDS)
    return (-1,) if isinstance(left, Field) and left.name in _FIELDS else ()


def _spans(datapath: Datapath, table: Table, right: object, places: tuple[int, ...]) -> Iterator[Span]:
    held: NamedSet | Members | None = None
    if isinstance(right, SetRef):
        held = (datapath.ipsets if right.ipset else table.sets).get(right.name)
    elif isinstance(right, Members):
        held = right
    keys = [element.key for element in held.elements] if held is not None else [right]
    for key in keys:
        if isinstance(key, Joined):
            yield from (part for place in places if isinstance(part := key.parts[place], Span))
        elif isinstance(key, Span):
            yield key
