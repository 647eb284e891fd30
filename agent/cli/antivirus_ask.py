"""How the commands of `holdfast antivirus` have a deed done: progress on the way, the end, and what it answered."""

import sys
from pathlib import Path
from typing import Any

import click

from agent.cli.text import plain
from agent.control import stream
from contracts.errors import HoldfastError


class NotDone(HoldfastError):
    """The agent did as it was asked, and it did not succeed; `exit_code` is the deed's."""


def have_done(
    path: Path, action: str, arguments: dict[str, Any], *, dry_run: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Have `action` carried out and return what is told of its end; raises `NotDone`."""
    told: dict[str, Any] = {}
    shown = False
    request = {"action": action, "arguments": arguments, "dry_run": dry_run}
    for answer in stream(path, "do", request, timeout_s=None):
        if "progress" not in answer:
            told = answer
        elif not quiet and sys.stderr.isatty():
            shown = True
            click.echo(f"\r\033[K{_line(answer['progress'])}", nl=False, err=True)
    if shown:
        click.echo("\r\033[K", nl=False, err=True)
    if not told["ok"]:
        outcome = told["outcome"]
        words = outcome.get("error") or outcome.get("detail") or told["summary"]
        error = NotDone(plain(words), advice=plain(outcome.get("fix", "")))
        error.exit_code = int(told["answer"].get("code", 0)) or 1
        raise error
    return told


def _line(progress: dict[str, Any]) -> str:
    """How far it is, in one line."""
    count = f"{progress['done']:.0f} {progress['unit']}, " if progress["unit"] else ""
    return f"{count}{plain(progress['what'])}"[:200]
