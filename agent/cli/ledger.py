"""`holdfast ledger`: what every collector, judge and action cost, day by day."""

from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import size, table, to_json
from agent.control import ask


@click.command()
@agent_option
@json_option
@click.option("--day", default="", help="Only this day (YYYY-MM-DD, UTC).")
def ledger(path: Path, as_json: bool, day: str) -> None:
    """Show what every collector, judge and action cost: runs, failures, CPU, bytes, peak memory."""
    rows: list[dict[str, Any]] = ask(path, "ledger", {"day": day})
    if as_json:
        click.echo(to_json(rows))
        return
    heads = ["day", "name", "runs", "ok", "unavailable", "failed", "cpu s", "wall s", "read", "peak"]
    shown = [
        [
            row["day"],
            row["name"],
            str(row["runs"]),
            str(row["ok"]),
            str(row["unavailable"]),
            str(row["failed"]),
            f"{row['cpu_s']:.2f}",
            f"{row['wall_s']:.2f}",
            size(row["read_bytes"]),
            size(row["peak_bytes"]),
        ]
        for row in rows
    ]
    for line in table(shown, heads):
        click.echo(line)
    if not rows:
        click.echo("Nothing has run yet." if not day else f"Nothing ran on {day}.")
