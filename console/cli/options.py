"""What every console command shares: which configuration, which state directory, JSON or text, and working as the console's own user."""

import asyncio
import json
import os
import pwd
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from console.parts import Parts, open_parts
from console.settings import ConsoleSettings
from contracts.errors import HoldfastError
from settings.load import load

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_PATH = Path("/etc/holdfast/console.yaml")


def config_options(command: F) -> F:
    """Add `-c FILE` and `--state-dir DIR`."""
    file = click.option(
        "-c",
        "--config",
        "path",
        type=click.Path(path_type=Path),
        envvar="HOLDFAST_CONSOLE_CONFIG",
        help=f"The configuration file.  [default: {DEFAULT_PATH} where it exists]",
    )
    state = click.option(
        "--state-dir", type=click.Path(path_type=Path), help="Where the database and the authority are, instead."
    )
    return file(state(command))


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def read_settings(path: Path | None, state_dir: Path | None) -> ConsoleSettings:
    """Return the settings; without a file named and none in its usual place, the defaults. Raises `ConfigErrors`."""
    found = path or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
    settings = load(found, ConsoleSettings) if found else ConsoleSettings()
    if state_dir is not None:
        settings = msgspec.structs.replace(settings, state=str(state_dir.absolute()))
    return settings


def become_owner(state: Path) -> None:
    """Work as the owner of the state directory when run by root, so that no file there becomes root's."""
    if os.geteuid() != 0 or not state.exists():
        return
    owner = state.stat()
    if owner.st_uid == 0:
        return
    os.setgroups([])
    os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
    os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)


def with_parts(settings: ConsoleSettings, work: Callable[[Parts], Awaitable[T]]) -> T:
    """Open the console's store and authority, run `work`, and close them."""
    state = Path(settings.state)
    if not state.exists():
        raise HoldfastError(
            f"there is no console in {state}", advice="start it once, or name its directory with --state-dir"
        )
    whoami()  # while the one at the command line is still known
    become_owner(state)

    async def run() -> T:
        parts = open_parts(settings)
        try:
            return await work(parts)
        finally:
            await parts.store.close()

    return asyncio.run(run())


@cache
def whoami() -> str:
    """Return who is at the command line, for the audit log."""
    name = os.environ.get("SUDO_USER") or os.environ.get("USER")
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
    return f"cli:{name}"


def show_json(value: Any) -> None:
    """Write `value` as JSON."""
    click.echo(json.dumps(msgspec.to_builtins(value), indent=2))


def show_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    """Write rows in columns, or the sentence `nothing`."""
    if not rows:
        click.echo(nothing)
        return
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_records(
    found: Sequence[msgspec.Struct],
    as_json: bool,
    hidden: set[str],
    heads: tuple[str, ...],
    row: Callable[[Any], tuple[str, ...]],
    nothing: str,
) -> None:
    """Write records as JSON without the fields `hidden`, or one line of columns each."""
    if as_json:
        show_json([{n: getattr(one, n) for n in one.__struct_fields__ if n not in hidden} for one in found])
        return
    show_table(heads, [row(one) for one in found], nothing)


def moment(at_ms: int) -> str:
    """Return a time for people, in UTC; "-" for never."""
    import datetime as dt

    if not at_ms:
        return "-"
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
