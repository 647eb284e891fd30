"""`holdfast support-bundle`: an archive for support that holds no secrets, because nothing that could be one is put in."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agent.config import DEFAULT_PATH


@click.command("support-bundle")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    envvar="HOLDFAST_CONFIG",
    show_default=True,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: holdfast-support-TIME.tar.gz here]",
)
def support_bundle(path: Path, output: Path | None) -> None:
    """Write an archive for support: checks, numbers, states and names of our own, with a manifest. No text of yours is in it."""
    from importlib import metadata

    from agent import control, diagnose, wiring
    from agent import support_bundle as bundle
    from agent.cli.reach import DEFAULT_SOCKET, control_socket
    from settings.errors import ConfigErrors

    try:
        socket = control_socket(path)
    except ConfigErrors:  # the bundle is for such cases, too, and says which lines are wrong
        socket = DEFAULT_SOCKET

    def ask(verb: str, arguments: Mapping[str, Any]) -> Any:
        return control.ask(socket, verb, arguments)

    vocabulary = wiring.vocabulary()
    now_s = int(time.time())
    target = output or Path(time.strftime("holdfast-support-%Y%m%d-%H%M%S.tar.gz", time.gmtime(now_s)))
    parts = bundle.collect(path, vocabulary, ask, diagnose.everything(path, vocabulary), metadata.version("holdfast"))
    names = bundle.write(target, parts, now_s)
    click.echo(f"{target}: {len(names)} files: {', '.join(names)}")
