"""`holdfast check-config` and `holdfast config`: what the configuration says, what it could say, and what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.text import to_json
from agent.config import DEFAULT_PATH, load_agent

if TYPE_CHECKING:
    from agent.settings import Vocabulary

_file = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    envvar="HOLDFAST_CONFIG",
    show_default=True,
    help="The configuration file; the folder beside it with the suffix .d is read too.",
)


@click.command("check-config")
@_file
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def check_config(path: Path, quiet: bool, as_json: bool) -> int:
    """Check a configuration and say everything that is wrong with it; exit code 78 if anything is."""
    from settings.errors import ConfigErrors

    try:
        loaded = load_agent(path, _vocabulary())
    except ConfigErrors as error:
        if not as_json:
            raise
        click.echo(to_json([{name: getattr(item, name) for name in item.__struct_fields__} for item in error.items]))
        return error.exit_code
    if as_json:
        click.echo("[]")
    elif not quiet:
        click.echo(f"{', '.join(str(file) for file in loaded.files)}: nothing wrong")
    return 0


@click.group()
def config() -> None:
    """Show the configuration, its schema, a sample or its reference."""


@config.command()
@_file
@click.option("--origin", is_flag=True, help="Say behind every setting where its value came from.")
@click.option("--json", "as_json", is_flag=True, help="Write name, value and origin of every setting as JSON.")
def show(path: Path, origin: bool, as_json: bool) -> None:
    """Show every setting as it is in effect, defaults included. Secrets are shown as the references they are."""
    from settings.flat import flat

    settings = list(flat(load_agent(path, _vocabulary())))
    if as_json:
        rows = [{"setting": each.path, "value": each.written, "origin": each.origin} for each in settings]
        click.echo(to_json(rows, indent=2))
        return
    width = min(60, max(len(f"{each.path}: {each.written}") for each in settings))
    for each in settings:
        line = f"{each.path}: {each.written}"
        click.echo(f"{line:{width}}  # {each.origin}" if origin else line)


@config.command()
def schema() -> None:
    """Write the JSON Schema of agent.yaml, for editors."""
    from agent.generate import agent_schema

    click.echo(agent_schema(_vocabulary()), nl=False)


@config.command()
def sample() -> None:
    """Write a commented sample of agent.yaml; it means exactly the defaults."""
    from agent.generate import agent_sample

    click.echo(agent_sample(_vocabulary()), nl=False)


@config.command()
def reference() -> None:
    """Write the reference page of all settings as Markdown."""
    from agent.generate import agent_reference

    click.echo(agent_reference(_vocabulary()), nl=False)


def _vocabulary() -> "Vocabulary":
    from agent import wiring

    return wiring.vocabulary()
