"""`holdfast console api-token`: tokens for programs that use the JSON API."""

from pathlib import Path

import click

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
from console.parts import Parts, now_ms
from console.store.records import ApiToken, Role
from contracts.errors import UsageError
from settings.units import duration


@click.group("api-token")
def api_token() -> None:
    """Make, list or revoke tokens for programs that use the JSON API."""


@api_token.command()
@config_options
@json_option
@click.option("--role", type=click.Choice([role.value for role in Role]), default="viewer", show_default=True)
@click.option("--for", "lifetime", default="90d", show_default=True, help="How long it may be used, such as 30d.")
@click.argument("name")
def create(path: Path | None, state_dir: Path | None, as_json: bool, role: str, lifetime: str, name: str) -> None:
    """Make a token for the program NAME. It is shown now and stored nowhere."""
    from console.api_tokens import ApiTokens, NewApiToken

    try:
        seconds = duration(lifetime)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from error

    async def work(parts: Parts) -> NewApiToken:
        return await ApiTokens(parts.store, now_ms).create(name, Role(role), seconds, whoami())

    made = with_parts(read_settings(path, state_dir), work)
    if as_json:
        show_json({"id": made.id, "token": made.text, "expires_ms": made.expires_ms})
        return
    click.echo(made.text)
    click.echo(f"send it until {moment(made.expires_ms)} as the header: Authorization: Bearer TOKEN", err=True)


@api_token.command("list")
@config_options
@json_option
def list_api_tokens(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the tokens, newest first; never their secrets."""

    async def work(parts: Parts) -> tuple[ApiToken, ...]:
        return await parts.store.api_tokens()

    found = with_parts(read_settings(path, state_dir), work)
    show_records(
        found,
        as_json,
        {"digest"},
        ("id", "program", "role", "state", "ends", "last used", "made by"),
        lambda one: (
            one.id,
            one.name,
            one.role.value,
            state_of(one),
            moment(one.expires_ms),
            moment(one.used_ms),
            one.created_by,
        ),
        "no tokens",
    )


@api_token.command()
@config_options
@click.argument("token_id")
def revoke(path: Path | None, state_dir: Path | None, token_id: str) -> None:
    """Let the bearer of a token in no more, at once."""
    from console.api_tokens import ApiTokens

    async def work(parts: Parts) -> None:
        await ApiTokens(parts.store, now_ms).revoke(token_id, whoami())

    with_parts(read_settings(path, state_dir), work)


def state_of(one: ApiToken) -> str:
    """Say how a token stands."""
    if one.revoked_ms:
        return "revoked"
    return "ended" if one.expires_ms <= now_ms() else "valid"
