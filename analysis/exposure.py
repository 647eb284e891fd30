"""Judges who can reach what: every listener and published port, from every vantage, by evaluating the real ruleset.

Its rows are the subject `exposure`. Events speak of a listener and a vantage, not of single addresses: one when it opens, one when it
closes. What cannot be decided never reads as closed: what was reachable stays so, with what is not known, until it is known better.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from msgspec import json
from msgspec.structs import replace

from analysis import exposure_events as events
from analysis.firewall.named import OWN_TABLE, Names
from analysis.firewall.reach import NOT_TRIED, Reached, reach
from analysis.firewall.reading import Reader
from analysis.firewall.vantages import detached
from analysis.unit_programs import doubted
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Event, Kind
from contracts.exposure_picture import vantage_order, who
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects import datapath, exposure, ports
from contracts.subjects.datapath import Vantage
from contracts.subjects.exposure import Exposure

_BLOCKED, _UNCERTAIN, _REACHABLE = range(3)
_LEVELS = {"blocked": _BLOCKED, "uncertain": _UNCERTAIN, "reachable": _REACHABLE}
_OWN_SETS = f"set inet {OWN_TABLE} "
_GROUND = ("link", "route")
_GONE = "nothing listens there or publishes it any more"
_NO_WAY = "nothing leads there any more"
_REACHES = " reachable"
"""How an exception ends that lets in a network (`analysis.firewall.reach`)."""


class Group(NamedTuple):
    """What one event speaks of: a listener (or a published port) and a vantage (`who`), over all its addresses."""

    vantage: str
    protocol: str
    port: int
    listener: str

    def key(self) -> str:
        """Return the key of its events."""
        return f"{self.vantage} {self.listener or f'{self.protocol} port {self.port}'}"


class _Concluded(NamedTuple):
    """The last conclusion and what it was drawn from; from the same the same follows."""

    ground: Mapping[str, datapath.Row]
    listeners: Mapping[str, ports.Listener]
    rows: Mapping[str, Exposure]
    blind: tuple[Blind, ...]


class ExposureJudge:
    """Who reaches which listener, each opening and closing stated once."""

    name: ClassVar[str] = exposure.SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = events.KINDS
    subjects: ClassVar[Mapping[str, type[Record]]] = {datapath.SUBJECT: datapath.Row, ports.SUBJECT: ports.Listener}
    row: type[Exposure] = Exposure
    every_s: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self._reader, self._names = Reader(), Names()
        self._last: _Concluded | None = None

    def judge(self, view: View, before: Snapshot[Exposure]) -> Report[Exposure]:
        """Conclude; nothing before the first look at both the datapath and the ports."""
        if any(view.snapshots[subject].first for subject in self.subjects):
            return Report()
        ways: Mapping[str, datapath.Row] = view.snapshots[datapath.SUBJECT].rows
        listeners: Mapping[str, ports.Listener] = view.snapshots[ports.SUBJECT].rows
        ground = {key: row for key, row in ways.items() if not (row.what == "set" and key.startswith(_OWN_SETS))}
        last = self._last
        if last is not None and (last.ground, last.listeners, last.rows) == (ground, listeners, before.rows):
            return Report(blind=last.blind)  # at most bans came or went, which are no matter of exposure
        given = vantages(ways)
        found = reach(self._reader.read(ways), given, listeners, self._names)
        rows = doubted(found.rows, ways, listeners)
        after = {key: _kept(before.rows.get(key), row, view.now_ms) for key, row in rows.items()}
        after |= _unseen(before.rows, after, _missing(ways, found), listeners)
        everywhere = {point.vantage for point in found.points if point.everywhere}
        said = [*_turns(before.rows, after, everywhere), *_bypasses(before.rows, after, everywhere)]
        self._last = _Concluded(ground, dict(listeners), after, tuple(_unjudged(given, found)))
        return Report(events=tuple(said), changes=compare(before.rows, after), blind=self._last.blind)


def vantages(rows: Mapping[str, datapath.Row]) -> tuple[Vantage, ...]:
    """Return the configured vantages; empty when the rows hold none."""
    return tuple(
        json.decode(row.document, type=Vantage) for row in rows.values() if row.what.split(" ")[0] == "vantage"
    )


def _unjudged(given: Sequence[Vantage], found: Reached) -> Iterator[Blind]:
    """Yield what was not judged although it was to be."""
    for name, family in detached(given, (*found.points, *found.skipped)):
        detail = "no interface that is up and no route leads there"
        fix = "Correct collectors.datapath.vantages, or bring the interface up."
        yield Blind(what=f"exposure from {name} over IPv{family}", why=Why.NOT_PRESENT, detail=detail, fix=fix)
    if found.skipped:
        names = list(dict.fromkeys(point.vantage for point in found.skipped))
        detail = f"too many for the listeners there are: {', '.join(names[:5])}" + (" …" if len(names) > 5 else "")
        fix = "Name the networks that matter in collectors.datapath.vantages."
        yield Blind(what=f"exposure from {len(names)} further networks", why=Why.TOO_LARGE, detail=detail, fix=fix)
    for point in found.points:
        if point.unmet:
            what = f"exposure of {point.unmet} further IPv{point.family} addresses of {point.interface}"
            yield Blind(what=what, why=Why.TOO_LARGE, detail="listeners on every address are judged at the first ones")
    if found.left_out:
        detail = "the rules translate more ports than are judged"
        yield Blind(what=f"exposure of {found.left_out} published ports", why=Why.TOO_LARGE, detail=detail)


def _kept(former: Exposure | None, row: Exposure, now_ms: int) -> Exposure:
    """Return `row` with what is to be kept of its former self: since when it is so, and that it was reachable if nothing refutes it."""
    if former is None:
        return replace(row, since_ms=now_ms)
    if row.verdict == "uncertain" and former.verdict == "reachable":
        return replace(former, unknown=row.unknown, process=row.process or former.process)
    return replace(row, since_ms=former.since_ms if former.verdict == row.verdict else now_ms)


def _missing(ways: Mapping[str, datapath.Row], found: Reached) -> dict[str, tuple[str, ...]]:
    """Return why nothing is known this time, by vantage; under "" what holds for all of them."""
    unread = {f"{row.what}s: {row.unread}" for row in ways.values() if row.what in _GROUND and row.unread}
    skipped = {point.vantage: ("not judged this time: too many listeners and networks",) for point in found.skipped}
    return {**skipped, **({"": tuple(sorted(unread))} if unread else {})}


def _unseen(
    before: Mapping[str, Exposure],
    after: Mapping[str, Exposure],
    missing: Mapping[str, tuple[str, ...]],
    listeners: Mapping[str, ports.Listener],
) -> dict[str, Exposure]:
    """Return the former rows that are not there only because it could not be looked from there this time: they are not closed."""
    kept = {}
    for key, row in before.items() if missing else ():
        unknown = missing.get(row.vantage) or missing.get("")
        if unknown and key not in after and (not row.listener or row.listener in listeners):
            verdict = "reachable" if row.verdict == "reachable" else "uncertain"
            kept[key] = replace(row, verdict=verdict, unknown=unknown)
    return kept


def _turns(before: Mapping[str, Exposure], after: Mapping[str, Exposure], everywhere: set[str]) -> list[Event]:
    """Return what opened, closed or became uncertain; vantages that are new are one summary."""
    then, now = _groups(before.values()), _groups(after.values())
    known, seen = {group.vantage for group in then}, {group.vantage for group in now}
    new = sorted(seen - known, key=vantage_order)
    said = [events.first_look([rows for group, rows in now.items() if group.vantage in new], new)] if new else []
    opened: list[Event] = []
    unsure: list[Event] = []
    ceased: list[Event] = []
    for group in sorted(then.keys() | now.keys()):
        if group.vantage in new:
            continue
        former, latter = then.get(group, []), now.get(group, [])
        come, gone = _named(former, latter)
        if come:
            opened.append(events.named_in(group.key(), latter, come, group.vantage in everywhere))
        if gone:
            ceased.append(events.named_out(group.key(), former, gone))
        opened += _opened(group, former, latter, group.vantage in everywhere)
        unsure += _unsure(group, former, latter, group.vantage in everywhere)
        ceased += _ceased(group, former, latter, _GONE if group.vantage in seen else _NO_WAY)
    return [
        *said,
        *events.bounded(opened, events.MANY_OPENED),
        *events.bounded(unsure, events.MANY_UNCERTAIN),
        *events.bounded(ceased, events.MANY_CLOSED),
    ]


def _opened(group: Group, former: Sequence[Exposure], latter: Sequence[Exposure], everywhere: bool) -> Iterator[Event]:
    """Yield the event that the group opened in a family where it was not open."""
    was = _levels(former)
    families = {family for family, level in _levels(latter).items() if level == _REACHABLE != was.get(family)}
    if families:
        rows = [row for row in latter if row.family in families and row.verdict == "reachable"]
        yield events.opened(group.key(), rows, everywhere)


def _named(former: Sequence[Exposure], latter: Sequence[Exposure]) -> tuple[list[str], list[str]]:
    """Return the networks for which alone the group opened, and those for which it closed; not where it opened or closed for anybody."""
    then, now = _reachable_for(former), _reachable_for(latter)
    was, is_now = _levels(former), _levels(latter)
    come = {(family, name) for family, name in now - then if was.get(family) != _REACHABLE}
    gone = {(family, name) for family, name in then - now if is_now.get(family) != _REACHABLE}
    if any(NOT_TRIED in row.except_for for row in latter):
        gone = set()  # there were too many to try: who is not named any more may still be let in
    return sorted({name for _, name in come}), sorted({name for _, name in gone})


def _reachable_for(rows: Iterable[Exposure]) -> set[tuple[int, str]]:
    """Return family and network of everybody who reaches what others there do not."""
    return {
        (row.family, said.removesuffix(_REACHES))
        for row in rows
        if row.verdict != "reachable"
        for said in row.except_for
        if said.endswith(_REACHES)
    }


def _unsure(group: Group, former: Sequence[Exposure], latter: Sequence[Exposure], everywhere: bool) -> Iterator[Event]:
    """Yield the event that the group may have opened in a family where it was closed."""
    was = _levels(former)
    families = {
        family for family, level in _levels(latter).items() if level == _UNCERTAIN and not was.get(family, _BLOCKED)
    }
    if families:
        rows = [row for row in latter if row.family in families and row.verdict == "uncertain"]
        yield events.uncertain(group.key(), rows, everywhere)


def _ceased(group: Group, former: Sequence[Exposure], latter: Sequence[Exposure], gone: str) -> Iterator[Event]:
    """Yield the event that the group closed in a family where it was (or may have been) open; `gone` is why when nothing is left of it."""
    is_now = _levels(latter)
    shut = {family for family, level in _levels(former).items() if level and is_now.get(family, 0) == _BLOCKED}
    if shut:
        rows = [row for row in former if row.family in shut and row.verdict != "blocked"]
        why = next((row.why for row in latter if row.family in shut and row.why), gone)
        yield events.closed(group.key(), rows, why)


def _bypasses(before: Mapping[str, Exposure], after: Mapping[str, Exposure], everywhere: set[str]) -> Iterator[Event]:
    """Yield which published ports begin to go past a front end, and which cease to; at a first look, too."""
    then = _groups(row for row in before.values() if row.bypasses)
    now = _groups(row for row in after.values() if row.bypasses)
    for group in sorted(now.keys() - then.keys()):
        yield events.bypass(group.key(), now[group], group.vantage in everywhere)
    for group in sorted(then.keys() - now.keys()):
        yield events.bypass_ended(group.key(), then[group][0])


def _groups(rows: Iterable[Exposure]) -> dict[Group, list[Exposure]]:
    """Return the rows by what an event speaks of; not what this host reaches of itself, which every new listener would be."""
    groups: dict[Group, list[Exposure]] = {}
    for row in rows:
        if row.interface:
            groups.setdefault(Group(who(row), row.protocol, row.port, row.listener), []).append(row)
    return groups


def _levels(rows: Iterable[Exposure]) -> dict[int, int]:
    """Return how open a group is in each family."""
    levels: dict[int, int] = {}
    for row in rows:
        levels[row.family] = max(levels.get(row.family, _BLOCKED), _LEVELS[row.verdict])
    return levels
