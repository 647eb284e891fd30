"""`holdfast backup ls|find|diff|dump|cat`: what is in a repository, in restic's words."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from agent.cli.backup_open import repository_options, snapshot_options
from agent.cli.reach import json_option
from agent.cli.text import plain, size, to_json
from contracts.errors import HoldfastError, UsageError
from contracts.text import escape

if TYPE_CHECKING:
    from agent.wiring import Desk


_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


class Troubles:
    """Collects directories that could not be read, so that the rest is shown and the exit code says that something is missing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: bytes, error: HoldfastError) -> None:
        self.count += 1
        click.secho(f"{plain(escape(path))}: {plain(error)}", fg="red", err=True)

    @property
    def code(self) -> int:
        """The exit code."""
        return int(self.count > 0)


@click.command()
@repository_options
@snapshot_options
@json_option
@click.option("-l", "--long", is_flag=True, help="Show modes, owners, sizes and times, too.")
@click.option("-R", "--recursive", is_flag=True, help="Of the FOLDERS show everything below them.")
@click.argument("snapshot", default="latest")
@click.argument("folders", nargs=-1)
def ls(
    desk: "Desk", chosen: Any, as_json: bool, long: bool, recursive: bool, snapshot: str, folders: tuple[str, ...]
) -> int:
    """List what SNAPSHOT holds, or of it what is in FOLDERS."""
    troubles = Troubles()
    id, found, entries = desk.entries(snapshot, folders, recursive=recursive, chosen=chosen, trouble=troubles)
    if as_json:
        click.echo(to_json({**desk.snapshot_json(id, found), "struct_type": "snapshot"}))
    count = 0
    for entry in entries:
        count += 1
        if as_json:
            click.echo(to_json(desk.entry_json(entry)))
        else:
            click.echo(plain(desk.long_line(entry)) if long else plain(escape(entry.path)))
    if folders and not count and not troubles.count:
        click.echo(f"snapshot {id[:8]} holds nothing there; see `holdfast backup ls {id[:8]}` or `find`", err=True)
        return 1
    return troubles.code


@click.command()
@repository_options
@snapshot_options
@json_option
@click.option("-i", "--ignore-case", is_flag=True, help="Take no notice of case.")
@click.option(
    "-s", "--snapshot", "words", multiple=True, help="Search this snapshot; may be repeated. Else all are searched."
)
@click.option(
    "-O",
    "--oldest",
    default="",
    metavar="TIME",
    help="Only what was changed at or after (2026-01-31 or 2026-01-31 15:04:05).",
)
@click.option("-N", "--newest", default="", metavar="TIME", help="Only what was changed at or before.")
@click.option("-l", "--long", is_flag=True, help="Show modes, owners, sizes and times, too.")
@click.option("--blob", "kind", flag_value="blob", help="The words are ids of blobs.")
@click.option("--tree", "kind", flag_value="tree", help="The words are ids of trees.")
@click.option("--pack", "kind", flag_value="pack", help="The words are ids of packs.")
@click.argument("patterns", nargs=-1, required=True)
def find(
    desk: "Desk",
    chosen: Any,
    as_json: bool,
    ignore_case: bool,
    words: tuple[str, ...],
    oldest: str,
    newest: str,
    long: bool,
    kind: str | None,
    patterns: tuple[str, ...],
) -> int:
    """Find the files whose path matches one of PATTERNS; exit code 1 when there is none."""
    troubles = Troubles()
    count = 0
    found = desk.find(
        patterns,
        kind or "",
        ignore_case=ignore_case,
        oldest_ns=_moment(oldest),
        newest_ns=_moment(newest),
        words=words,
        chosen=chosen,
        trouble=troubles,
    )
    for match in found:
        count += 1
        if as_json:
            click.echo(to_json({**match.json, "snapshot": match.snapshot_id}))
        else:
            shown = desk.found_line(match) if long else desk.found_path(match)
            click.echo(f"{match.snapshot_id[:8]}  {match.snapshot.time[:19]}  {plain(shown)}")
    if not count and not troubles.count:
        click.echo("nothing matches", err=True)
    return troubles.code or int(count == 0)


@click.command()
@repository_options
@json_option
@click.option("--metadata", is_flag=True, help="Show changes of metadata alone, too.")
@click.argument("before")
@click.argument("after")
def diff(desk: "Desk", as_json: bool, metadata: bool, before: str, after: str) -> int:
    """Show what differs from snapshot BEFORE to AFTER: + added, - removed, M content, T type, U metadata."""
    troubles = Troubles()

    def tell(change: Any) -> None:
        click.echo(to_json(change.json) if as_json else f"{change.modifier}    {plain(escape(change.path))}")

    first, second, sums = desk.diff(before, after, metadata=metadata, tell=tell, trouble=troubles)
    if as_json:
        click.echo(to_json(sums.json(first, second)))
        return troubles.code
    added, removed = sums.added, sums.removed
    click.echo("")
    click.echo(f"Files:  {added.files} new, {removed.files} removed, {sums.changed_files} changed")
    click.echo(f"Dirs:   {added.dirs} new, {removed.dirs} removed")
    click.echo(f"Added:  {size(added.bytes)}    Removed: {size(removed.bytes)}")
    return troubles.code


@click.command()
@repository_options
@snapshot_options
@click.argument("snapshot")
@click.argument("path")
def dump(desk: "Desk", chosen: Any, snapshot: str, path: str) -> None:
    """Write the file PATH of SNAPSHOT to standard output; a folder as a tar archive."""
    desk.dump(snapshot, path, sys.stdout.buffer, chosen=chosen)
    sys.stdout.buffer.flush()


@click.command()
@repository_options
@click.argument("kind")
@click.argument("id", default="")
def cat(desk: "Desk", kind: str, id: str) -> None:
    """Show a piece of the repository itself: config, or the key, snapshot, index, lock, pack, blob or tree ID."""
    sys.stdout.buffer.write(desk.cat(kind, id))
    sys.stdout.buffer.flush()


def _moment(text: str) -> int | None:
    """A local time as Unix nanoseconds; UsageError."""
    for form in _MOMENTS:
        try:
            return round(datetime.strptime(text, form).timestamp() * 1e9) if text else None
        except ValueError:
            continue
    raise UsageError(f'"{text}" is no time', advice="write 2026-01-31, or 2026-01-31 15:04:05")
