"""`holdfast firewall guard`: let the guard rest while the firewall is worked on, call it back, or have it restore now."""

from pathlib import Path

import click

from agent.cli.firewall_policy import do
from agent.cli.reach import agent_option, json_option
from agent.cli.text import clock, plain, to_json
from contracts.errors import UsageError


@click.group()
def guard() -> None:
    """Let the guard of the firewall (firewall.guard) rest, call it back, or have it restore now."""


@guard.command()
@agent_option
@json_option
@click.argument("duration")
def pause(path: Path, as_json: bool, duration: str) -> None:
    """Announce work on the firewall: for DURATION (30m, 2h) the guard only watches."""
    answer = do(path, "guard_pause", {"seconds": _seconds(duration)})
    click.echo(to_json(answer, indent=2) if as_json else f"The guard rests until {clock(answer['until_ms'])}.")


@guard.command()
@agent_option
@json_option
def resume(path: Path, as_json: bool) -> None:
    """End a pause: the guard is awake again."""
    answer = do(path, "guard_pause", {"seconds": 0})
    click.echo(to_json(answer, indent=2) if as_json else "The guard is awake.")


@guard.command()
@agent_option
@json_option
def restore(path: Path, as_json: bool) -> None:
    """Bring back now what was accepted and is missing; says what that was."""
    answer = do(path, "guard_restore", {})
    click.echo(to_json(answer, indent=2) if as_json else plain(answer["summary"]).capitalize() + ".")


def _seconds(text: str) -> int:
    from settings.units import duration

    try:
        return round(duration(text))
    except ValueError as error:
        raise UsageError(f"DURATION: {error}") from error
