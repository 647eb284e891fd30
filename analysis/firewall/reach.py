"""Who reaches what: evaluates every aim and puts the answers into rows of the subject `exposure`.

Three rounds: anybody at every vantage; then whom the rules name, where a rule could make a difference; then what a published port would
have met without its translation, to tell whether it goes past a firewall front end.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Datapath, Table
from analysis.firewall.named import Names
from analysis.firewall.neighbours import hidden
from analysis.firewall.probe import Answer, Cause, Probe, Verdict
from analysis.firewall.published import published
from analysis.firewall.source_ports import named_source_ports, special, usual
from analysis.firewall.strangers import strange
from analysis.firewall.targets import Aim, Place, Sockets, Targets, counted
from analysis.firewall.vantages import Somebody, Viewpoint, viewpoints
from contracts.subjects.datapath import Vantage
from contracts.subjects.exposure import Exposure
from contracts.subjects.ports import Listener

MOST_AIMS = 3000
"""Listeners times vantages; with more, attached networks are left out, and that is stated. It bounds how long the core is busy."""
MOST_EXCEPTIONS = 6000
"""Probes of networks that rules name, over all places; of more the rest is not tried, and the rows say so."""
_MOST_TEXT = 400
_MOST_UNKNOWN = 5
NOT_TRIED = "further networks that rules name were not tried"
_TRANSLATES = re.compile(r"\b(?:dnat|DNAT|redirect|REDIRECT)\b(?! accept)")
_FRONT_ENDS = (("ufw", re.compile(r"ufw6?-.*")), ("firewalld", re.compile(r"(?:INPUT_ZONES|IN_\w+|filter_INPUT\w*)")))


class Reached(NamedTuple):
    """The rows by key, how many published ports were too many to judge, from where was judged, and from where not: it was too much."""

    rows: dict[str, Exposure]
    left_out: int
    points: tuple[Viewpoint, ...]
    skipped: tuple[Viewpoint, ...]


class _Seen(NamedTuple):
    """One aim with what the evaluator says of it."""

    aim: Aim
    answer: Answer | None


def reach(
    datapath: Datapath, vantages: Sequence[Vantage], listeners: Mapping[str, Listener], names: Names | None = None
) -> Reached:
    """Return who reaches which listener and published port, and by which rule; `names` remembers what rules name."""
    ours = counted(listeners)
    datapath, unread = strange(datapath)
    points = viewpoints(vantages, datapath, *(names or Names()).of(datapath))
    offered = published(datapath)
    aims, skipped = _aims(Targets(ours, offered.candidates, datapath.network), points)
    sockets = Sockets(ours)
    spans = named_source_ports(datapath)
    port = usual(spans)
    seen = _anybody(datapath, aims, port)
    exceptions = _exceptions(datapath, seen, port)
    by_port = _from_ports(datapath, seen, special(spans, port))
    past = _past_front_ends(datapath, seen, port)
    unfound = hidden(datapath, ((point.interface, address) for point in points for address in point.addresses))
    rows: dict[str, Exposure] = {}
    for place, one in enumerate(seen):
        row = _row(one, sockets, ours)
        if row is None:
            continue
        if one.answer is not None and row.verdict == one.answer.verdict.value:
            besides = tuple(f"{each.label} not known" for each in unread if each.concerns(row.family, row.port))
            excepted = exceptions.get(place, ()) + by_port.get(place, ()) + besides
            reason = unfound.get((row.interface, row.address), "") if row.verdict == "reachable" else ""
            excepted += (f"neighbours that have to find it first blocked: {reason}",) if reason else ()
            row = replace(row, except_for=excepted, bypasses=past.get(place, ""))
        rows[key_of(row)] = row
    judged = tuple(point for point in points if point not in skipped)
    return Reached(rows, offered.left_out, judged, skipped)


def _aims(targets: Targets, points: Sequence[Viewpoint]) -> tuple[list[Aim], tuple[Viewpoint, ...]]:
    """Return what is probed, and the viewpoints that would be too much: never the internet nor this host, and the last ones first."""
    aims: list[Aim] = []
    skipped: list[Viewpoint] = []
    for point in sorted(points, key=lambda point: not (point.everywhere or not point.interface)):
        mine = targets.aims([point])
        if point.interface and not point.everywhere and len(aims) + len(mine) > MOST_AIMS:
            skipped.append(point)
        else:
            aims += mine
    return aims, tuple(skipped)


def key_of(row: Exposure) -> str:
    """Return the key of a row."""
    return f"{row.vantage} {row.protocol} {row.address} {row.port}"


def _anybody(datapath: Datapath, aims: Sequence[Aim], port: int) -> list[_Seen]:
    probed = [aim for aim in aims if not aim.barred and not aim.unjudged]
    answers = evaluate(datapath, [aim.probe(source_port=port) for aim in probed])
    told = {id(aim): answers.answer(number, steps=False) for number, aim in enumerate(probed)}
    return [_Seen(aim, told.get(id(aim))) for aim in aims]


def _from_ports(datapath: Datapath, seen: Sequence[_Seen], ports: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return, by the number of the aim, the source ports from which it is otherwise for anybody: whoever calls chooses his own."""
    places = [place for place, one in enumerate(seen) if one.answer is not None]
    places = places[: MOST_EXCEPTIONS // len(ports)] if ports else []
    probes = [seen[place].aim.probe(source_port=port) for place in places for port in ports]
    verdicts = iter(evaluate(datapath, probes).verdicts() if probes else ())
    found: dict[int, tuple[str, ...]] = {}
    for place in places:
        answer = seen[place].answer
        told = [(port, next(verdicts)) for port in ports]
        found[place] = tuple(
            f"source port {port} {verdict.value}"
            for port, verdict in told
            if answer is not None and verdict is not answer.verdict
        )
    return found


def _exceptions(datapath: Datapath, seen: Sequence[_Seen], from_port: int) -> dict[int, tuple[str, ...]]:
    """Return, by the number of the aim, the networks for whom it is otherwise than for anybody."""
    probes: list[Probe] = []
    whose: list[tuple[int, Somebody]] = []
    untried: list[int] = []
    concerned = _Concerned()
    for place, one in enumerate(seen):
        if one.answer is None:
            continue
        port = one.aim.place.port
        wanted = concerned.by(one.aim.point, port, one.answer.port or port)
        room = MOST_EXCEPTIONS - len(probes)
        if len(wanted) > room or not one.aim.point.is_all:
            untried.append(place)
        for each in wanted[:room]:
            probes.append(one.aim.probe(each.source, from_port))
            whose.append((place, each))
    verdicts = evaluate(datapath, probes).verdicts() if probes else ()
    found: dict[int, list[str]] = {}
    for (place, each), verdict in zip(whose, verdicts, strict=True):
        answer = seen[place].answer
        said = f"{each.network} {verdict.value}"
        if answer is not None and verdict is not answer.verdict and said not in found.setdefault(place, []):
            found[place].append(said)
    for place in untried:
        found.setdefault(place, []).append(NOT_TRIED)
    return {place: tuple(words) for place, words in found.items() if words}


class _Concerned:
    """Whom the rules name for a port, by viewpoint: most are named for few ports."""

    def __init__(self) -> None:
        self._by_point: dict[int, tuple[list[Somebody], dict[int, list[Somebody]]]] = {}

    def by(self, point: Viewpoint, *ports: int) -> list[Somebody]:
        """Return who may be treated otherwise at one of `ports`, before or after translation."""
        if not point.somebodies:
            return []
        wide, narrow = self._by_point.get(id(point)) or self._index(point)
        found = {each: None for each in wide if any(map(each.named.concerns, ports))}
        for port in ports:
            found.update(dict.fromkeys(narrow.get(port, ())))
        return list(found)

    def _index(self, point: Viewpoint) -> tuple[list[Somebody], dict[int, list[Somebody]]]:
        wide: list[Somebody] = []
        narrow: dict[int, list[Somebody]] = {}
        for each in point.somebodies:
            spans = each.named.ports
            if spans and all(low == high for low, high in spans):
                for port in {low for low, _ in spans}:
                    narrow.setdefault(port, []).append(each)
            else:
                wide.append(each)
        made = self._by_point[id(point)] = wide, narrow
        return made


def _past_front_ends(datapath: Datapath, seen: Sequence[_Seen], port: int) -> dict[int, str]:
    """Return, by the number of the aim, the front end that a published port goes past."""
    makers = {(table.family, table.name): maker for table in datapath.tables if (maker := front_end(table))}
    forwarded = [
        place
        for place, one in enumerate(seen)
        if one.answer is not None and one.answer.forwarded and one.answer.verdict is not Verdict.BLOCKED
    ]
    if not makers or not forwarded:
        return {}
    answers = evaluate(_untranslated(datapath), [seen[place].aim.probe(source_port=port) for place in forwarded])
    past = {}
    for number, place in enumerate(forwarded):
        answer = answers.answer(number, steps=False)
        cause = _deciding(answer)
        if answer.verdict is Verdict.BLOCKED and cause is not None:
            maker = makers.get((cause.family, cause.table), "")
            is_its_own = any(makers.get((by.family, by.table)) == maker for by in _translations(seen[place].answer))
            past[place] = "" if is_its_own else maker
    return {place: maker for place, maker in past.items() if maker}


def _translations(answer: Answer | None) -> list[Cause]:
    """Return the rules that translated the packet on its way in."""
    causes = answer.causes if answer is not None else ()
    return [cause for cause in causes if not cause.answer and _TRANSLATES.search(cause.text)]


def front_end(table: Table) -> str:
    """Return the firewall front end that made the table's chains, as far as their names tell: ufw, firewalld, or ""."""
    if table.name == "firewalld":
        return "firewalld"
    for maker, pattern in _FRONT_ENDS:
        if any(pattern.fullmatch(name) for name in table.chains):
            return maker
    return ""


def _untranslated(datapath: Datapath) -> Datapath:
    """Return the datapath without address translation: its nat chains are not hooked in."""
    tables = tuple(
        replace(
            table,
            chains={
                name: replace(chain, base=None) if chain.base is not None and chain.base.kind == "nat" else chain
                for name, chain in table.chains.items()
            },
        )
        for table in datapath.tables
    )
    return replace(datapath, tables=tables)


def _row(one: _Seen, sockets: Sockets, listeners: Mapping[str, Listener]) -> Exposure | None:
    """Return the row of one aim; None for a candidate that turns out to be neither translated nor listened at."""
    aim, answer = one.aim, one.answer
    place = aim.place
    row = Exposure(
        vantage=aim.point.vantage,
        family=place.family,
        protocol=place.protocol,
        address=place.address,
        port=place.port,
        verdict=Verdict.BLOCKED.value,
        interface=aim.point.interface,
        listener=aim.listener,
        process=_process(listeners, aim.listener),
    )
    if answer is None:
        if aim.unjudged:
            return replace(row, verdict=Verdict.UNCERTAIN.value, unknown=(aim.unjudged,))
        return replace(row, why=aim.barred) if aim.listener else None
    end = Place(place.family, place.protocol, answer.destination or place.address, answer.port or place.port)
    is_translated = (end.address, end.port) != (place.address, place.port)
    if not aim.listener and not is_translated and answer.verdict is not Verdict.UNCERTAIN:
        return None
    row = _told(row, answer)
    if is_translated:
        host = f"[{end.address}]" if ":" in end.address else end.address
        row = replace(row, delivered=f"{host}:{end.port}")
    if answer.forwarded:  # whoever listens here does not get it
        return replace(row, listener="")
    taker, why = sockets.taker(end, aim.point.interface)
    if taker:
        return replace(row, listener=taker, process=_process(listeners, taker))
    if not aim.listener and not is_translated:
        return None
    if answer.verdict is Verdict.REACHABLE:
        return replace(row, verdict=Verdict.BLOCKED.value, why=why, chain="", handle=0, unknown=())
    return row


def _told(row: Exposure, answer: Answer) -> Exposure:
    cause = _deciding(answer)
    if cause is None:
        return replace(row, verdict=answer.verdict.value, unknown=_unknown(answer))
    chain = f"{cause.family} {cause.table} {cause.chain}" if cause.chain else ""
    return replace(
        row,
        verdict=answer.verdict.value,
        why=_short(cause.text),
        chain=chain,
        handle=cause.handle,
        unknown=_unknown(answer),
    )


def _unknown(answer: Answer) -> tuple[str, ...]:
    more = len(answer.unknown) - _MOST_UNKNOWN
    return (*map(_short, answer.unknown[:_MOST_UNKNOWN]), *((f"and {more} more",) if more > 0 else ()))


def _short(text: str) -> str:
    """Return a rule's text as long as a row may hold it: there are thousands of rows, and a rule may list thousands of addresses."""
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


def _deciding(answer: Answer) -> Cause | None:
    """Return the one cause that says it best: what refused, or the last rule that let through."""
    if not answer.causes:
        return None
    if answer.verdict is Verdict.REACHABLE:
        forth = [cause for cause in answer.causes if not cause.answer] or list(answer.causes)
        rules = [cause for cause in forth if cause.what == "rule"]
        return (rules or forth)[-1]
    return answer.causes[-1]


def _process(listeners: Mapping[str, Listener], key: str) -> str:
    row = listeners.get(key)
    return row.process if row is not None else ""
