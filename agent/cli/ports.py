"""`holdfast ports`: show what listens on this server and who is behind it, or accept it as it is."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agent.cli.reach import agent_option, json_option
from agent.cli.text import blind_lines, plain, table, to_json
from agent.control import ask
from contracts.coverage import Coverage, Sight
from contracts.errors import HoldfastError, Unreachable, UsageError
from contracts.subjects.ports import SUBJECT, Listener

if TYPE_CHECKING:
    from rich.table import Table

_NEAR = 5
_HEADS = ["KEY", "REACH", "PROCESS", "PID", "USER", "UNIT", "PACKAGE", "CONTAINER", "EXECUTABLE", "JUDGED"]
_MOST_FOLDED = 300
"""More rows than this are not folded to the terminal's width: that takes rich most of a millisecond each."""


class NotFound(UsageError):
    """A key names no listener."""


@click.group()
def ports() -> None:
    """Show the listening ports, or accept them as they are."""


@ports.command()
@agent_option
@json_option
@click.option("--unexpected", is_flag=True, help="Only what neither ports.expected nor the accepted baseline names.")
def show(path: Path, as_json: bool, unexpected: bool) -> None:
    """Show every listening port with its process, user, unit, package and container, and what cannot be seen."""
    answer = _subject(path)
    sight = _sight(path)
    rows, accepted = _rows(answer["rows"]), _rows(answer.get("accepted") or {})
    has_baseline = answer.get("accepted") is not None
    marks = {key: mark(key, row, accepted, has_baseline) for key, row in rows.items()}
    if unexpected:
        rows = {key: row for key, row in rows.items() if marks[key] == "unexpected"}
    if as_json:
        shown = {key: {**msgspec.to_builtins(row), "judged": marks[key]} for key, row in rows.items()}
        body = {**answer, "rows": shown, "state": sight.state, "blind": msgspec.to_builtins(sight.blind)}
        click.echo(to_json(body, indent=2))
        return
    _print(rows, marks, sight, unexpected)


@ports.command()
@agent_option
@json_option
@click.argument("keys", nargs=-1)
def accept(path: Path, as_json: bool, keys: tuple[str, ...]) -> None:
    """Accept what listens now, or only KEYS of it (as `show` lists them); judges compare with it from now on."""
    answer = _subject(path)
    rows, accepted = answer["rows"], answer.get("accepted") or {}
    for key in keys:
        if key not in rows and key not in accepted:
            raise _no_such(key, rows)
    for line in _unseen(_sight(path)):
        click.secho(line, fg="yellow", err=True)
    arguments: dict[str, Any] = {"subject": SUBJECT, **({"keys": list(keys)} if keys else {})}
    result = ask(path, "accept", arguments)
    count = len(keys) or len(rows)
    click.echo(to_json(result) if as_json else f"Accepted {count} listener{'s' if count != 1 else ''}.")


def mark(key: str, row: Listener, accepted: Mapping[str, Listener], has_baseline: bool) -> str:
    """Return how a listener is judged: expected, accepted, unexpected, or unjudged where nothing says what should be there."""
    if row.expected:
        return "expected"
    known = accepted.get(key)
    if known is not None:
        is_same = not (known.executable and row.executable) or known.executable == row.executable
        return "accepted" if is_same else "unexpected"
    return "unexpected" if has_baseline or row.expected is False else "unjudged"


def _no_such(key: str, rows: Iterable[str]) -> HoldfastError:
    import difflib

    near = difflib.get_close_matches(key, rows, n=_NEAR, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}" if near else "see `holdfast ports show` for the keys"
    return NotFound(f'nothing listens at "{key}"', advice=advice)


def _subject(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = ask(path, "subject", {"subject": SUBJECT})
    if not answer.get("revision"):
        raise Unreachable("the ports have not been seen yet", advice="see why with `holdfast coverage`")
    return answer


def _rows(raw: Mapping[str, Any]) -> dict[str, Listener]:
    return {key: msgspec.convert(row, Listener) for key, row in raw.items()}


def _sight(path: Path) -> Sight:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    unknown = Sight(subject=SUBJECT, state="unknown")
    return next((sight for sight in coverage.sights if sight.subject == SUBJECT), unknown)


def _unseen(sight: Sight) -> Iterator[str]:
    if sight.state == "unseen":
        yield "The ports cannot be seen now; this is what was seen last."
    for blind in sight.blind:
        yield from blind_lines(msgspec.to_builtins(blind), indent="")


def _print(rows: Mapping[str, Listener], marks: Mapping[str, str], sight: Sight, unexpected: bool) -> None:
    for line in _unseen(sight):
        click.secho(line, fg="yellow")
    unjudged = sum(judged == "unjudged" for judged in marks.values())
    if unexpected and unjudged:
        advice = "look at `holdfast ports show`, then `holdfast ports accept`"
        click.secho(f"Not judged, because no baseline was accepted: {unjudged} of {len(marks)}; {advice}", fg="yellow")
    if not rows:
        if not (unexpected and unjudged):
            click.echo("Nothing unexpected listens." if unexpected else "Nothing listens.")
        return
    if not sys.stdout.isatty() or len(rows) > _MOST_FOLDED:
        for line in table([_cells(key, row, marks[key]) for key, row in sorted(rows.items(), key=_order)], _HEADS):
            click.echo(line)
        return
    from rich.console import Console  # here, because rich takes longer to import than the agent to answer

    console = Console(soft_wrap=False, highlight=False)
    console.print(_table(rows, marks))


def _cells(key: str, row: Listener, judged: str) -> list[str]:
    return [plain(word) for word in (key, _reach(row), *_who(row), judged)]


_COLOURS = {"expected": "green", "accepted": "green", "unexpected": "red", "unjudged": "yellow"}


def _table(rows: Mapping[str, Listener], marks: Mapping[str, str]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    folded = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS:
        folded.add_column(head, no_wrap=head == "KEY", overflow="fold")
    for key, row in sorted(rows.items(), key=_order):
        *cells, judged = _cells(key, row, marks[key])
        # Text, because a hostile name may hold what rich takes for markup.
        folded.add_row(*map(Text, cells), Text(judged, style=_COLOURS[judged]))
    return folded


def _order(item: tuple[str, Listener]) -> tuple[str, int, str]:
    return item[1].protocol, item[1].port, item[0]


def _reach(row: Listener) -> str:
    families = "v4 and v6" if row.family == 6 and row.scope == "any" and row.v6only is False else ""
    return f"{row.scope} {families}".strip()


def _who(row: Listener) -> tuple[str, ...]:
    if not row.owner_known:
        return ("not seen", "", "", "", "", "", "")
    pids = " ".join(map(str, row.pids[:3])) + (f" +{len(row.pids) - 3}" if len(row.pids) > 3 else "")
    executable = f"{row.executable} (deleted)" if row.executable_deleted else row.executable
    return (row.process or "(kernel)", pids, row.user, row.unit, row.package, row.container, executable)
