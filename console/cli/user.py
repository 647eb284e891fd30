"""`holdfast console user`: the people who may log in."""

import sys
from pathlib import Path

import click

from console.cli.logins import ADMIN, ensure_admin, link_url
from console.cli.options import (
    config_options,
    json_option,
    moment,
    read_settings,
    show_json,
    show_records,
    whoami,
    with_parts,
)
from console.cli.serve import listen_at
from console.parts import Parts, people_url
from console.store.records import Role, User
from contracts.errors import UsageError

_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def user() -> None:
    """Add, list or change the people who may log in."""


@user.command()
@config_options
@_password_stdin
@click.option("--role", type=click.Choice([role.value for role in Role]), default="viewer", show_default=True)
@click.option("--no-password", is_flag=True, help="Only login links let this person in.")
@click.argument("name")
def add(
    path: Path | None, state_dir: Path | None, password_stdin: bool, role: str, no_password: bool, name: str
) -> None:
    """Add a person."""
    settings = read_settings(path, state_dir)
    password = "" if no_password else ask_password(password_stdin)

    async def work(parts: Parts) -> None:
        await parts.accounts.add(name, Role(role), password, whoami())

    with_parts(settings, work)


@user.command("list")
@config_options
@json_option
def list_users(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the people."""

    async def work(parts: Parts) -> tuple[User, ...]:
        return await parts.store.users()

    found = with_parts(read_settings(path, state_dir), work)
    show_records(
        found,
        as_json,
        {"password"},
        ("name", "role", "", "last login"),
        lambda one: (one.name, one.role.value, "disabled" if one.disabled else "", moment(one.last_login_ms)),
        "no users",
    )


@user.command()
@config_options
@_password_stdin
@click.argument("name")
def passwd(path: Path | None, state_dir: Path | None, password_stdin: bool, name: str) -> None:
    """Give a person another password and end the person's logins."""
    settings = read_settings(path, state_dir)
    password = ask_password(password_stdin)

    async def work(parts: Parts) -> None:
        await parts.accounts.set_password(name, password, whoami())

    with_parts(settings, work)


@user.command()
@config_options
@click.option("--undo", is_flag=True, help="Let the person in again.")
@click.argument("name")
def disable(path: Path | None, state_dir: Path | None, undo: bool, name: str) -> None:
    """Lock a person out and end the person's logins."""

    async def work(parts: Parts) -> None:
        await parts.accounts.set_disabled(name, not undo, whoami())

    with_parts(read_settings(path, state_dir), work)


@user.command()
@config_options
@json_option
@click.option("--people", metavar="ADDR:PORT", help="Where the console listens for browsers, if not as configured.")
@click.argument("name", default=ADMIN)
def link(path: Path | None, state_dir: Path | None, as_json: bool, people: str | None, name: str) -> None:
    """Print a link that logs a person in once, within 15 minutes."""
    settings = listen_at(read_settings(path, state_dir), people, None)

    async def work(parts: Parts) -> str:
        await ensure_admin(parts)
        return await parts.accounts.make_link(name, whoami())

    secret = with_parts(settings, work)
    address = link_url(people_url(settings, settings.people.listen), secret)
    if as_json:
        show_json({"user": name, "link": address})
    else:
        click.echo(address)


def ask_password(from_stdin: bool) -> str:
    """Return a password from standard input or asked for twice; raises `UsageError` where nobody can be asked."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked for a password here", advice="give it with --password-stdin")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
