"""Which networks the rules name as sources, and for which destination ports: who may be treated otherwise than anybody."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analysis.firewall.model import (
    AnyOf,
    Concat,
    Datapath,
    Expression,
    Field,
    Joined,
    Key,
    Match,
    Members,
    NamedSet,
    Not,
    Rule,
    SetRef,
    Span,
    Statement,
    Table,
    Update,
    VerdictMap,
)

SOURCES = {"ip saddr": 4, "ip6 saddr": 6, "ct original ip saddr": 4, "ct original ip6 saddr": 6}
_PORTS = {"tcp dport": "tcp", "udp dport": "udp", "th dport": ""}
OWN_TABLE = "holdfast_block"
"""Who is banned is shown as bans; it would be an exception to every single row."""
LISTED_ONE_BY_ONE = 4
"""A named set of at most so many networks is told network by network; of a larger one some stand for all."""


class Named(NamedTuple):
    """Addresses from `low` to `high` that a rule names as a source. `ports` (low, high) bound what the rule speaks of; none for every port.

    `label` is "" for a network that is told by itself, else the set that it stands for (`@office`).
    """

    family: int
    low: int
    high: int
    label: str = ""
    ports: tuple[tuple[int, int], ...] = ()

    def concerns(self, port: int) -> bool:
        """Say whether a connection to `port` may be treated otherwise because of it."""
        return not self.ports or any(low <= port <= high for low, high in self.ports)


class Names:
    """Finds what rules name, again and again; a rule that stands for itself is read once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Rule, tuple[Named, ...], tuple[tuple[int, int, int], ...]]] = {}

    def of(self, datapath: Datapath) -> tuple[tuple[Named, ...], tuple[tuple[int, int, int], ...]]:
        """Return the sources to try, in the order of the rules, and every span (family, low, high) that any rule or set names.

        The second holds more than the first: of a large set all its networks, so that a stranger can be found who is in none.
        """
        found: dict[Named, None] = {}
        spans: dict[tuple[int, int, int], None] = {}
        kept = {}
        for table in datapath.tables:
            for chain in table.chains.values():
                for rule in chain.rules:
                    known = self._known.get(id(rule))
                    if known is None or known[0] is not rule:
                        known, lasts = _read(datapath, table, rule)
                        if not lasts:
                            self._note(known, table, found, spans)
                            continue
                    kept[id(rule)] = known
                    if known[2]:
                        self._note(known, table, found, spans)
        self._known = kept
        return tuple(found), tuple(spans)

    @staticmethod
    def _note(
        known: tuple[Rule, tuple[Named, ...], tuple[tuple[int, int, int], ...]],
        table: Table,
        found: dict[Named, None],
        spans: dict[tuple[int, int, int], None],
    ) -> None:
        if table.name != OWN_TABLE:
            found.update(dict.fromkeys(known[1]))
        spans.update(dict.fromkeys(known[2]))


def named(datapath: Datapath) -> tuple[tuple[Named, ...], tuple[tuple[int, int, int], ...]]:
    """Return the same as `Names.of`, remembering nothing."""
    return Names().of(datapath)


def _read(
    datapath: Datapath, table: Table, rule: Rule
) -> tuple[tuple[Rule, tuple[Named, ...], tuple[tuple[int, int, int], ...]], bool]:
    """Return what `rule` names, and whether that is so as long as the rule is the same: it asks no named set."""
    reading = _Reading(datapath, table, rule)
    sources = tuple(reading.sources())
    return (rule, sources, tuple(reading.spans)), not reading.asks


class _Reading:
    """One rule being read."""

    def __init__(self, datapath: Datapath, table: Table, rule: Rule) -> None:
        self._datapath, self._table = datapath, table
        self._statements = rule.statements
        self.spans: list[tuple[int, int, int]] = []
        self.asks = False

    def sources(self) -> Iterator[Named]:
        """Yield what the rule names; fills `spans` on the way."""
        found = [pair for pair in comparisons(self._statements) if _has_source(pair[0])]
        if not found:
            return
        ports = tuple(ports_of(self._statements))
        for left, right in found:
            fields = left.parts if isinstance(left, Concat) else (left,)
            for place, field in enumerate(fields):
                family = SOURCES.get(field.name, 0) if isinstance(field, Field) else 0
                if family:
                    yield from self._of(right, family, place if isinstance(left, Concat) else -1, ports)

    def _of(self, right: object, family: int, place: int, ports: tuple[tuple[int, int], ...]) -> Iterator[Named]:
        keys, label = self._keys(right)
        spans = [span for key in keys if (span := _part(key, place)) is not None]
        self.spans += ((family, span.low, span.high) for span in spans)
        if label and len(spans) > LISTED_ONE_BY_ONE:
            chosen = {spans[0], spans[len(spans) // 2], spans[-1]}
            yield from (Named(family, span.low, span.high, label, ports) for span in spans if span in chosen)
        else:
            yield from (Named(family, span.low, span.high, "", ports) for span in spans)

    def _keys(self, right: object) -> tuple[list[Key], str]:
        """Return the keys that `right` holds, and the name of the set they are from, if they are."""
        if isinstance(right, Span | Joined):
            return [right], ""
        if isinstance(right, Members):
            return [element.key for element in right.elements], ""
        if isinstance(right, SetRef):
            self.asks = True
            where = self._datapath.ipsets if right.ipset else self._table.sets
            known: NamedSet | None = where.get(right.name)
            return ([element.key for element in known.elements] if known else []), f"@{right.name}"
        return [], ""


def comparisons(statements: Iterable[Statement]) -> Iterator[tuple[Expression, object]]:
    """Yield every left-hand side with what it is compared with, those inside of conditions too."""
    for statement in statements:
        if isinstance(statement, Match):
            yield statement.left, statement.right
        elif isinstance(statement, VerdictMap):
            yield statement.key, statement.where
        elif isinstance(statement, Not | Update):
            yield from comparisons(statement.conditions)
        elif isinstance(statement, AnyOf):
            for option in statement.options:
                yield from comparisons(option)


def _has_source(left: Expression) -> bool:
    if isinstance(left, Concat):
        return any(isinstance(part, Field) and part.name in SOURCES for part in left.parts)
    return isinstance(left, Field) and left.name in SOURCES


def ports_of(statements: Iterable[Statement]) -> Iterator[tuple[int, int]]:
    """Yield the destination ports the rule itself is bound to; nothing when it holds for every port (or it is not plain to see)."""
    for statement in statements:
        if not (isinstance(statement, Match) and statement.operator == "=="):
            continue
        if isinstance(statement.left, Field) and statement.left.name in _PORTS:
            keys: tuple[Key, ...] = ()
            if isinstance(statement.right, Span):
                keys = (statement.right,)
            elif isinstance(statement.right, Members):
                keys = tuple(element.key for element in statement.right.elements)
            yield from ((key.low, key.high) for key in keys if isinstance(key, Span))


def _part(key: Key, place: int) -> Span | None:
    """Return the addresses of `key`: all of it, or its part at `place` where several values are compared side by side."""
    if place >= 0:
        if not isinstance(key, Joined) or place >= len(key.parts):
            return None
        part = key.parts[place]
        return part if isinstance(part, Span) else None
    return key if isinstance(key, Span) else None
