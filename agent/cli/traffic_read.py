"""`holdfast traffic read`: hold rules against a capture file and write the alerts as EVE JSON."""

import contextlib
import sys
from pathlib import Path
from typing import BinaryIO

import click

from agent.cli.traffic_rules import NotRules


@click.command()
@click.argument("capture", metavar="PCAP", type=click.Path(path_type=Path))
@click.option(
    "--rules", "paths", multiple=True, required=True, type=click.Path(path_type=Path), help="A file or folder of rules."
)
@click.option(
    "--eve", default="-", show_default=True, help="Where the alerts go, a JSON record a line; - is standard output."
)
@click.option(
    "--checksums",
    type=click.Choice(["verify", "ignore"]),
    default="verify",
    show_default=True,
    help="Whether bad checksums count.",
)
@click.option("--ips", is_flag=True, help="Act as if packets waited for the verdict: drop rules drop.")
@click.option("--midstream", is_flag=True, help="Pick up sessions whose beginning is not in the capture.")
@click.option("--async-oneside", is_flag=True, help="Follow sessions of which only one side is in the capture.")
def read(
    capture: Path, paths: tuple[Path, ...], eve: str, checksums: str, ips: bool, midstream: bool, async_oneside: bool
) -> None:
    """Read a capture and write what the rules say of it."""
    from agent.wiring import rules_desk

    desk = rules_desk()
    try:
        found = desk.check(paths, desk.variables({}), None)
    except ValueError as error:
        raise NotRules(str(error)) from None
    for one in found.refused:
        click.secho(f"not loaded: {one}", fg="yellow", err=True)
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(capture.open("rb"))
        reading = desk.read(
            file,
            found.rules,
            verify_checksums=checksums == "verify",
            inline=ips,
            midstream=midstream,
            async_oneside=async_oneside,
        )
        out = sys.stdout.buffer if eve == "-" else stack.enter_context(Path(eve).open("wb"))
        for alert in reading.alerts():
            out.write(desk.eve(alert))
        out.flush()
    if reading.problem:
        click.secho(f"{capture}: {reading.problem}", fg="yellow", err=True)
