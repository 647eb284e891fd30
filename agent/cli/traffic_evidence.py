"""`holdfast traffic evidence`: the packets that are kept of alerts."""

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import clock, plain, size, table, to_json
from agent.control import ask
from contracts.errors import HoldfastError, UsageError

KEPT = {"watcher": "traffic", "what": "evidence"}
key_option = click.option(
    "--key",
    metavar="REFERENCE",
    help="The secret that evidence is sealed with (collectors.traffic.evidence.key), as in file:/etc/holdfast/evidence.key.",
)


class CannotShow(HoldfastError):
    """A capture cannot be read: it is sealed with another secret, or damaged."""

    exit_code = 78  # stored data cannot be used


@click.group()
def evidence() -> None:
    """Look at the packets that are kept of alerts."""


@evidence.command("list")
@agent_option
@json_option
def list_(path: Path, as_json: bool) -> None:
    """List the captures, oldest first; the rule's number is in the name."""
    found: list[dict[str, Any]] = ask(path, "kept", KEPT)
    if as_json:
        click.echo(to_json(found, indent=2))
        return
    if not found:
        click.echo("No evidence is kept.")
        return
    rows = [[clock(one["at_ms"]), _sid(one["name"]), size(one["bytes"]), plain(one["name"])] for one in found]
    for line in table(rows, ["kept", "rule", "size", "name"]):
        click.echo(line)


@evidence.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="All fields of all layers, and the beginning of the payload.")
@key_option
@agent_option
def show(path: Path, name: str, full: bool, key: str | None) -> None:
    """Show what lies in a capture, a packet a line."""
    from agent.wiring import rules_desk

    try:
        for line in rules_desk().dissect(content(path, KEPT, name, key), full):
            click.echo(plain(line))
    except ValueError as error:
        raise CannotShow(f"{name}: {error}") from None


@evidence.command()
@click.argument("name")
@click.option("--out", default="-", show_default=True, help="The file to write; - is standard output.")
@key_option
@agent_option
def export(path: Path, name: str, out: str, key: str | None) -> None:
    """Write a capture as a pcap file, as tcpdump and Wireshark read it."""
    packets = content(path, KEPT, name, key)
    if out == "-":
        sys.stdout.buffer.write(packets)
        sys.stdout.buffer.flush()
        return
    try:
        Path(out).write_bytes(packets)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {(error.strerror or str(error)).lower()}") from None


def content(path: Path, kept: Mapping[str, str], name: str, key: str | None) -> bytes:
    """Return one thing that is kept, unsealed; raises `HoldfastError`."""
    from agent.wiring import rules_desk
    from settings.secret import read_secret

    answer = ask(path, "kept_one", {**kept, "name": name})
    secret = read_secret(key).encode() if key else None
    try:
        return rules_desk().unsealed(base64.b64decode(answer["content"]), secret, name)
    except ValueError as error:
        raise CannotShow(str(error), advice="give it with --key, as in --key file:/etc/holdfast/evidence.key") from None


def _sid(name: str) -> str:
    parts = name.split("-")
    return parts[1] if len(parts) > 2 and parts[1].isdecimal() else ""
