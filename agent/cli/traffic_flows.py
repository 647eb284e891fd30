"""`holdfast traffic flows`: the records of flows that ended, as EVE JSON lines, oldest first."""

from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option
from agent.cli.traffic_evidence import content, key_option
from agent.control import ask
from contracts.errors import HoldfastError

KEPT = {"watcher": "traffic", "what": "flows"}


class NoRecords(HoldfastError):
    """No records of flows are kept."""


@click.command()
@key_option
@agent_option
def flows(path: Path, key: str | None) -> None:
    """Write the records of flows that are kept, a JSON record a line (see collectors.traffic.flow_records)."""
    found: list[dict[str, Any]] = ask(path, "kept", KEPT)
    if not found:
        raise NoRecords(
            "no records of flows are kept",
            advice="set collectors.traffic.flow_records, for example to 64MiB, and wait a minute",
        )
    for one in found:
        click.echo(content(path, KEPT, one["name"], key), nl=False)
