"""`holdfast console token`: one-time enrolment tokens."""

from pathlib import Path

import click

from console import tokens
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
from console.parts import Parts, agents_url, now_ms
from console.store.records import Token
from contracts.errors import UsageError
from settings.units import duration


@click.group()
def token() -> None:
    """Make, list or revoke enrolment tokens."""


@token.command()
@config_options
@json_option
@click.option("--for", "lifetime", default="1h", show_default=True, help="How long it may be used, such as 30m or 7d.")
@click.option("--hostname", default="", help="Only a host of this name may use it.")
@click.option("--note", default="", help="What it is for, shown in the list.")
def create(path: Path | None, state_dir: Path | None, as_json: bool, lifetime: str, hostname: str, note: str) -> None:
    """Make a token that enrols one agent, once. It is shown now and stored nowhere."""
    settings = read_settings(path, state_dir)
    try:
        seconds = duration(lifetime)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from error

    async def work(parts: Parts) -> tokens.NewToken:
        pin = parts.authority.pin
        return await tokens.create(
            parts.store, pin, now_ms, who=whoami(), lifetime_s=seconds, hostname=hostname, note=note
        )

    made = with_parts(settings, work)
    url = agents_url(settings, settings.agents.listen)
    if as_json:
        show_json({"id": made.id, "token": made.text, "expires_ms": made.expires_ms, "url": url})
        return
    click.echo(made.text)
    click.echo(f"use it once, until {moment(made.expires_ms)}: holdfast enroll {url} --token TOKEN", err=True)


@token.command("list")
@config_options
@json_option
def list_tokens(path: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the tokens, newest first; never their secrets."""

    async def work(parts: Parts) -> tuple[Token, ...]:
        return await parts.store.tokens()

    found = with_parts(read_settings(path, state_dir), work)
    show_records(
        found,
        as_json,
        {"digest", "key"},
        ("id", "state", "expires", "made by", "agent", "note"),
        lambda one: (one.id, state_of(one), moment(one.expires_ms), one.created_by, one.agent, one.note),
        "no tokens",
    )


@token.command()
@config_options
@click.argument("token_id")
def revoke(path: Path | None, state_dir: Path | None, token_id: str) -> None:
    """Make an unused token useless."""

    async def work(parts: Parts) -> None:
        if not await parts.store.revoke_token(token_id, now_ms()):
            raise UsageError(f"there is no unused token {token_id}", advice="see holdfast console token list")
        await parts.store.audit(now_ms(), whoami(), "token.revoked", f"token:{token_id}")

    with_parts(read_settings(path, state_dir), work)


def state_of(one: Token) -> str:
    """Say what has become of a token."""
    if one.revoked_ms:
        return "revoked"
    if one.used_ms:
        return "used"
    return "expired" if one.expires_ms <= now_ms() else "unused"
