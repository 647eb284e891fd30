"""What address translation publishes: the ports that DNAT and redirect rules name, found by a small walk over the nat chains.

A candidate, no more: whether a packet to it is really translated, and reaches anything, is the evaluator's to say.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from analysis.firewall.model import (
    Chain,
    Concat,
    Constant,
    Datapath,
    Element,
    Expression,
    Field,
    Joined,
    Key,
    Lookup,
    Match,
    Members,
    Name,
    Nat,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
    VerdictMap,
)
from contracts.record import Record

WHOLE_RANGE = 64
"""A published range of at most so many ports is judged port by port, of a wider one its ends and its middle."""
WELL_KNOWN = (22, 80, 443)
"""Stand for all where a rule publishes every port of an address."""
MOST = 2000
"""More candidates than these are not judged; `Published.left_out` counts the rest."""
_DEEPEST = 16
_TRANSLATING = ("dnat", "redirect")
_HOOKS = ("prerouting", "output")
_PROTOCOLS = {6: "tcp", 17: "udp"}
_DPORTS = {"tcp dport": ("tcp",), "udp dport": ("udp",), "th dport": ()}
_DADDRS = {"ip daddr": 4, "ip6 daddr": 6}
_FAMILIES = {"ip": (4,), "legacy-ip": (4,), "ip6": (6,), "legacy-ip6": (6,), "inet": (4, 6)}


class Candidate(NamedTuple):
    """One port that a rule publishes: `low` to `high` are the addresses it names, (0, 0) for any address of this host."""

    family: int
    protocol: str
    port: int
    low: int = 0
    high: int = 0


class Published(NamedTuple):
    """What is published, and how many candidates were too many."""

    candidates: tuple[Candidate, ...]
    left_out: int


class _Known(Record, frozen=True):
    """What the conditions on the way to a rule say of a packet; an empty tuple is no condition."""

    families: tuple[int, ...]
    protocols: tuple[str, ...] = ()
    ports: tuple[Span, ...] = ()
    addresses: tuple[Span, ...] = ()


def published(datapath: Datapath) -> Published:
    """Return every candidate, each once, in the order of the rules."""
    found: dict[Candidate, None] = {}
    left_out = 0
    for table in datapath.tables:
        families = _FAMILIES.get(table.family, ())
        for chain in table.chains.values() if families and not table.dormant else ():
            if chain.base is None or chain.base.kind != "nat" or chain.base.hook not in _HOOKS:
                continue
            for candidate in _walk(table, chain, _Known(families=families), 0):
                if len(found) < MOST or candidate in found:
                    found[candidate] = None
                else:
                    left_out += 1
    return Published(tuple(found), left_out)


def _walk(table: Table, chain: Chain, known: _Known, depth: int) -> Iterator[Candidate]:
    """Yield what the rules of `chain` publish, and those of the chains that they call."""
    if depth > _DEEPEST:  # deeper than the kernel allows: a loop
        return
    for rule in chain.rules:
        here = known
        for statement in rule.statements:
            if isinstance(statement, Match):
                here = _narrowed(table, here, statement.left, _keys(table, statement.right, statement.operator))
            elif isinstance(statement, Nat):
                yield from _of_nat(table, statement, here)
            else:
                yield from _calls(table, statement, here, depth)


def _calls(table: Table, statement: Statement, known: _Known, depth: int) -> Iterator[Candidate]:
    """Yield what is published by the chains that a verdict or a verdict map calls."""
    if isinstance(statement, Verdict) and statement.kind in ("jump", "goto"):
        called = table.chains.get(statement.chain)
        if called is not None:
            yield from _walk(table, called, known, depth + 1)
    elif isinstance(statement, VerdictMap):
        for element in _elements(table, statement.where):
            called = table.chains.get(element.data.chain) if isinstance(element.data, Verdict) else None
            if called is not None:
                yield from _walk(table, called, _narrowed(table, known, statement.key, [element.key]), depth + 1)


def _of_nat(table: Table, statement: Nat, known: _Known) -> Iterator[Candidate]:
    """Yield the candidates of one translating rule; a map publishes each of its keys."""
    if statement.kind not in _TRANSLATING:
        return
    if statement.family:
        families = tuple(family for family in known.families if family == statement.family)
        known = replace(known, families=families)
    lookups = [each for each in (statement.address, statement.port) if isinstance(each, Lookup)]
    if not lookups:
        yield from _candidates(known)
    for lookup in lookups:
        for element in _elements(table, lookup.where):
            yield from _candidates(_narrowed(table, known, lookup.key, [element.key]))


def _candidates(known: _Known) -> Iterator[Candidate]:
    for family in known.families:
        for protocol in known.protocols or ("tcp", "udp"):
            for span in known.addresses or (Span(0, 0),):
                for port in _ports(known.ports):
                    if span.high < 1 << (32 if family == 4 else 128):
                        yield Candidate(family, protocol, port, span.low, span.high)


def _ports(spans: Iterable[Span]) -> Iterator[int]:
    given = tuple(spans)
    if not given:
        yield from WELL_KNOWN
    for span in given:
        if span.high - span.low < WHOLE_RANGE:
            yield from range(span.low, span.high + 1)
        else:
            yield from (span.low, (span.low + span.high) // 2, span.high)


def _narrowed(table: Table, known: _Known, left: Expression, keys: Sequence[Key] | None) -> _Known:
    """Return `known` with what a comparison of `left` with `keys` adds; None is a comparison that narrows nothing plain."""
    if keys is None:
        return known
    if isinstance(left, Concat):
        for place, part in enumerate(left.parts):
            parts = [key.parts[place] for key in keys if isinstance(key, Joined) and place < len(key.parts)]
            known = _narrowed(table, known, part, parts)
        return known
    if not isinstance(left, Field):
        return known
    spans = tuple(key for key in keys if isinstance(key, Span))
    return _with_field(known, left.name, spans)


def _with_field(known: _Known, name: str, spans: tuple[Span, ...]) -> _Known:
    families, protocols, ports, addresses = known.families, known.protocols, known.ports, known.addresses
    if name in _DPORTS:
        protocols, ports = _DPORTS[name] or protocols, spans
    elif name in _DADDRS:
        families, addresses = tuple(family for family in families if family == _DADDRS[name]), spans
    elif name in ("meta l4proto", "ip protocol", "ip6 nexthdr"):
        named = (_PROTOCOLS.get(number, "") for span in spans for number in (span.low, span.high))
        protocols = tuple(dict.fromkeys(protocol for protocol in named if protocol)) or ("none",)
    elif name == "meta nfproto" and spans:
        families = tuple(family for family in families if any(span.low == (2 if family == 4 else 10) for span in spans))
    if protocols == ("none",):  # a protocol without ports
        families, protocols = (), known.protocols
    return _Known(families=families, protocols=protocols, ports=ports, addresses=addresses)


def _keys(table: Table, right: object, operator: str) -> list[Key] | None:
    """Return what a comparison wants its left side to be, None when it does not say so plainly."""
    if operator != "==":
        return None
    if isinstance(right, Span | Name | Joined):
        return [right]
    if isinstance(right, Constant) and isinstance(right.value, int):
        return [Span(right.value, right.value)]
    if isinstance(right, Members | SetRef):
        keys = [element.key for element in _elements(table, right)]
        return keys or None
    return None


def _elements(table: Table, where: Members | SetRef) -> tuple[Element, ...]:
    if isinstance(where, Members):
        return where.elements
    known = None if where.ipset else table.sets.get(where.name)
    return known.elements if known is not None else ()
