"""`holdfast traffic`: the sensor's commands."""

import click

from agent.cli.traffic_evidence import evidence
from agent.cli.traffic_flows import flows
from agent.cli.traffic_read import read
from agent.cli.traffic_rules import rules
from agent.cli.traffic_status import status


@click.group()
def traffic() -> None:
    """Watch traffic: how the sensor stands, evidence of alerts, rules, captures."""


traffic.add_command(status)
traffic.add_command(evidence)
traffic.add_command(flows)
traffic.add_command(read)
traffic.add_command(rules)
