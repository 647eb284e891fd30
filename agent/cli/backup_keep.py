"""`holdfast backup check|repair|forget|prune|key|unlock`: keep a repository in order."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agent.cli.backup_open import given_password, repository_options, snapshot_options
from agent.cli.backup_told import have_it_looked_at
from agent.cli.backup_tripwire import know
from agent.cli.reach import json_option
from agent.cli.text import plain, size, table, to_json
from contracts.errors import UsageError
from contracts.text import escape

if TYPE_CHECKING:
    from agent.wiring import Desk

RECOVERY_STATES = Path("/etc/holdfast/keys/recovery.json")
"""Which recovery keys were proved; beside the passwords, and as closed."""

_COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@click.command()
@repository_options
@json_option
@click.option("--read-data", is_flag=True, help="Read and verify every pack.")
@click.option("--read-data-subset", "subset", default="", help="Read a part: n/t, a share (2%), or a size (500m).")
def check(desk: "Desk", as_json: bool, read_data: bool, subset: str) -> int:
    """Check that everything the snapshots need is there and whole; exit code 1 when it is not, with what that costs."""
    checked, _ = desk.check(read_data=read_data, subset=subset)
    return _show_checked(checked, as_json)


@click.command()
@repository_options
@json_option
@click.option("--read-data", is_flag=True, help="Read and verify every pack first.")
def repair(desk: "Desk", as_json: bool, read_data: bool) -> int:
    """Bring back what a check finds damaged, from the sources where they still have it; exit code 1 if something is lost."""
    checked, done = desk.check(read_data=read_data, fix=True)
    if done is None:
        return _show_checked(checked, as_json)
    if as_json:
        lost = [{"snapshot": loss.snapshot, "path": escape(loss.path), "why": loss.why} for loss in done.losses]
        problems = [str(problem) for problem in done.problems]
        click.echo(to_json({"losses": lost, "problems": problems, "away": done.away}, indent=2))
        return int(bool(done.losses or done.problems))
    click.echo(
        f"Packs adopted: {done.adopted}, blobs salvaged: {done.salvaged}, bad packs removed: {len(done.packs_removed)}."
    )
    for why in done.away.values():
        said = f"a copy could not be asked: {plain(why)}; what is lost may be there: repair again when it answers"
        click.secho(said, fg="yellow", err=True)
    for loss in done.losses:
        click.secho(f"lost: {loss.snapshot[:8]}:{plain(escape(loss.path))}: {plain(loss.why)}", fg="red", err=True)
    for problem in done.problems:
        click.secho(f"still wrong: {plain(problem)}", fg="red", err=True)
    if not done.losses and not done.problems:
        click.secho("Everything is whole again.", fg="green")
    return int(bool(done.losses or done.problems))


def _keep_options(command: Any) -> Any:
    for name in _COUNTS:
        command = click.option(f"--keep-{name}", default=0, metavar="N", help=f"Keep the {name} N (-1: all).")(command)
    for name in ("within", *(f"within-{each}" for each in _COUNTS[1:])):
        command = click.option(f"--keep-{name}", default="", metavar="SPAN", help="Keep what is so new (1y5m7d2h).")(
            command
        )
    return click.option("--keep-tag", "keep_tags", multiple=True, help="Keep what has this tag (a,b: both).")(command)


def _on_target(desk: "Desk", policy: Any, group_by: str, *, as_json: bool) -> None:
    done = desk.retire_target(policy, group_by)
    gone, left = list(done.forgotten.ids), done.doubtful
    if as_json:
        told = {"removed": gone, "rubbish": done.rubbish, "doubtful": left, "bytes_freed": done.pruned.bytes_freed}
        click.echo(to_json(told))
        return
    click.echo(
        f"{len(gone)} snapshots and {len(done.rubbish)} foreign files removed, {done.pruned.bytes_freed} bytes freed."
    )
    for name in left:
        click.secho(f"left, it may be damage: {plain(name)}", fg="yellow", err=True)


@click.command()
@repository_options
@snapshot_options
@json_option
@_keep_options
@click.option("--group-by", default="host,paths", show_default=True, help="Apply the policy to each such group alone.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--prune", "and_prune", is_flag=True, help="Then remove what no snapshot needs.")
@click.option(
    "--even-when-held", is_flag=True, help="Although the history looks suspicious: a person has looked at it."
)
@click.option(
    "--on-target",
    is_flag=True,
    help="On the server of a write-once target: rubbish goes first, arrivals are heeded, then prune.",
)
@click.argument("snapshots", nargs=-1)
def forget(
    desk: "Desk",
    chosen: Any,
    as_json: bool,
    keep_tags: tuple[str, ...],
    group_by: str,
    dry_run: bool,
    and_prune: bool,
    even_when_held: bool,
    on_target: bool,
    snapshots: tuple[str, ...],
    **keep: Any,
) -> None:
    """Remove SNAPSHOTS, or what a policy of --keep-… does not keep. Held for a suspicious history."""
    know(desk)
    counts = {name: keep[f"keep_{name}"] for name in _COUNTS if keep[f"keep_{name}"]}
    spans = {name[5:]: text for name, text in keep.items() if name.startswith("keep_within") and text}
    if snapshots:
        if counts or spans or keep_tags or dry_run:
            raise UsageError("snapshots are named and a policy is given", advice="give one of them")
        gone = list(desk.forget_ids(snapshots).ids)
    else:
        if not (counts or spans or keep_tags):
            raise UsageError("nothing says what to keep", advice="give --keep-daily 7 or the like, or name snapshots")
        policy = desk.policy(counts, spans, keep_tags)
        if on_target:
            if dry_run or even_when_held:
                raise UsageError(
                    "--on-target knows neither a dry run nor a suspicious history", advice="leave these out"
                )
            _on_target(desk, policy, group_by, as_json=as_json)
            return
        if dry_run:
            reviewed, gone = desk.plan_forget(policy, group_by, chosen), []
        else:
            reviewed, forgotten = desk.forget(policy, group_by, chosen, force=even_when_held)
            gone = list(forgotten.ids)
        if not as_json:
            _show_decisions(reviewed)
    line = "Nothing was removed: a dry run." if dry_run else f"{len(gone)} snapshots removed."
    click.echo(to_json({"removed": gone}) if as_json else line)
    if and_prune and not dry_run:
        _show_pruned(*desk.prune("5%", "", dry_run=False, force=even_when_held, tell=lambda *_: None), as_json)


@click.command()
@repository_options
@json_option
@click.option(
    "--max-unused", default="5%", show_default=True, help="How much unused data may stay: a share, size or unlimited."
)
@click.option("--max-repack-size", "max_repack", default="", help="Pack at most so much anew (500m).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option(
    "--even-when-held", is_flag=True, help="Although the newest snapshot is not proved: a person has looked at it."
)
def prune(desk: "Desk", as_json: bool, max_unused: str, max_repack: str, dry_run: bool, even_when_held: bool) -> None:
    """Remove what no snapshot needs any more. Held while an anomaly is suspected, or the newest snapshot is not proved."""
    know(desk)
    done = desk.prune(max_unused, max_repack, dry_run=dry_run, force=even_when_held, tell=lambda *_: None)
    _show_pruned(*done, as_json)


@click.command()
@repository_options
@click.option("--remove-all", is_flag=True, help="Remove every lock, also those of processes that still run.")
def unlock(desk: "Desk", remove_all: bool) -> None:
    """Remove locks that are left over."""
    click.echo(f"{desk.unlock(all_locks=remove_all)} locks removed.")


@click.group()
def key() -> None:
    """Keys that open a repository: list, add, remove; the recovery key on paper."""


@key.command("list")
@repository_options
@json_option
def list_keys(desk: "Desk", as_json: bool) -> None:
    """List the keys."""
    rows = desk.keys()
    if as_json:
        click.echo(to_json(msgspec.to_builtins(rows), indent=2))
        return
    cells = [
        [
            f"{'*' if row.in_use else ' '}{row.id[:8]}",
            plain(row.username),
            plain(row.hostname),
            plain(row.created[:19]),
            plain(f"damaged: {row.damaged}" if row.damaged else "recovery" if row.recovery else ""),
        ]
        for row in rows
    ]
    for line in table(cells, ["ID", "USER", "HOST", "CREATED", ""]):
        click.echo(line)
    if reminder := desk.nag(desk.recovery_states(RECOVERY_STATES)):
        click.secho(f"{plain(reminder)}; see `holdfast backup key recovery`", fg="yellow", err=True)


@key.command()
@repository_options
@click.option(
    "--new-password-file", type=click.Path(path_type=Path), help="File with the new password; else it is asked for."
)
def add(desk: "Desk", new_password_file: Path | None) -> None:
    """Let one more password open the repository."""
    if new_password_file is not None:
        password = given_password(new_password_file)
    else:
        password = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    click.echo(f"Added the key {desk.add_key(password)[:8]}.")


@key.command()
@repository_options
@click.argument("id")
def remove(desk: "Desk", id: str) -> None:
    """Remove the key whose id begins with ID; never the one in use or the last one."""
    click.echo(f"Removed the key {desk.remove_key(id)[:8]}.")


@key.command()
@repository_options
@click.option("--prove", is_flag=True, help="Type in the key from the paper, to prove that it opens the repository.")
def recovery(desk: "Desk", prove: bool) -> None:
    """Make a recovery key to be printed and kept on paper, or --prove the one that was."""
    states = desk.recovery_states(RECOVERY_STATES)
    if prove:
        id = desk.prove_recovery_key(click.prompt("The recovery key, as printed", err=True), states)
        click.secho(f"The recovery key {id[:8]} opens the repository.", fg="green")
        if desk.config is not None:
            have_it_looked_at(desk.config, None, desk.job)
        return
    made = desk.make_recovery_key(states)
    click.echo(f"Recovery key {made.key_id[:8]} of {plain(desk.repository.store.location)}; it is stored nowhere:")
    click.echo("")
    click.echo(f"    {made.text}")
    click.echo("")
    click.echo("Print or write it down now. Then prove it: holdfast backup key recovery --prove")


def _show_checked(checked: Any, as_json: bool) -> int:
    bad = bool(checked.problems or checked.losses)
    if as_json:
        lost = [{"snapshot": loss.snapshot, "path": escape(loss.path), "why": loss.why} for loss in checked.losses]
        numbers = {name: getattr(checked, name) for name in ("packs", "packs_read", "bytes_read", "unnamed_packs")}
        click.echo(to_json({**numbers, "problems": [str(each) for each in checked.problems], "losses": lost}, indent=2))
        return int(bad)
    for problem in checked.problems:
        click.secho(plain(problem), fg="red", err=True)
    for loss in checked.losses:
        click.secho(f"lost: {loss.snapshot[:8]}:{plain(escape(loss.path))}: {plain(loss.why)}", fg="red", err=True)
    if checked.unnamed_packs:
        click.echo(
            f"{len(checked.unnamed_packs)} packs are named by no index: no harm, the next backup or prune tidies up."
        )
    read = f", {checked.packs_read} of them read ({size(checked.bytes_read)})"
    click.echo(f"{checked.packs} packs checked{read}; {'NOT everything is whole' if bad else 'nothing wrong'}.")
    return int(bad)


def _show_decisions(reviewed: Any) -> None:
    for group in reviewed.groups:
        click.echo(plain(" ".join((group.key.host, *group.key.paths, *group.key.tags))) or "all")
        held = reviewed.holds.get(group.key)
        if held:
            click.secho(f"  held: {plain('; '.join(held))}", fg="yellow")
        for decision in group.decisions:
            word = "keep  " if decision.keep else "remove"
            why = f"  ({plain(', '.join(decision.reasons))})" if decision.reasons else ""
            click.echo(f"  {word} {decision.id[:8]} {decision.snapshot.time[:19]}{why}")


def _show_pruned(plan: Any, done: Any, as_json: bool) -> None:
    numbers = plan.numbers
    if as_json:
        told = {
            "unused_bytes": numbers.unused.bytes,
            "freed_bytes": done.bytes_freed if done else 0,
            "dry_run": done is None,
        }
        click.echo(to_json(told))
    elif done is None:
        click.echo(f"Would free {size(numbers.freed_bytes)}; {numbers.packs_unused} packs are needed by nothing.")
    else:
        click.echo(
            f"Freed {size(done.bytes_freed)}: {done.packs_removed} packs removed, {done.packs_repacked} packed anew."
        )
        for pack, why in done.left:
            click.secho(f"left: {pack[:8]}: {plain(why)}", fg="yellow", err=True)
