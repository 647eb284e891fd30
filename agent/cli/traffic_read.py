"""`holdfast traffic read`: hold a capture file against rules and detectors, and write what they say as EVE JSON or for people."""

import contextlib
import ipaddress
import sys
from pathlib import Path
from typing import BinaryIO

import click

from agent.cli.traffic_rules import NotRules


@click.command()
@click.argument("capture", metavar="PCAP", type=click.Path(path_type=Path))
@click.option("--rules", "paths", multiple=True, type=click.Path(path_type=Path), help="A file or folder of rules.")
@click.option("--detect", is_flag=True, help="Look for behaviour: scans, floods, guessed logins, tunnels and others.")
@click.option(
    "--home",
    multiple=True,
    metavar="NETWORK",
    help="A network that is ours, for --detect; the private ones when none is given.",
)
@click.option(
    "--eve",
    default=None,
    help="Where alerts go, a JSON record a line; - is standard output (the default, but for --detect alone, which speaks to people).",
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
    capture: Path,
    paths: tuple[Path, ...],
    detect: bool,
    home: tuple[str, ...],
    eve: str | None,
    checksums: str,
    ips: bool,
    midstream: bool,
    async_oneside: bool,
) -> None:
    """Read a capture and write what rules and detectors say of it."""
    from agent.wiring import rules_desk

    if not paths and not detect:
        raise click.UsageError("nothing to hold the capture against: give --rules PATH, or --detect, or both")
    _check_networks(home)

    desk = rules_desk()
    try:
        found = desk.check(paths, desk.variables({}), None)
    except ValueError as error:
        raise NotRules(str(error)) from None
    for refused in found.refused:
        click.secho(f"not loaded: {refused}", fg="yellow", err=True)
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(capture.open("rb"))
        reading = desk.read(
            file,
            found.rules,
            verify_checksums=checksums == "verify",
            inline=ips,
            midstream=midstream,
            async_oneside=async_oneside,
            detect=detect,
            home=home,
        )
        if eve is None and not paths:
            for one in reading.results():
                click.echo(desk.words(one))
        else:
            out = sys.stdout.buffer if eve in (None, "-") else stack.enter_context(Path(str(eve)).open("wb"))
            for one in reading.results():
                out.write(desk.eve(one))
            out.flush()
    if reading.problem:
        click.secho(f"{capture}: {reading.problem}", fg="yellow", err=True)


def _check_networks(networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise click.BadParameter(f"{error}; write 192.0.2.0/24 or 2001:db8::/32", param_hint="--home") from None
