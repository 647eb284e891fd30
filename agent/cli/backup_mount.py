"""`holdfast backup mount`: a repository as a directory, read-only, until it is unmounted or Ctrl-C ends it."""

from typing import TYPE_CHECKING, Any

import click

from agent.cli.backup_open import repository_options, snapshot_options
from agent.cli.text import plain
from contracts.errors import HoldfastError
from contracts.text import escape

if TYPE_CHECKING:
    from agent.wiring import Desk


@click.command()
@repository_options
@snapshot_options
@click.option("--allow-other", is_flag=True, help="Let other users in, too, as far as owners and modes let them.")
@click.option(
    "--no-lock", is_flag=True, help="Take no lock: for write-once targets, or beside a prune, which may then end reads."
)
@click.option(
    "--cache-mib", default=64, show_default=True, type=click.IntRange(1, 65536), help="Memory for what was read."
)
@click.argument("directory")
def mount(desk: "Desk", chosen: Any, allow_other: bool, no_lock: bool, cache_mib: int, directory: str) -> None:
    """Mount the snapshots at DIRECTORY, to be looked at and copied from, until it is unmounted or Ctrl-C is pressed.

    Below it are ids/, snapshots/, hosts/ and tags/, as restic's mount has them. A file that is damaged gives an input/output error, and is
    named here.
    """

    def tell(path: str, error: HoldfastError) -> None:
        click.secho(f"{plain(escape(path.encode('utf-8', 'surrogateescape')))}: {plain(error)}", fg="red", err=True)

    def mounted() -> None:
        click.echo(f"Mounted at {plain(directory)}. End it with Ctrl-C, or: umount {plain(directory)}")

    desk.mount(
        directory,
        chosen=chosen,
        allow_other=allow_other,
        locked=not no_lock,
        cache_bytes=cache_mib << 20,
        tell=tell,
        mounted=mounted,
    )
    click.echo(f"Unmounted {plain(directory)}.")
