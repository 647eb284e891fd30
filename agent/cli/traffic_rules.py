"""`holdfast traffic rules`: what of a ruleset loads, and why the rest does not."""

from pathlib import Path
from typing import Any

import click

from agent.cli.reach import json_option
from agent.cli.text import to_json
from contracts.errors import HoldfastError, UsageError
from contracts.plural import plural

MOST_SHOWN = 100


class NotRules(HoldfastError):
    """A path does not lead to a rules file."""

    exit_code = 74


variable_option = click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="What $NAME stands for, as in HOME_NET=[10.0.0.0/8,!10.1.0.0/16] or SSH_PORTS=[22,2222]; can be given more than once.",
)


categories_option = click.option(
    "--categories",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The names of categories of reputation (iprep), as Suricata's reputation-categories-file has them.",
)
reputation_option = click.option(
    "--reputation",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A list of reputations of addresses, as Suricata's reputation-files are; can be given more than once.",
)


@click.group()
def rules() -> None:
    """Look at detection rules, in the language of Suricata."""


@rules.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@variable_option
@click.option(
    "--classification",
    type=click.Path(path_type=Path),
    help="A classification.config: names and priorities of classes.  [default: Suricata's]",
)
@categories_option
@reputation_option
@json_option
def check(
    paths: tuple[Path, ...],
    variables: tuple[str, ...],
    classification: Path | None,
    categories: Path | None,
    reputation: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Say how many rules load, and why the others do not; exit code 0 when all load, 1 when some do not.

    A rule on a buffer that nothing here fills does not load: it could never match.
    """
    from agent.wiring import rules_desk

    desk = rules_desk()
    try:
        groups = desk.variables(given_variables(variables))
    except ValueError as error:
        raise UsageError(f"--var {error}") from None
    try:
        found = desk.check(paths, groups, classification, categories, reputation)
    except ValueError as error:
        raise NotRules(str(error)) from None
    refused = [_refusal(one) for one in found.refused]
    if as_json:
        click.echo(to_json({"loaded": len(found.rules), "refused": refused}, indent=2))
        return int(bool(refused))
    for note in found.notes:
        click.secho(note, fg="yellow", err=True)
    _show(refused)
    loads = plural(len(found.rules), "rule loads", "rules load")
    click.echo(f"{loads}, {plural(len(refused), 'does', 'do')} not.")
    return int(bool(refused))


def _refusal(refusal: Any) -> dict[str, Any]:
    return {"file": refusal.file, "line": refusal.line, "sid": refusal.sid, "reason": refusal.reason}


def _show(rules: list[dict[str, Any]]) -> None:
    for one in rules[:MOST_SHOWN]:
        name = f"sid {one['sid']}: " if one["sid"] else ""
        click.echo(f"{one['file']}:{one['line']}: {name}{one['reason']}")
    if len(rules) > MOST_SHOWN:
        click.echo(f"… and {len(rules) - MOST_SHOWN} more; --json has all of them")


def given_variables(words: tuple[str, ...]) -> dict[str, str]:
    """Return what `--var NAME=VALUE` says; raises `UsageError`."""
    given: dict[str, str] = {}
    for word in words:
        name, equal, value = word.partition("=")
        if not equal or not name or not value:
            raise UsageError(f'--var "{word}" is not NAME=VALUE', advice="write for example --var HOME_NET=10.0.0.0/8")
        given[name.removeprefix("$")] = value
    return given
