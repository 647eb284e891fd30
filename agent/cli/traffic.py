"""`holdfast traffic`: the sensor's commands."""

import click

from agent.cli.traffic_read import read
from agent.cli.traffic_rules import rules


@click.group()
def traffic() -> None:
    """Watch traffic: check rules, read captures."""


traffic.add_command(read)
traffic.add_command(rules)
