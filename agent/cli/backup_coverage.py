"""`holdfast backup coverage`: what on this host no backup job covers, why, and the settings that would cover it."""

from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, plain, table, to_json
from agent.control import ask
from analysis.completeness import SAVED, Told, judge
from contracts.errors import UsageError
from contracts.subjects.backup import SUBJECT as JOBS
from contracts.subjects.backup import BackupJob
from contracts.subjects.holdings import SUBJECT, Holding

_NOT_KNOWN_CODE = 3
_HEADS = ["WHAT", "KIND", "STATE", "WHY"]
_COLOURS = {SAVED: "green", "on purpose": None, "elsewhere": None, "not known": "yellow", "files only": "yellow"}


@click.command()
@agent_option
@json_option
@click.option("--all", "everything", is_flag=True, help="What is covered, too.")
def coverage(path: Path, as_json: bool, everything: bool) -> int:
    """Show what on this host no backup job covers; exit code 1 when there is a gap, 3 when some of it could not be looked at."""
    answer = ask(path, "subject", {"subject": SUBJECT})
    if not answer["revision"]:
        raise UsageError(
            "nobody has looked at what this host holds yet", advice="wait a minute; see `holdfast coverage`"
        )
    holdings = {key: msgspec.convert(row, Holding) for key, row in answer["rows"].items()}
    jobs = {
        key: msgspec.convert(row, BackupJob) for key, row in ask(path, "subject", {"subject": JOBS})["rows"].items()
    }
    told = judge(holdings, {key: job.covers for key, job in sorted(jobs.items())})
    code = _code(told, bool(jobs))
    if as_json:
        click.echo(to_json({"at_ms": answer["at_ms"], "code": code, "holdings": _shown(told)}, indent=2))
        return code
    if not jobs:
        click.echo(f"No backup job is configured: nothing of {len(holdings)} things on this host is saved.")
        return code
    _print(told, everything, answer["at_ms"])
    return code


def _code(told: dict[str, Told], jobs: bool) -> int:
    if not jobs or any(each.gap for each in told.values()):
        return 1
    return _NOT_KNOWN_CODE if any(each.state == "not known" for each in told.values()) else 0


def _shown(told: dict[str, Told]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(each) for _, each in sorted(told.items())]


def _print(told: dict[str, Told], everything: bool, at_ms: int) -> None:
    import time

    rows = [each for _, each in sorted(told.items(), key=_rank) if everything or each.state not in (SAVED, "elsewhere")]
    cells = [[plain(cell) for cell in (each.holding.name, each.holding.kind, each.state, each.reason)] for each in rows]
    for number, line in enumerate(table(cells, _HEADS) if cells else []):
        click.secho(line, fg=_COLOURS.get(rows[number - 1].state, "red") if number else None)
    for each in rows:
        if each.gap and each.settings:
            click.echo(f"\n# {plain(each.holding.name)}\n{plain_lines(each.settings)}")
    gaps, saved = sum(each.gap for each in told.values()), sum(each.state == SAVED for each in told.values())
    unknown = sum(each.state == "not known" for each in told.values())
    more = f", {unknown} not known" if unknown else ""
    when = ago(at_ms, round(time.time() * 1000))
    click.echo(f"{saved} things are covered, {gaps} are not{more}; looked at {when}.")


def _rank(item: tuple[str, Told]) -> tuple[int, str]:
    key, told = item
    order = 0 if told.gap else 1 if told.state == "not known" else 2 if told.state != SAVED else 3
    return order, key


def plain_lines(text: str) -> str:
    """Several lines, each made harmless for a terminal."""
    return "\n".join(plain(line) for line in text.splitlines())
