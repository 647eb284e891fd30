"""`holdfast backup databases check`: the role that each database wants for its dumps, and what that role cannot read now."""

import os
import pwd
from pathlib import Path
from typing import Any

import click

from agent.cli.backup_open import config_option, job_option, job_options
from agent.cli.reach import json_option
from agent.cli.text import plain, to_json

UNREADABLE = 3
"""The exit code when something cannot be read: restic's for a backup that is not complete."""


@click.group()
def databases() -> None:
    """Databases that a job dumps."""


@databases.command()
@config_option
@job_option
@json_option
@click.option(
    "--as-user", default="", help="Ask as this Unix user; as root, that of the backup's worker when not given."
)
def check(config: Path, job: str, as_json: bool, as_user: str) -> int:
    """Print the statements that make each database's role, and what it cannot read now; exit code 3 when there is something."""
    from agent import wiring

    desk = wiring.backup_desk()
    name, options = desk.chosen(job_options(config), job)
    found = list(desk.sources(options, wiring.host(), as_user or _worker()))
    code = 0 if all(reach.whole for reach in found) else UNREADABLE
    if as_json:
        click.echo(to_json([_json(reach) for reach in found], indent=2))
        return code
    if not found:
        click.echo(f"The job {name} dumps no database; add them under databases in its settings.")
    for reach in found:
        _show(reach)
    return code


def _worker() -> str:
    """The user that dumps by day, so that root sees what it sees; "" where this is not root or there is no such user."""
    from agent import privileges

    user = privileges.WORKERS["backup"].user
    try:
        pwd.getpwnam(user)
    except KeyError:
        return ""
    return user if os.geteuid() == 0 else ""


def _show(reach: Any) -> None:
    click.secho(f"{reach.product} {reach.name}", bold=True)
    if reach.statements:
        click.echo("  The role for it, to be made once by an administrator:")
        for line in reach.statements.rstrip("\n").splitlines():
            click.echo(f"    {plain(line)}")
    if reach.failed:
        click.secho(f"  NOT ASKED: {plain(reach.failed)}", fg="red")
    for blind in reach.unreadable:
        detail = f" ({blind.detail})" if blind.detail else ""
        click.secho(f"  cannot read {plain(blind.what + detail)}", fg="red")
        if blind.fix:
            click.echo(f"    {plain(blind.fix)}")
    if reach.whole:
        click.secho("  Everything of it can be read.", fg="green")


def _json(reach: Any) -> dict[str, Any]:
    unreadable = [
        {"what": blind.what, "why": str(blind.why), "detail": blind.detail, "fix": blind.fix}
        for blind in reach.unreadable
    ]
    about = {name: getattr(reach, name) for name in ("name", "product", "statements", "failed")}
    return {**about, "unreadable": unreadable}
