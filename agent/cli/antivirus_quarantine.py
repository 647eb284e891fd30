"""`holdfast antivirus quarantine`: what is in quarantine, and the ways in, back and out."""

import json
import os
from pathlib import Path
from typing import Any

import click

from agent.cli.antivirus_ask import NotDone, have_done
from agent.cli.reach import agent_option, json_option
from agent.cli.text import clock, plain, size, table, to_json
from contracts.text import escape, unescape

_LENDING = 0o6000


@click.group()
def quarantine() -> None:
    """See what is in quarantine; move a file there, bring one back, delete one for good."""


@quarantine.command("list")
@agent_option
@json_option
def list_entries(path: Path, as_json: bool) -> int:
    """List what is in quarantine, the oldest first; exit code 1 when a note of it does not read."""
    answer = have_done(path, "quarantine", {"step": "list"}, quiet=True)["answer"]
    entries = [json.loads(each) for each in answer["entries"]]
    bad = answer["unreadable"]
    if as_json:
        click.echo(to_json({"entries": entries, "total": answer["total"], "unreadable": bad}, indent=2))
        return int(bool(bad))
    cells = [
        [
            each["entry"],
            clock(each["at_ms"]),
            plain(each["signature"] or "-"),
            size(each["size"]),
            plain(each["who"]),
            plain(each["path"]),
        ]
        for each in entries
    ]
    for line in (
        table(cells, ["ENTRY", "SINCE", "SIGNATURE", "SIZE", "BY", "PATH"]) if cells else ["Quarantine is empty."]
    ):
        click.echo(line)
    if answer["total"] > len(entries):
        click.echo(f"and {answer['total'] - len(entries)} more")
    for name in bad:
        click.secho(f"the note {plain(name)} does not read: its file is still in the vault", fg="red", err=True)
    return int(bool(bad))


@quarantine.command()
@agent_option
@json_option
@click.option("--owned", is_flag=True, help="Move it also when a package owns it.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.argument("file", type=click.Path(path_type=Path))
def add(path: Path, as_json: bool, owned: bool, dry_run: bool, file: Path) -> None:
    """Move FILE out of reach. Links are not followed: name it by its real path."""
    arguments = {"step": "add", "path": absolute(file), "owned": owned}
    _tell(have_done(path, "quarantine", arguments, dry_run=dry_run), as_json)


@quarantine.command()
@agent_option
@json_option
@click.option("--to", type=click.Path(path_type=Path), help="Another place than where it was.")
@click.option("--setuid", is_flag=True, help="Give its setuid and setgid bits back, too.")
@click.argument("entry")
def restore(path: Path, as_json: bool, to: Path | None, setuid: bool, entry: str) -> None:
    """Bring ENTRY back as it was; never over another file, and without setuid and setgid unless you say so."""
    arguments = {"step": "restore", "entry": entry, **({"to": absolute(to)} if to is not None else {})}
    told = have_done(path, "quarantine", arguments)
    _tell(told, as_json)
    if setuid and told["answer"]["mode"] & _LENDING:
        _lend(told["answer"])
        if not as_json:
            click.echo(f"You gave it its mode {told['answer']['mode']:04o} back.")


@quarantine.command()
@agent_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("entry")
def delete(path: Path, as_json: bool, yes: bool, entry: str) -> None:
    """Delete ENTRY for good."""
    if not yes:
        click.confirm(f"Delete {plain(entry)} for good?", abort=True)
    _tell(have_done(path, "quarantine", {"step": "delete", "entry": entry}), as_json)


def absolute(path: Path) -> str:
    """Return the path from the root as Holdfast writes it; nothing is resolved: a link stays a link."""
    return escape(os.path.normpath(Path.cwd() / path))


def _lend(file: dict[str, Any]) -> None:
    """Give a restored file its setuid and setgid bits back, by the rights of who runs this: the steward's sandbox has none to lend."""
    try:
        held = os.open(unescape(file["path"]), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(held)
            if (found.st_dev, found.st_ino) != (file["device"], file["inode"]):
                raise NotDone(f"{file['path']} is another file by now", advice="look who has exchanged it")
            Path(f"/proc/self/fd/{held}").chmod(file["mode"])
        finally:
            os.close(held)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise NotDone(
            f"{plain(file['path'])} is back, but not its setuid and setgid bits: {said}",
            advice=f"as root: chmod {file['mode']:04o} {plain(file['path'])}",
        ) from error


def _tell(told: dict[str, Any], as_json: bool) -> None:
    click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]))
