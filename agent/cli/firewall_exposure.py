"""`holdfast firewall exposure`: who can reach which listener and by which rule, and one probe explained step by step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, plain, to_json
from agent.control import ask
from contracts.coverage import Coverage, Sight
from contracts.errors import Unreachable, UsageError
from contracts.exposure_picture import flows, lines, through, vantage_order, who
from contracts.subjects import datapath, exposure, ports
from contracts.subjects.datapath import Vantage
from contracts.subjects.exposure import Exposure
from contracts.subjects.ports import Listener

if TYPE_CHECKING:
    from analysis.firewall.model import Datapath
    from analysis.firewall.probe import Answer, Probe

_COLOURS = {"reachable": "cyan", "uncertain": "yellow", "blocked": "green"}
_ORDER = ("reachable", "uncertain", "blocked")
_LOOK_S = 120.0


class Question(NamedTuple):
    """What was asked on the command line."""

    source: str
    from_port: int
    to_port: int
    destination: str
    udp: bool
    interface: str
    explain: bool


class Asked(NamedTuple):
    """One probe with its answer; `taker` is who takes the packet where it ends, `nobody` why nobody does.

    `hidden` says what keeps neighbours from finding the address in the first place.
    """

    probe: "Probe"
    answer: "Answer"
    taker: str
    nobody: str
    hidden: str = ""


@click.command("exposure")
@agent_option
@json_option
@click.option("--from", "source", metavar="ADDR", default="", help="Judge for this source instead of the vantages.")
@click.option(
    "--from-port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="With --to-port: call from this port, by default from one that clients have and no rule names.",
)
@click.option("--to-port", type=click.IntRange(1, 65535), metavar="N", help="Ask about this port alone.")
@click.option(
    "--to",
    "destination",
    metavar="ADDR",
    default="",
    help="With --to-port: this destination, by default every own address met.",
)
@click.option("--udp", is_flag=True, help="With --to-port: UDP instead of TCP.")
@click.option(
    "--interface",
    metavar="I",
    default="",
    help="Where it arrives, by default where the route back to the source leads.",
)
@click.option("--explain", is_flag=True, help="With --to-port: tell each step on the way, with rule and handle.")
@click.option("--look", is_flag=True, help="Look at firewall and ports first, instead of taking what was seen last.")
def exposure_command(path: Path, as_json: bool, look: bool, **asked: Any) -> None:
    """Show who can reach which listener and by which rule, or explain one probe (--from, --to-port, --explain)."""
    question = Question(**{**asked, "to_port": asked["to_port"] or 0, "from_port": asked["from_port"] or 0})
    _check(question)
    notes = list(_looked(path)) if look else []
    sights = _sights(path)
    notes += _notes(sights)
    if question.to_port:
        _probe(path, question, notes, as_json)
        return
    rows = _rows(path, question, fresh=look)
    if as_json:
        seen = {name: sight.last_ok_ms for name, sight in sights.items()}
        click.echo(to_json({"rows": msgspec.to_builtins(rows), "seen_ms": seen, "notes": notes}, indent=2))
        return
    _say(notes)
    for line in shown(rows):
        click.echo(line)


def _check(question: Question) -> None:
    for option, text in (("--from", question.source), ("--to", question.destination)):
        if text and not _is_address(text):
            raise UsageError(f'{option}: "{text}" is not an IP address', advice="write 203.0.113.7 or 2001:db8::7")
    if not question.to_port and (question.destination or question.udp or question.explain or question.from_port):
        raise UsageError("--to, --udp, --from-port and --explain are about one port", advice="add --to-port N")
    if question.interface and not (question.source or question.to_port):
        raise UsageError("--interface is about one source or one port", advice="add --from ADDR or --to-port N")
    if question.source and question.destination:
        families = {ip_address(question.source).version, ip_address(question.destination).version}
        if len(families) > 1:
            raise UsageError("--from and --to are addresses of different families", advice="name two of one family")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _looked(path: Path) -> Iterator[str]:
    """Have firewall and ports looked at; yield what went wrong with that."""
    for subject in (datapath.SUBJECT, ports.SUBJECT):
        outcome = ask(path, "look", {"subject": subject}, timeout_s=_LOOK_S).get("outcome") or {}
        detail = outcome.get("detail") or outcome.get("error")
        if detail:
            yield f"The look at {subject} failed ({plain(detail)}): what follows is from what was seen before."


def _sights(path: Path) -> dict[str, Sight]:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    known = {sight.subject: sight for sight in coverage.sights}
    return {
        name: known.get(name, Sight(subject=name, state="unknown")) for name in (datapath.SUBJECT, ports.SUBJECT)
    } | {name: known[name] for name in (exposure.SUBJECT,) if name in known}


def _notes(sights: Mapping[str, Sight]) -> Iterator[str]:
    """Yield how old the data is, and what of it cannot be seen."""
    yield ", ".join(f"{name} seen {ago(sight.last_ok_ms)}" for name, sight in sights.items() if sight.last_ok_ms)
    for name, sight in sights.items():
        if sight.state == "unseen":
            yield f"The {name} cannot be seen now; what follows is from what was seen last."
        for blind in sight.blind:
            yield from blind_lines(msgspec.to_builtins(blind), indent="")


def _say(notes: Sequence[str]) -> None:
    age, *rest = notes or [""]
    for line in rest:
        click.secho(line, fg="yellow")
    if age:
        click.echo(age[0].upper() + age[1:])


def _rows(path: Path, question: Question, fresh: bool) -> dict[str, Exposure]:
    """Return the judge's rows, or with another source (or a fresh look) what this process concludes itself."""
    if not question.source and not fresh:
        return {key: msgspec.convert(row, Exposure) for key, row in _subject(path, exposure.SUBJECT)["rows"].items()}
    from analysis.exposure import vantages
    from analysis.firewall.reach import reach

    ways, listeners = _ways(path), _listeners(path)
    model = _read(ways)
    given = (_asker(question, model),) if question.source else vantages(ways)
    return reach(model, given, listeners).rows


