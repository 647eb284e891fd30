"""`holdfast traffic read`: hold a capture file against rules and detectors, and write what they say as EVE JSON or for people."""

import contextlib
import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from agent.cli.traffic_rules import NotRules, categories_option, given_variables, reputation_option, variable_option
from contracts.errors import HoldfastError, Malformed, UsageError


class NotACapture(HoldfastError):
    """A file is no capture."""


@click.command()
@click.argument("capture", metavar="PCAP", type=click.Path(path_type=Path))
@click.option("--rules", "paths", multiple=True, type=click.Path(path_type=Path), help="A file or folder of rules.")
@variable_option
@click.option(
    "--thresholds",
    type=click.Path(path_type=Path),
    help="A threshold.config: suppress, threshold, event_filter and rate_filter.",
)
@categories_option
@reputation_option
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
    variables: tuple[str, ...],
    thresholds: Path | None,
    categories: Path | None,
    reputation: tuple[Path, ...],
    detect: bool,
    home: tuple[str, ...],
    eve: str | None,
    checksums: str,
    ips: bool,
    midstream: bool,
    async_oneside: bool,
) -> None:
    """Read a capture (- is standard input) and write what rules and detectors say of it."""
    from agent.wiring import rules_desk

    if not paths and not detect:
        raise click.UsageError("nothing to hold the capture against: give --rules PATH, or --detect, or both")
    _check_networks(home)

    _keep_what_is_read(eve, (capture, thresholds, categories, *reputation, *paths))
    desk = rules_desk()
    rules, config = _ruleset(desk, paths, variables, thresholds, categories=categories, reputation=reputation)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_naming(str(capture)))
        file: BinaryIO = sys.stdin.buffer if str(capture) == "-" else stack.enter_context(capture.open("rb"))
        try:
            reading = desk.read(
                file,
                rules,
                config,
                home=home,
                verify_checksums=checksums == "verify",
                inline=ips,
                midstream=midstream,
                async_oneside=async_oneside,
                detect=detect,
            )
        except Malformed as error:
            raise NotACapture(f"{capture}: {error.message}", advice=error.advice) from None
        people = eve is None and not paths
        out = _Output(None if eve in (None, "-") else str(eve), stack)
        for one in reading.results():
            out.write(f"{desk.words(one)}\n".encode() if people else desk.eve(one))
        out.flush()
    for note in reading.notes():
        click.secho(f"{capture}: {note}", fg="yellow", err=True)
    if reading.unread:
        raise NotACapture(
            f"{capture}: no packet of it could be looked at", advice="capture on the interface that IP passes"
        )


class _Output:
    """Where results go: a file, or (None) standard output. What cannot be written is told with its name."""

    def __init__(self, path: str | None, stack: contextlib.ExitStack) -> None:
        self._name = path or "standard output"
        self._file: BinaryIO = sys.stdout.buffer if path is None else Path(path).open("wb")  # noqa: SIM115 (closed by the stack)
        if path is not None:
            stack.callback(self._close)

    def write(self, data: bytes) -> None:
        """Write; raises `OSError` with the name."""
        with _naming(self._name):
            self._file.write(data)

    def flush(self) -> None:
        """Write what waits; raises `OSError` with the name."""
        with _naming(self._name):
            self._file.flush()

    def _close(self) -> None:
        with _naming(self._name):
            self._file.close()


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Give an `OSError` that names no file this name: reading and writing, other than opening, do not tell which one it was."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = name
        raise


def _ruleset(
    desk: Any, paths: tuple[Path, ...], variables: tuple[str, ...], thresholds: Path | None, **lists: Any
) -> tuple[Any, Any]:
    """Return the rules that load, and what the site says beside them; those that do not are named."""
    try:
        groups = desk.variables(given_variables(variables))
    except ValueError as error:
        raise UsageError(f"--var {error}") from None
    try:
        found = desk.check(paths, groups, None, **lists)
        config = desk.thresholds(thresholds, groups, found.rules) if thresholds is not None else None
    except ValueError as error:
        raise NotRules(str(error)) from None
    for note in found.notes:
        click.secho(note, fg="yellow", err=True)
    for refused in found.refused:
        click.secho(f"not loaded: {refused}", fg="yellow", err=True)
    if paths and not found.rules:
        click.secho("no rule loads: nothing is found by rules", fg="yellow", err=True)
    return found.rules, config


def _keep_what_is_read(eve: str | None, sources: tuple[Path | None, ...]) -> None:
    """Refuse to write alerts over the capture or the rules that they would come from."""
    for source in sources if eve not in (None, "-") else ():
        with contextlib.suppress(OSError):  # one that is not there is not written over, and named when it is read
            if source is not None and source.is_file() and Path(str(eve)).samefile(source):
                raise UsageError(f"--eve {eve} would write over what is read", advice="name another file")


def _check_networks(networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise click.BadParameter(f"{error}; write 192.0.2.0/24 or 2001:db8::/32", param_hint="--home") from None
