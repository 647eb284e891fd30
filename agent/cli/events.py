"""`holdfast events`: what happened, as this agent still holds it; with `--follow` as it happens."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import clock, plain, to_json
from agent.control import ask, stream
from contracts.errors import UsageError

COLOURS = {0: None, 1: None, 2: "blue", 3: "yellow", 4: "red", 5: "red", 6: "red"}
NAMES = ("unknown", "info", "low", "medium", "high", "critical", "fatal")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@agent_option
@json_option
@click.option("--kind", default="", help="Only this kind; a * at the end stands for anything (ports.*).")
@click.option("--since", default="", help="Only since then: 30s, 15m, 2h, 7d ago, or a local time as 2026-01-31T12:00.")
@click.option("--limit", default=50, show_default=True, help="At most so many, the newest ones.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each event as it happens, until Ctrl-C.")
def events(path: Path, as_json: bool, kind: str, since: str, limit: int, follow: bool) -> None:
    """Show or follow what happened. With --json one event per line."""
    arguments = {"kind": kind, "since_ms": moment(since), "limit": limit}
    if not follow:
        found = ask(path, "events", arguments)
        for each in found:
            _show(each, as_json)
        if not found:
            click.echo("No event that this agent still holds matches." if kind or since else "No events yet.", err=True)
        return
    for each in stream(path, "events", {**arguments, "follow": True}, timeout_s=None):
        _show(each, as_json)


def moment(text: str, now: float | None = None) -> int:
    """Return what `--since` means in Unix milliseconds, 0 for nothing; raises `UsageError`."""
    if not text:
        return 0
    span = re.fullmatch(r"(\d+)([smhd])", text)
    if span:
        return round(((time.time() if now is None else now) - int(span[1]) * _UNITS[span[2]]) * 1000)
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as error:
        raise UsageError(f'"{text}" is not a time', advice="write 30s, 15m, 2h, 7d or 2026-01-31T12:00") from error


def _show(envelope: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(to_json(envelope))
        return
    event = envelope["event"]
    severity = event["severity"]
    word = click.style(f"{NAMES[severity]:8}", fg=COLOURS[severity])
    more = f" (and {event['repeats']} more like it)" if event.get("repeats") else ""
    click.echo(f"{clock(event['observed_ms'])} {word} {plain(event['kind']):28} {plain(envelope['text'])}{more}")
