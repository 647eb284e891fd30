"""`holdfast backup restore`: a snapshot, a folder of it or some paths, to another place or in place; as root, without the agent."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from agent.cli.backup_open import repository_options, snapshot_options
from agent.cli.reach import json_option
from agent.cli.text import plain, size, to_json
from contracts.text import escape

if TYPE_CHECKING:
    from agent.wiring import Desk

_EVERY_S = 0.5


@click.command()
@repository_options
@snapshot_options
@json_option
@click.argument("snapshot")
@click.argument("paths", nargs=-1)
@click.option("-t", "--target", required=True, help="The directory to restore into; / for in place.")
@click.option(
    "--overwrite",
    type=click.Choice(["always", "if-changed", "never"]),
    default="always",
    show_default=True,
    help="What becomes of files that are there already; what the snapshot does not hold always stays.",
)
@click.option("-e", "--exclude", "excludes", multiple=True, help="Leave out what matches; may be repeated.")
@click.option("--verify", is_flag=True, help="Read back and compare what was written.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written and replaced.")
@click.option("--no-lock", is_flag=True, help="Take no lock: for write-once targets, where it could never be removed.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
def restore(
    desk: "Desk",
    chosen: Any,
    as_json: bool,
    snapshot: str,
    paths: tuple[str, ...],
    target: str,
    overwrite: str,
    excludes: tuple[str, ...],
    verify: bool,
    dry_run: bool,
    no_lock: bool,
    quiet: bool,
) -> int:
    """Restore SNAPSHOT (an id, its beginning, or latest; with :FOLDER that folder), or only PATHS of it; exit code 1 if anything failed."""
    if dry_run:
        given: dict[str, Any] = {"chosen": chosen, "paths": paths, "excludes": excludes}
        meant = desk.preview(snapshot, target, **given, overwrite=overwrite, verify=verify)
        return _show_preview(*meant, target, as_json)
    due = 0.0
    shown = not quiet and not as_json and sys.stderr.isatty()

    def pulse(done: Any) -> None:
        nonlocal due
        if shown and time.monotonic() > due:
            due = time.monotonic() + _EVERY_S
            click.echo(f"\r\033[K{done.files} files, {size(done.bytes)}", nl=False, err=True)

    try:
        id, done = desk.restore(
            snapshot,
            target,
            chosen=chosen,
            paths=paths,
            excludes=excludes,
            overwrite=overwrite,
            verify=verify,
            locked=not no_lock,
            pulse=pulse,
        )
    finally:
        if due:
            click.echo("\r\033[K", nl=False, err=True)
    if as_json:
        failed = [{"path": escape(told.path), "what": told.what} for told in done.failed]
        counts = {name: getattr(done, name) for name in ("files", "dirs", "others", "bytes", "unchanged", "skipped")}
        click.echo(to_json({"snapshot": id, **counts, "failed": failed}, indent=2))
        return int(bool(done.failed))
    for told in done.failed:
        click.secho(f"{plain(escape(told.path))}: {plain(told.what)}", fg="red", err=True)
    more = f", {done.unchanged} were unchanged" if done.unchanged else ""
    more += f", {done.skipped} were left" if done.skipped else ""
    more += f", {len(done.failed)} failed" if done.failed else ""
    verified = " and verified" if verify else ""
    click.echo(
        f"Restored{verified} {done.files} files, {size(done.bytes)}, of snapshot {id[:8]} to {plain(target)}{more}."
    )
    return int(bool(done.failed))


def _show_preview(id: str, found: Any, target: str, as_json: bool) -> int:
    named = [(escape(told.path), told.what) for told in found.named]
    if as_json:
        names = ("new", "replaced", "alike", "unchanged", "left", "failed", "dirs", "bytes")
        click.echo(
            to_json({"snapshot": id, **{name: getattr(found, name) for name in names}, "named": named}, indent=2)
        )
        return int(found.failed > 0)
    for path, what in named:
        click.echo(f"{plain(path)} {what}")
    more = f" ({found.alike} of them seem the same)" if found.alike else ""
    click.echo(
        f"Snapshot {id[:8]} would write {found.new} new and replace {found.replaced} entries{more} at {plain(target)}, "
        f"{size(found.bytes)}; {found.unchanged} are unchanged"
        + (f", {found.left} would be left" if found.left else "")
        + (f", {found.failed} would fail." if found.failed else ".")
    )
    return int(found.failed > 0)
