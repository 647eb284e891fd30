"""`holdfast backup`: make a repository, run a job, list its snapshots, and bring files back."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.backup_open import config_option, job_options, repository_options
from agent.cli.reach import control_socket, json_option
from agent.cli.text import plain, size, table, to_json
from agent.control import stream
from contracts.errors import HoldfastError

if TYPE_CHECKING:
    from agent.wiring import Desk

PARTIAL_CODE = 3


class NotBackedUp(HoldfastError):
    """The agent ran the job, and no snapshot came of it; `exit_code` is restic's."""


@click.group()
def backup() -> None:
    """Back up this server, and bring it back: repositories that the stock restic reads, too."""


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
        f"{'Made its password and wrote it' if made.made else 'Its password was there already'}: {plain(made.file)}"
    )
    click.echo("")
    click.echo("Keep this somewhere else than on this server; without the password nobody restores anything:")
    click.echo(f"  repository: {plain(options.repository)}")
    click.echo(f"  password:   {made.password}")
    click.echo("  on any machine: restic -r REPOSITORY restore latest --target /restored")


@backup.command()
@config_option
@click.option(
    "--socket", type=click.Path(path_type=Path), envvar="HOLDFAST_CONTROL", help="The agent's control socket."
)
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
@click.argument("job", default="")
def run(config: Path, socket: Path | None, as_json: bool, dry_run: bool, quiet: bool, job: str) -> int:
    """Have the agent run JOB (the only one) now; exit code 3 when something could not be read."""
    path = socket or control_socket(config)
    told: dict[str, Any] = {}
    request = {"action": "backup", "arguments": {"job": job} if job else {}, "dry_run": dry_run}
    for answer in stream(path, "do", request, timeout_s=None):
        if "progress" not in answer:
            told = answer
        elif not quiet and not as_json:
            _show_progress(answer["progress"])
    code = int(told["answer"].get("code", 0))
    if as_json:
        click.echo(to_json(told, indent=2))
        return code or int(not told["ok"])
    if not told["ok"]:
        outcome = told["outcome"]
        error = NotBackedUp(
            plain(outcome.get("error") or outcome.get("detail") or told["summary"]),
            advice=plain(outcome.get("fix", "")),
        )
        error.exit_code = code or 1
        raise error
    click.echo(plain(told["summary"]))
    return code


@backup.command("list")
@repository_options
@json_option
@click.option("--host", "hosts", multiple=True, help="Only snapshots of this host; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Only snapshots with this tag (a,b: with both); may be repeated.")
@click.option("--path", "paths", multiple=True, help="Only snapshots of this path; may be repeated.")
def list_snapshots(
    desk: "Desk", as_json: bool, hosts: tuple[str, ...], tags: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    """List the snapshots of a repository, the oldest first."""
    found = desk.snapshots(hosts, tags, paths)
    if as_json:
        rows = [
            {"id": id, "time": each.time, "hostname": each.hostname, "tags": each.tags, "paths": each.paths}
            for id, each in found
        ]
        click.echo(to_json(rows, indent=2))
        return
    cells = [
        [id[:8], _moment(each.time_ns), plain(each.hostname), plain(",".join(each.tags)), plain(" ".join(each.paths))]
        for id, each in found
    ]
    for line in table(cells, ["ID", "TIME", "HOST", "TAGS", "PATHS"]) if cells else ["There is no snapshot."]:
        click.echo(line)


@backup.command()
@repository_options
@json_option
@click.argument("snapshot")
@click.option("-t", "--target", required=True, help="The directory to restore into; it is made when it is not there.")
@click.option("--host", "hosts", multiple=True, help="For latest: only snapshots of this host.")
@click.option("--tag", "tags", multiple=True, help="For latest: only snapshots with this tag.")
@click.option("--path", "paths", multiple=True, help="For latest: only snapshots of this path.")
@click.option("--verify", is_flag=True, help="Read back and compare what was written.")
def restore(desk: "Desk", as_json: bool, snapshot: str, target: str, verify: bool, **which: tuple[str, ...]) -> int:
    """Restore SNAPSHOT: an id, its beginning or latest; with :FOLDER behind it, that folder alone."""
    id, done = desk.restore(snapshot, target, verify=verify, **which)
    if as_json:
        failed = [{"path": told.path.decode("utf-8", "backslashreplace"), "what": told.what} for told in done.failed]
        click.echo(to_json({"snapshot": id, "files": done.files, "bytes": done.bytes, "failed": failed}, indent=2))
        return int(bool(done.failed))
    for told in done.failed:
        click.secho(f"{plain(told.path.decode('utf-8', 'backslashreplace'))}: {plain(told.what)}", fg="red", err=True)
    click.echo(f"Restored {done.files} files, {size(done.bytes)}, of snapshot {id[:8]} to {plain(target)}.")
    return int(bool(done.failed))


def _show_progress(progress: dict[str, Any]) -> None:
    done, total = progress["done"], progress["total"]
    share = f" of {size(total)}" if total else ""
    click.echo(f"\r\033[K{size(done)}{share}, {plain(progress['what'])}", nl=False, err=True)


def _moment(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns / 1e9))
