"""`holdfast console config`: check or show the console's configuration."""

from pathlib import Path

import click
import msgspec

from console.cli.options import config_options, json_option, read_settings, show_json


@click.group()
def config() -> None:
    """Check or show the console's configuration."""


@config.command()
@config_options
def check(path: Path | None, state_dir: Path | None) -> None:
    """Check the configuration and say everything that is wrong with it; exit code 78 if anything is."""
    read_settings(path, state_dir)
    click.echo("nothing wrong")


@config.command()
@config_options
@json_option
def show(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """Show every setting as it is in effect, defaults included."""
    settings = read_settings(path, state_dir)
    if as_json:
        show_json(settings)
        return
    for name, value in _flat(msgspec.to_builtins(settings), ""):
        click.echo(f"{name}: {value}")


def _flat(value: object, prefix: str) -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [row for name, inner in value.items() for row in _flat(inner, f"{prefix}.{name}" if prefix else str(name))]
