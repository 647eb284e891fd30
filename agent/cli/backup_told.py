"""What the agent tells of a backup that it was asked for: progress on the way, the end in one line, restic's exit code."""

import sys
from pathlib import Path
from typing import Any

import click

from agent.cli.reach import control_socket
from agent.cli.text import plain, size, to_json
from agent.control import stream
from contracts.errors import HoldfastError

socket_option = click.option(
    "--socket", type=click.Path(path_type=Path), envvar="HOLDFAST_CONTROL", help="The agent's control socket."
)


_REVIEW_S = 60.0


class NotBackedUp(HoldfastError):
    """The agent did as it was asked, and it did not succeed; `exit_code` is restic's."""


def ask_agent(
    config: Path, socket: Path | None, arguments: dict[str, Any], *, as_json: bool, dry_run: bool, quiet: bool
) -> int:
    """Have the agent carry out the action `backup`; returns the exit code, or raises `NotBackedUp` with it."""
    told: dict[str, Any] = {}
    shown = False
    request = {"action": "backup", "arguments": arguments, "dry_run": dry_run}
    try:
        for answer in stream(socket or control_socket(config), "do", request, timeout_s=None):
            if "progress" not in answer:
                told = answer
            elif not quiet and not as_json and sys.stderr.isatty():
                shown = True
                click.echo(f"\r\033[K{progress_line(answer['progress'])}", nl=False, err=True)
    except KeyboardInterrupt:
        click.echo("\nThe agent goes on with it; see `holdfast backup status`.", err=True)
        raise
    if shown:
        click.echo("\r\033[K", nl=False, err=True)
    code = int(told["answer"].get("code", 0))
    if as_json:
        click.echo(to_json(told, indent=2))
        return code or int(not told["ok"])
    if not told["ok"]:
        outcome = told["outcome"]
        words = outcome.get("error") or outcome.get("detail") or told["summary"]
        error = NotBackedUp(plain(words), advice=plain(outcome.get("fix", "")))
        error.exit_code = code or 1
        raise error
    click.echo(plain(told["summary"]))
    return code


def have_it_looked_at(config: Path, socket: Path | None, job: str) -> None:
    """Have a running agent take note of what root did by hand for `job`; without one its next run does, which is said."""
    request = {"action": "backup", "arguments": {"job": job, "step": "review"}, "dry_run": False}
    try:
        answers = list(stream(socket or control_socket(config), "do", request, timeout_s=_REVIEW_S))
        if answers and answers[-1].get("ok"):
            return
    except (HoldfastError, OSError):
        pass
    click.echo("The agent takes note of it with its next run.", err=True)


def progress_line(progress: dict[str, Any]) -> str:
    """How far it is, in one line."""
    done, total = progress["done"], progress["total"]
    share = f" of about {size(total)}" if total else ""
    return f"{size(done)}{share}, {plain(progress['what'])}"
