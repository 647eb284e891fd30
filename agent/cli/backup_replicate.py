"""`holdfast backup replicate`: bring the copies of a job up to date; how to make a server write-once; try to destroy the copies."""

from pathlib import Path

import click

from agent.cli.backup_open import config_option, job_option, job_options
from agent.cli.backup_told import ask_agent, socket_option
from agent.cli.reach import json_option


@click.group(invoke_without_command=True)
@config_option
@socket_option
@json_option
@job_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
@click.pass_context
def replicate(context: click.Context, config: Path, socket: Path | None, as_json: bool, job: str, quiet: bool) -> int:
    """Have the agent bring every copy of a job up to date, and try to destroy it; exit code 1 when a copy is not whole or not safe."""
    if context.invoked_subcommand is not None:
        return 0
    given = {"job": job} if job else {}
    return ask_agent(config, socket, {**given, "step": "replicate"}, as_json=as_json, dry_run=False, quiet=quiet)


@replicate.command()
@config_option
@job_option
@click.option(
    "--base",
    default="/srv/holdfast",
    show_default=True,
    help="The folder on the server that the account is locked into.",
)
def setup(config: Path, job: str, base: str) -> None:
    """Print what to do on each server so that it takes copies and never lets this host destroy them, and how to restore from there."""
    from agent import wiring

    desk = wiring.backup_desk()
    name, options = desk.chosen(job_options(config), job)
    for text in desk.write_once(name, options, base):
        click.echo(text)
