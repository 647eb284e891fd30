"""`holdfast console ca`: the certificate authority."""

import sys
from pathlib import Path

import click

from console.authority import Authority
from console.authority_backup import back_up
from console.authority_backup import restore as restore_backup
from console.cli.options import (
    config_options,
    json_option,
    moment,
    read_settings,
    show_json,
    show_table,
    whoami,
    with_parts,
)
from console.parts import AUTHORITY, Parts, now, now_ms
from console.settings import ConsoleSettings
from contracts.errors import HoldfastError, UsageError

_passphrase_file = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="Read the passphrase from the first line of this file."
)


@click.group()
def ca() -> None:
    """Show, renew, back up or restore the certificate authority."""


@ca.command()
@config_options
@json_option
def show(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """Show the authority's generations, newest first."""
    authority = Authority.load(folder_of(read_settings(path, state_dir)))
    if as_json:
        show_json(authority.show())
        return
    rows = [(str(one.number), one.subject, moment(one.ends_ms), one.pin) for one in authority.show()]
    show_table(("generation", "subject", "ends", "pin (SHA-256 of the public key)"), rows, "no authority")


@ca.command()
@config_options
def renew(path: Path | None, state_dir: Path | None) -> None:
    """Add a generation that signs from now on; the former one stays trusted until it ends."""

    async def work(parts: Parts) -> Authority:
        renewed = parts.authority.renew(now())
        await parts.store.audit(now_ms(), whoami(), "ca.renewed", detail=f"generation {renewed.show()[0].number}")
        return renewed

    renewed = with_parts(read_settings(path, state_dir), work)
    click.echo(
        f"generation {renewed.show()[0].number} signs from now on; a running console takes it up within a minute"
    )
    click.echo("make a new backup now: holdfast console ca backup FILE", err=True)


@ca.command()
@config_options
@_passphrase_file
@click.argument("target", type=click.Path(path_type=Path))
def backup(path: Path | None, state_dir: Path | None, passphrase_file: Path | None, target: Path) -> None:
    """Write the authority to a file, encrypted with a passphrase."""
    count = back_up(folder_of(read_settings(path, state_dir)), target, ask_passphrase(passphrase_file, twice=True))
    click.echo(f"{target} holds {count} generation{'s' if count > 1 else ''}; keep it and the passphrase apart")


@ca.command()
@config_options
@_passphrase_file
@click.option("--replace", is_flag=True, help="Replace the authority that is there.")
@click.argument("source", type=click.Path(path_type=Path))
def restore(
    path: Path | None, state_dir: Path | None, passphrase_file: Path | None, replace: bool, source: Path
) -> None:
    """Bring the authority back from a backup. Stop the console first."""
    settings = read_settings(path, state_dir)
    passphrase = ask_passphrase(passphrase_file, twice=False)
    content = source.absolute()
    if not content.is_file():
        raise HoldfastError(f"{source} is not there", advice="name the backup file")
    restored = restore_backup(content, folder_of(settings), passphrase, replace=replace)
    click.echo(f"restored {len(restored.show())} generation(s); pin {restored.pin.hex()}")
    give_to_owner(settings)


def folder_of(settings: ConsoleSettings) -> Path:
    """Return the authority's folder."""
    return Path(settings.state) / AUTHORITY


def give_to_owner(settings: ConsoleSettings) -> None:
    """Give restored files to the owner of the state directory: root restores what the console must read."""
    import os

    if os.geteuid() != 0:
        return
    owner = Path(settings.state).stat()
    for entry in (folder_of(settings), *folder_of(settings).iterdir()):
        os.chown(entry, owner.st_uid, owner.st_gid, follow_symlinks=False)


def ask_passphrase(file: Path | None, *, twice: bool) -> str:
    """Return the passphrase from a file or asked for; raises `UsageError` where nobody can be asked."""
    if file is not None:
        try:
            return file.read_text().partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{file} cannot be read", advice="name a file whose first line is the passphrase"
            ) from error
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked for a passphrase here", advice="give it with --passphrase-file")
    asked: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=twice)
    return asked
