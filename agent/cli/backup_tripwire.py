"""`holdfast backup acknowledge` and `canary`: say that a suspected anomaly was looked at; plant files that nobody has a reason to touch."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.backup_open import config_option, job_option, job_options
from agent.cli.backup_told import NotBackedUp, socket_option
from agent.cli.reach import control_socket, json_option
from agent.cli.text import plain, to_json
from agent.control import stream

if TYPE_CHECKING:
    from agent.wiring import Desk


@click.command()
@config_option
@socket_option
@json_option
@click.option("--why", required=True, help="What you found; it is kept with your name.")
@click.option("--dry-run", is_flag=True, help="Only say what is suspected.")
@click.argument("job", default="")
def acknowledge(config: Path, socket: Path | None, as_json: bool, why: str, dry_run: bool, job: str) -> None:
    """Say that you have looked at what is suspected of JOB (the only one). Retention goes on, bad snapshots are yours to forget by id."""
    told = _do(config, socket, "backup_acknowledge", {"job": job, "why": why}, dry_run=dry_run)
    click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]))


@click.group()
def canary() -> None:
    """Files that nobody has a reason to touch: one that is changed, renamed or gone is enough for a suspicion."""


@canary.command("plant")
@config_option
@socket_option
@json_option
@job_option
@click.argument("folder", type=click.Path(path_type=Path))
def plant_canaries(config: Path, socket: Path | None, as_json: bool, job: str, folder: Path) -> None:
    """Write canaries into FOLDER, as files of its owner, and have the agent look at them in every run of the job."""
    from agent import wiring

    desk = wiring.backup_desk()
    name, _ = desk.chosen(job_options(config), job)
    paths = [Path(path) for path in desk.plant_canaries(str(folder.resolve()))]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    try:
        arguments = {"job": name, "learn": [str(path) for path in paths], "sums": sums}
        told = _do(config, socket, "backup_canaries", arguments)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    if as_json:
        click.echo(to_json(told, indent=2))
        return
    for path in paths:
        click.echo(plain(str(path)))
    click.echo(
        f"The job {name} looks at them in every run. Nobody should open them; leave them out of what people see if you can."
    )


@canary.command("list")
@config_option
@socket_option
@json_option
@job_option
def list_canaries(config: Path, socket: Path | None, as_json: bool, job: str) -> None:
    """List the canaries of a job."""
    told = _do(config, socket, "backup_canaries", {"job": job})
    if as_json:
        click.echo(to_json(told, indent=2))
        return
    for path in told["answer"]["canaries"] or ["There is no canary."]:
        click.echo(plain(path))


@canary.command("remove")
@config_option
@socket_option
@json_option
@job_option
@click.argument("paths", nargs=-1, required=True)
def remove_canaries(config: Path, socket: Path | None, as_json: bool, job: str, paths: tuple[str, ...]) -> None:
    """Forget the canaries PATHS, and remove the files."""
    told = _do(config, socket, "backup_canaries", {"job": job, "forget": list(paths)})
    for path in paths:
        Path(path).unlink(missing_ok=True)
    click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]))


def know(desk: "Desk") -> None:
    """Have the desk of a job know what the agent knows of it: nothing is removed while that forbids it."""
    from agent import wiring
    from agent.config import load_agent

    if desk.config is None or not desk.job:
        return
    state = Path(load_agent(desk.config, wiring.vocabulary()).value.directories.state)
    beside = (state.with_name("backup"), state.with_name(f"{state.name}-workers") / "backup")
    host = wiring.host()
    desk.know(desk.job, host.facts().hostname, [str(folder) for folder in beside], host.files)


def _do(
    config: Path, socket: Path | None, action: str, arguments: dict[str, Any], *, dry_run: bool = False
) -> dict[str, Any]:
    request = {"action": action, "arguments": arguments, "dry_run": dry_run}
    answers = list(stream(socket or control_socket(config), "do", request, timeout_s=60.0))
    told: dict[str, Any] = answers[-1]
    if not told["ok"]:
        outcome = told["outcome"]
        raise NotBackedUp(
            plain(outcome.get("error") or outcome.get("detail") or told["summary"]),
            advice=plain(outcome.get("fix", "")),
        )
    return told
