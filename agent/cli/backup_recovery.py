"""`holdfast backup sheet` and `backup prove`: the recovery sheet, and proofs by restoring: a few files by the agent, or everything."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.backup_open import config_option, job_option, job_options, open_desk, snapshot_options
from agent.cli.backup_told import ask_agent, have_it_looked_at, socket_option
from agent.cli.reach import json_option
from agent.cli.text import plain, size, to_json
from contracts.errors import UsageError

_EVERY_S = 0.5


@click.command()
@config_option
@socket_option
@json_option
@job_option
@click.option(
    "--full", is_flag=True, help="Restore everything into scratch space; as root here, with owners and devices."
)
@click.option(
    "--scratch", default="", help="With --full: the directory to restore into; else that of the settings, or /var/tmp."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
def prove(config: Path, socket: Path | None, as_json: bool, job: str, full: bool, scratch: str, quiet: bool) -> int:
    """Have the agent restore files of the newest snapshot, chosen by lot, and compare them; with --full all of it, with time and age."""
    given = {"job": job} if job else {}
    if scratch and not full:
        raise UsageError("--scratch says where --full restores to", advice="give both, or neither")
    if not full:
        return ask_agent(config, socket, {**given, "step": "prove"}, as_json=as_json, dry_run=False, quiet=quiet)
    if os.geteuid() != 0:
        return ask_agent(config, socket, {**given, "step": "full"}, as_json=as_json, dry_run=False, quiet=quiet)
    return _prove_here(config, socket, job, scratch, as_json=as_json, quiet=quiet)


@click.command()
@config_option
@job_option
@snapshot_options
@click.option("-r", "--repo", default="", envvar="RESTIC_REPOSITORY", help="With --kept: the repository itself.")
@click.option(
    "-p",
    "--password-file",
    type=click.Path(path_type=Path),
    envvar="RESTIC_PASSWORD_FILE",
    help="File with its password.",
)
@click.option("--kept", is_flag=True, help="Print the newest one that lies in the repository, instead of a new one.")
@click.option(
    "--target", default="/mnt/restored", show_default=True, help="The directory that its commands restore into."
)
def sheet(config: Path, job: str, chosen: Any, repo: str, password_file: Path | None, kept: bool, target: str) -> None:
    """Print the recovery sheet of this host: what it is, its keys, and the exact commands that bring it back with restic alone.

    Plain text for paper: `holdfast backup sheet | lpr`. It holds no password. Every backup keeps one in the repository, too.
    """
    from agent import wiring

    desk = open_desk(config, job, repo, password_file)
    if kept or repo:
        click.echo(desk.kept_sheet(chosen), nl=False)
        return
    name, options = desk.chosen(job_options(config), job)
    click.echo(desk.sheet(name, options, wiring.host(), target), nl=False)


def _prove_here(config: Path, socket: Path | None, job: str, scratch: str, *, as_json: bool, quiet: bool) -> int:
    from agent import wiring

    desk = open_desk(config, job, "", None)
    name, options = desk.chosen(job_options(config), job)
    host = wiring.host()
    place = scratch or options.proof.full.scratch or "/var/tmp"  # a folder of its own within, for root alone
    tell = _Teller(shown=not quiet and not as_json and sys.stderr.isatty())
    try:
        record, missed, left = desk.prove_full(name, options, host.facts().hostname, place, host.files, tell)
    finally:
        tell.end()
    have_it_looked_at(config, socket, name)
    if as_json:
        targets = [{"target": target, "measured_s": took, "declared_s": declared} for target, took, declared in missed]
        click.echo(to_json({**msgspec.to_builtins(record), "missed": targets, "not_proved_by": left}, indent=2))
    else:
        _show(record, missed, left)
    return int(bool(record.problems or missed))


def _show(record: Any, missed: Any, left: list[str]) -> None:
    for path in record.paths:
        click.secho(plain(path), fg="red", err=True)
    if record.problems:
        click.secho(f"NOT PROVED: {record.problems} entries are not what was saved.", fg="red")
    else:
        which = ", ".join(id[:8] for id in record.snapshots)
        click.secho(
            f"Proved: all of {which} restored and compared: {record.files} files, {size(record.bytes)}.", fg="green"
        )
    waited = f" ({record.paused_s:.0f} s more of waiting for others)" if record.paused_s >= 1 else ""
    click.echo(f"Time to restore: {_span(record.seconds)}{waited}. Age of the data: {_span(record.age_s)}.")
    click.echo(f"Longest time without a snapshot in the last month: {_span(record.gap_s)}.")
    for target, measured, declared in missed:
        click.secho(f"{target} MISSED: {_span(measured)}, declared are {_span(declared)}.", fg="yellow")
    for what in left:
        click.secho(f"Not proved: {plain(what)}.", fg="yellow")


class _Teller:
    """Shows on the terminal how far it is."""

    def __init__(self, shown: bool) -> None:
        self._shown, self._due, self._began = shown, 0.0, False

    def __call__(self, what: str) -> None:
        if self._shown and time.monotonic() > self._due:
            self._due, self._began = time.monotonic() + _EVERY_S, True
            click.echo(f"\r\033[K{what}", nl=False, err=True)

    def end(self) -> None:
        """Leave a clean line."""
        if self._began:
            click.echo("\r\033[K", nl=False, err=True)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
