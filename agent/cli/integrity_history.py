"""`holdfast integrity history` and `rollback`: the kept versions of a configuration file, how they differ, and putting one back."""

from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import clock, plain, to_json
from agent.control import stream
from contracts.errors import HoldfastError

_LOOK_S = 60.0
_COLUMNS = 5


@click.command()
@agent_option
@json_option
@click.option("--show", "shown", default="", metavar="VERSION", help="Show this version whole.")
@click.option("--diff", "differing", default="", metavar="VERSION", help="Show how it differs from what is there now.")
@click.option("--keep", is_flag=True, help="Keep a version now, if it differs from the last.")
@click.argument("file")
def history(path: Path, as_json: bool, shown: str, differing: str, keep: bool, file: str) -> None:
    """List the versions that are kept of FILE, or show one. A version goes by its label, its end, or -1 for the one before the last."""
    if keep:
        told = _do(path, "history_keep", {"path": file, "why": "asked for on the command line"})
        click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]).capitalize() + ".")
        return
    if shown or differing:
        arguments = {"path": file, "version": shown or differing, "diff": bool(differing)}
        told = _do(path, "history_show", arguments)
        click.echo(to_json(told, indent=2) if as_json else _lines(told))
        return
    told = _do(path, "history_list", {"path": file})
    versions = [_version(line) for line in told["versions"]]
    if as_json:
        click.echo(to_json({"path": told["path"], "versions": versions}, indent=2))
        return
    if not versions:
        click.echo(f"No version is kept of {plain(file)} yet.")
    for each in reversed(versions):
        size = "nothing there" if each["size"] < 0 else f"{each['size']} bytes, {each['mode']}, {each['owner']}"
        click.echo(f"{each['label']}  {clock(each['at_ms'])}  {size}  {plain(each['why'])}")


@click.command()
@agent_option
@json_option
@click.option(
    "--to", required=True, metavar="VERSION", help="Which version, as `holdfast integrity history FILE` lists it."
)
@click.option("--why", required=True, help="Why; it is kept with your name.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.argument("file")
def rollback(path: Path, as_json: bool, to: str, why: str, dry_run: bool, file: str) -> None:
    """Put FILE back to a version of the history. What is there now is kept first, so that this can be undone the same way."""
    told = _do(path, "rollback", {"path": file, "to": to, "why": why}, dry_run=dry_run)
    click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]) + ".")


def _do(path: Path, action: str, arguments: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """Have the agent do it and return its answer with the summary; raises what went wrong."""
    ended: dict[str, Any]
    order = {"action": action, "arguments": arguments, "dry_run": dry_run}
    *_, ended = stream(path, "do", order, _LOOK_S)  # progress first, the result last
    if not ended.get("ok"):
        outcome = ended.get("outcome") or {}
        detail = str(outcome.get("detail") or outcome.get("error") or "it did not say why")
        raise HoldfastError(plain(detail), advice=plain(outcome.get("fix") or ""))
    return {**ended["answer"], "summary": ended["summary"]}


def _version(line: str) -> dict[str, Any]:
    fields = line.split("\t", _COLUMNS - 1)
    label, size, mode, owner, why = fields + [""] * (_COLUMNS - len(fields))
    at = label.partition("-")[0]
    return {
        "label": label,
        "at_ms": int(at) if at.isdigit() else 0,
        "size": int(size),
        "mode": mode,
        "owner": owner,
        "why": why,
    }


def _lines(told: dict[str, Any]) -> str:
    more = [f"… and {told['cut']} lines more"] if told.get("cut") else []
    return "\n".join([*(plain(line) for line in told["lines"]), *more])
