"""`holdfast diagnose`: every precondition, what was found, and the fix for each that fails."""

from pathlib import Path

import click
import msgspec

from agent.cli.text import plain, to_json
from agent.config import DEFAULT_PATH

_MARKS = {"ok": "ok    ", "noted": "noted ", "failed": "FAILED"}


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    envvar="HOLDFAST_CONFIG",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Write the checks as JSON.")
@click.option("-a", "--all", "everything", is_flag=True, help="Show what is in order, too.")
def diagnose(path: Path, as_json: bool, everything: bool) -> int:
    """Check every precondition of the agent and say how to fix what fails. Changes nothing; exit code 1 if anything failed."""
    from agent import diagnose as checks
    from agent import wiring

    found = list(checks.everything(path, wiring.vocabulary()))
    failed = sum(check.state == "failed" for check in found)
    if as_json:
        click.echo(to_json([msgspec.to_builtins(check) for check in found], indent=2))
        return 1 if failed else 0
    for check in found:
        if everything or check.state != "ok":
            click.echo(plain(f"{_MARKS[check.state]}  {check.name}: {check.found}"))
            if check.fix:
                click.echo(plain(f"        fix: {check.fix}"))
    noted = sum(check.state == "noted" for check in found)
    click.echo(f"{len(found)} checks: {len(found) - failed - noted} in order, {noted} noted, {failed} failed")
    return 1 if failed else 0
