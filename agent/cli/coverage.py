"""`holdfast coverage`: what this agent can and cannot see right now, and why."""

from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import blind_lines, sight_line, to_json
from agent.control import ask


@click.command()
@agent_option
@json_option
@click.option("--check", is_flag=True, help="Exit with code 1 unless everything is seen.")
def coverage(path: Path, as_json: bool, check: bool) -> int:
    """Show what this agent can and cannot see, and why; what is not wholly seen comes first."""
    answer: dict[str, Any] = ask(path, "coverage")
    if as_json:
        click.echo(to_json(answer))
    else:
        for sight in answer["sights"]:
            click.echo(sight_line(sight))
            for blind in sight["blind"]:
                for line in blind_lines(blind):
                    click.echo(line)
        if not answer["sights"]:
            click.echo("Nothing is looked at: every collector is switched off.")
    return int(check and any(sight["state"] != "seen" for sight in answer["sights"]))
