"""`holdfast console serve`: run the console in the foreground."""

import asyncio
import json
import logging
import sys
from pathlib import Path

import click
import msgspec

from console.cli.logins import ADMIN, ensure_admin, link_url
from console.cli.options import config_options, read_settings
from console.parts import Parts
from console.settings import ConsoleSettings


@click.command()
@config_options
@click.option("--people", metavar="ADDR:PORT", help="Listen here for browsers, instead.")
@click.option("--agents", metavar="ADDR:PORT", help="Listen here for agents, instead.")
@click.option("--login-link", is_flag=True, help="Print a one-time link that logs an admin in.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one line of JSON.")
def serve(
    path: Path | None, state_dir: Path | None, people: str | None, agents: str | None, login_link: bool, as_json: bool
) -> None:
    """Run the console in the foreground until SIGTERM or Ctrl-C. The first start makes its database and its certificate authority."""
    settings = listen_at(read_settings(path, state_dir), people, agents)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)
    import uvloop

    from console.serve import Serving
    from console.serve import serve as run_console

    async def started(serving: Serving, parts: Parts) -> None:
        await ensure_admin(parts)
        link = ""
        if login_link:
            link = link_url(serving.people_url, await parts.accounts.make_link(ADMIN, "console"))
        if as_json:
            click.echo(json.dumps({**msgspec.to_builtins(serving), "link": link}))
        else:
            click.echo(f"people  {serving.people_url}\nagents  {serving.agents_url}")
            if link:
                click.echo(f"log in  {link}")
        sys.stdout.flush()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_console(settings, started))


def listen_at(settings: ConsoleSettings, people: str | None, agents: str | None) -> ConsoleSettings:
    """Return the settings with the listeners that the command line names."""
    if people:
        settings = msgspec.structs.replace(settings, people=msgspec.structs.replace(settings.people, listen=people))
    if agents:
        settings = msgspec.structs.replace(settings, agents=msgspec.structs.replace(settings.agents, listen=agents))
    return settings