def _asker(question: Question, model: "Datapath") -> Vantage:
    """Return the vantage that the source stands for: this host itself for one of its own addresses."""
    from analysis.firewall.addresses import is_loopback, number

    family, address = number(question.source)
    _check_interface(question, model)
    links = model.network.links.values()
    own = any((address, family) == (held[0], held[3]) for link in links for held in link.addresses)
    interface = "lo" if own or is_loopback(family, address) else question.interface
    return Vantage(name=question.source, sources=(question.source,), interface=interface)


def _check_interface(question: Question, model: "Datapath") -> None:
    links = model.network.links.values()
    if question.interface and not any(link.name == question.interface and link.up for link in links):
        raise UsageError(f"there is no interface {question.interface} that is up", advice="see `ip link`")


def _subject(path: Path, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = ask(path, "subject", {"subject": name})
    if not answer.get("revision"):
        raise Unreachable(f"the subject {name} has not been seen yet", advice="see why with `holdfast coverage`")
    return answer


def _ways(path: Path) -> dict[str, datapath.Row]:
    return {key: msgspec.convert(row, datapath.Row) for key, row in _subject(path, datapath.SUBJECT)["rows"].items()}


def _listeners(path: Path) -> dict[str, Listener]:
    return {key: msgspec.convert(row, Listener) for key, row in _subject(path, ports.SUBJECT)["rows"].items()}


def _read(ways: Mapping[str, datapath.Row]) -> "Datapath":
    from analysis.firewall.reading import read

    return read(ways)


def _probe(path: Path, question: Question, notes: Sequence[str], as_json: bool) -> None:
    """Ask about one port and say what comes of it."""
    answered = probed(question, _ways(path), _listeners(path))
    if as_json:
        told = [{name: msgspec.to_builtins(value) for name, value in each._asdict().items()} for each in answered]
        click.echo(to_json({"probes": told, "notes": list(notes)}, indent=2))
        return
    from analysis.firewall.picture import explained

    _say(notes)
    for each in answered:
        click.echo()
        for line in explained(*each[:4], steps=question.explain):
            verdict = each.answer.verdict.value
            is_answer = line.startswith("Answer:")
            click.echo(click.style(plain(line), fg=_COLOURS[verdict], bold=True) if is_answer else plain(line))
        if each.hidden:
            click.secho(
                plain(f"But:      neighbours that have to find it first are blocked: {each.hidden}"), fg="yellow"
            )


def probed(question: Question, ways: Mapping[str, datapath.Row], listeners: Mapping[str, Listener]) -> list[Asked]:
    """Return the probes that answer the question: one per own address that the source meets, or the one destination."""
    from analysis.exposure import vantages
    from analysis.firewall.evaluate import evaluate
    from analysis.firewall.neighbours import hidden
    from analysis.firewall.probe import Probe
    from analysis.firewall.source_ports import named_source_ports, usual
    from analysis.firewall.strangers import strange
    from analysis.firewall.targets import Place, Sockets, counted

    read = _read(ways)
    _check_interface(question, read)
    if not question.source:  # anybody is in no set of sources, as in the table
        read, _ = strange(read)
    source_port = question.from_port or usual(named_source_ports(read))
    protocol = "udp" if question.udp else "tcp"
    probes = [
        Probe(
            family=ip_address(destination).version,
            protocol=protocol,
            source=source,
            destination=destination,
            port=question.to_port,
            interface=interface,
            source_port=source_port,
        )
        for source, destination, interface in _ends(question, read, vantages(ways))
    ]
    answers = evaluate(read, probes)
    sockets = Sockets(counted(listeners))
    unfound = hidden(read, ((probe.interface, probe.destination) for probe in probes))
    found = []
    for number, probe in enumerate(probes):
        answer = answers.answer(number)
        taker = nobody = ""
        if not answer.forwarded:
            end = Place(probe.family, protocol, answer.destination or probe.destination, answer.port or probe.port)
            key, nobody = sockets.taker(end, probe.interface)
            taker = f"{listeners[key].process or 'a process not known'} ({key})" if key else ""
        found.append(Asked(probe, answer, taker, nobody, unfound.get((probe.interface, probe.destination), "")))
    return found


def _ends(question: Question, read: "Datapath", given: Sequence[Vantage]) -> Iterator[tuple[str, str, str]]:
    """Yield source, destination and interface of each probe."""
    from analysis.firewall.named import named
    from analysis.firewall.vantages import viewpoints

    if question.source:
        points = viewpoints((_asker(question, read),), read, (), ())
    else:
        points = tuple(point for point in viewpoints(given, read, *named(read)) if point.everywhere)
    if question.destination:
        family = ip_address(question.destination).version
        points = tuple(point for point in points if point.family == family)
    if not points:
        where = f"to {question.source}" if question.source else "to the internet"
        raise UsageError(
            f"no route leads back {where}, so it is not known where it arrives", advice="add --interface I"
        )
    for point in points:
        own = () if point.interface or not question.source else (question.source,)
        for destination in (question.destination,) if question.destination else own or point.addresses:
            yield (point.source if point.interface else destination), destination, question.interface or point.interface


def shown(rows: Mapping[str, Exposure]) -> Iterator[str]:
    """Yield the table per vantage and listener, then the picture."""
    if not rows:
        yield "Nothing listens and nothing is published."
        return
    for vantage in sorted({who(row) for row in rows.values()}, key=vantage_order):
        mine = [row for row in rows.values() if who(row) == vantage]
        by = ", ".join(sorted({row.interface for row in mine if row.interface})) or "this host itself"
        yield ""
        yield click.style(plain(f"From {vantage} ({by})"), bold=True)
        yield from _table(mine)
    yield ""
    yield click.style("Who -> which chain -> what", bold=True)
    for line in lines(flows(row for row in rows.values() if row.interface)):
        yield "  " + plain(line)


def _table(rows: Iterable[Exposure]) -> Iterator[str]:
    """Yield one line per listener, its addresses together where the same holds for them; exceptions below."""
    together: dict[tuple[Any, ...], list[Exposure]] = {}
    for row in rows:
        same = (row.protocol, row.port, row.process, row.verdict, row.why, row.chain, row.delivered, row.except_for)
        together.setdefault((*same, row.bypasses, row.unknown), []).append(row)
    ordered = sorted(together.values(), key=lambda group: (_ORDER.index(group[0].verdict), group[0].port))
    cells = [[plain(cell) for cell in _cells(group)] for group in ordered]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    for group, line in zip(ordered, cells, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        padded[0] = click.style(padded[0], fg=_COLOURS[group[0].verdict])
        yield "  ".join(["", *padded, line[4]]).rstrip()
        for exception in group[0].except_for:
            yield plain(f"      but {exception}")


def _cells(group: Sequence[Exposure]) -> list[str]:
    row = group[0]
    sent = f" -> {row.delivered}" if row.delivered else ""
    is_fact = row.why and not row.chain and not row.unknown
    why = row.why if is_fact else through(row)
    if row.chain and row.why and not row.unknown:
        why += f" [handle {row.handle}]: {row.why}" if row.handle else f": {row.why}"
    places = sorted({each.address for each in group})
    return [row.verdict, f"{row.port}/{row.protocol}", row.process or "-", f"{', '.join(places)}{sent}", why]
