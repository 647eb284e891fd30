"""`holdfast ports`: show what listens on this server and who is behind it, or accept it as it is."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agent.cli.reach import agent_option, json_option
from agent.cli.text import blind_lines, plain, to_json
from agent.control import ask
from contracts.coverage import Coverage, Sight
from contracts.errors import HoldfastError, Unreachable, UsageError
from contracts.subjects.ports import SUBJECT, Listener

if TYPE_CHECKING:
    from rich.table import Table

_NEAR = 5


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
    from rich.console import Console  # here, because rich takes longer to import than the agent to answer

    for line in _unseen(sight):
        click.secho(line, fg="yellow")
    if not rows:
        click.echo("Nothing unexpected listens." if unexpected else "Nothing listens.")
        return
    console = Console(soft_wrap=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=_width(rows), highlight=False)
    console.print(_table(rows, marks))


def _width(rows: Mapping[str, Listener]) -> int:
    """Return a width that cuts nothing off where the output goes to a file."""
    return 120 + max(len(key) + sum(map(len, _who(row))) for key, row in rows.items())


_COLOURS = {"expected": "green", "accepted": "green", "unexpected": "red", "unjudged": "yellow"}


def _table(rows: Mapping[str, Listener], marks: Mapping[str, str]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("KEY", "REACH", "PROCESS", "PID", "USER", "UNIT", "PACKAGE", "CONTAINER", "EXECUTABLE", "JUDGED"):
        table.add_column(head, no_wrap=head == "KEY", overflow="fold")
    for key, row in sorted(rows.items(), key=_order):
        judged = Text(marks[key], style=_COLOURS[marks[key]])
        # Text, because a hostile name may hold what rich takes for markup.
        table.add_row(Text(plain(key)), _reach(row), *(Text(plain(word)) for word in _who(row)), judged)
    return table


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
