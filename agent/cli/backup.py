"""`holdfast backup`: make a repository, run a job by the agent, see how the jobs stand and what snapshots there are."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agent.cli.backup_coverage import coverage
from agent.cli.backup_databases import databases
from agent.cli.backup_keep import check, forget, key, prune, repair, unlock
from agent.cli.backup_look import cat, diff, dump, find, ls
from agent.cli.backup_mount import mount
from agent.cli.backup_open import config_option, job_options, repository_options, snapshot_options
from agent.cli.backup_recovery import prove, sheet
from agent.cli.backup_replicate import replicate
from agent.cli.backup_restore import restore
from agent.cli.backup_told import ask_agent, socket_option
from agent.cli.backup_tripwire import acknowledge, canary
from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, plain, size, table, to_json
from agent.control import ask
from analysis.backup_state import standing
from contracts.subjects.backup import SUBJECT, BackupJob

if TYPE_CHECKING:
    from agent.wiring import Desk

_COLOURS = {"ok": "green", "unverified": "yellow", "unproven": "yellow", "late": "yellow"}
_HEADS = ["JOB", "STATE", "LAST SNAPSHOT", "SIZE", "NEXT", "WHY"]


@click.group()
def backup() -> None:
    """Back up this server, and bring it back: repositories that the stock restic reads, too."""


_KEEP = (check, forget, key, prune, repair, unlock)
_LOOK = (cat, coverage, databases, diff, dump, find, ls, mount, sheet)
for command in (*_KEEP, *_LOOK, acknowledge, canary, prove, replicate, restore):
    backup.add_command(command)


@backup.command()
@config_option
@json_option
@click.argument("job", default="")
def init(config: Path, as_json: bool, job: str) -> None:
    """Make the repository and the password of JOB (of the only one). Keep the password elsewhere, too: without it nothing restores."""
    from agent import privileges, wiring

    desk = wiring.backup_desk()
    name, options = desk.chosen(job_options(config), job)
    who = privileges.account("backup", privileges.WORKERS["backup"].user)
    made = desk.create_for(name, options, (who.uid, who.gid))
    if as_json:
        click.echo(
            to_json({"job": name, "repository": options.repository, "password_file": made.file, "made": made.made})
        )
        return
    click.echo(f"Made the repository {plain(options.repository)} of the job {name}.")
    click.echo(
        f"{'Its password was made and is in' if made.made else 'Its password was there already, in'} {plain(made.file)}"
    )
    click.echo("")
    click.echo("Keep this somewhere else than on this server; without the password nobody restores anything:")
    click.echo(f"  repository: {plain(options.repository)}")
    click.echo(f"  password:   {made.password}")
    click.echo("  on any machine with it: restic -r REPOSITORY restore latest --target /restored")
    click.echo("Then print a recovery key: holdfast backup key recovery")


@backup.command()
@config_option
@socket_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
@click.argument("job", default="")
def run(config: Path, socket: Path | None, as_json: bool, dry_run: bool, quiet: bool, job: str) -> int:
    """Have the agent run JOB (the only one) now; exit code 3 when something could not be read."""
    return ask_agent(config, socket, {"job": job} if job else {}, as_json=as_json, dry_run=dry_run, quiet=quiet)


@backup.command()
@agent_option
@json_option
def status(path: Path, as_json: bool) -> int:
    """Show how each job stands; exit code 1 when one is suspected, late, failing or stale."""
    rows = {
        key: msgspec.convert(row, BackupJob) for key, row in ask(path, "subject", {"subject": SUBJECT})["rows"].items()
    }
    work = {each["key"]: each for each in ask(path, "status", {})["work"] if each["action"] == "backup"}
    now_ms = round(time.time() * 1000)
    states = {key: standing(row, now_ms) for key, row in rows.items()}
    bad = any(state.state in ("suspected", "late", "failing", "stale") for state in states.values())
    if as_json:
        told = {
            key: {**msgspec.to_builtins(row), **msgspec.to_builtins(states[key]), "work": work.get(key)}
            for key, row in rows.items()
        }
        click.echo(to_json(told, indent=2))
        return int(bad)
    if not rows:
        click.echo("No backup job is configured.")
    cells = [
        _cells(row, states[key].state, states[key].detail, work.get(key), now_ms) for key, row in sorted(rows.items())
    ]
    for number, line in enumerate(table(cells, _HEADS)):
        click.secho(line, fg=_COLOURS.get(cells[number - 1][1].lower(), "red") if number else None)
    return int(bad)


@backup.command("list")
@repository_options
@snapshot_options
@json_option
def list_snapshots(desk: "Desk", chosen: Any, as_json: bool) -> None:
    """List the snapshots of a repository, the oldest first."""
    found = desk.snapshots(chosen)
    if as_json:
        click.echo(to_json([desk.snapshot_json(id, each) for id, each in found], indent=2))
        return
    cells = [
        [id[:8], _moment(each.time_ns), plain(each.hostname), plain(",".join(each.tags)), plain(" ".join(each.paths))]
        for id, each in found
    ]
    for line in table(cells, ["ID", "TIME", "HOST", "TAGS", "PATHS"]) if cells else ["There is no snapshot."]:
        click.echo(line)


def _cells(row: BackupJob, state: str, detail: str, work: Mapping[str, Any] | None, now_ms: int) -> list[str]:
    word = state.upper() if state == "unproven" else state
    if work is not None:
        detail = f"running: {size(work['done'])}, {work['what']}"
    held = f"{size(row.bytes_total)} in {row.files} files" if row.snapshot else "-"
    return [
        plain(cell) for cell in (row.job, word, ago(row.snapshot_ms, now_ms), held, f"daily at {row.at}", detail or "-")
    ]


def _moment(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns / 1e9))
