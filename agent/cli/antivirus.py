"""`holdfast antivirus`: how products and signatures are, scans, updates, quarantine, and the proof that malware would be found."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.antivirus_ask import have_done
from agent.cli.antivirus_quarantine import quarantine
from agent.cli.antivirus_relay import relay
from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, plain, to_json
from agent.control import ask
from analysis.antivirus.standing import findings, span, working
from contracts.coverage import Coverage
from contracts.errors import HoldfastError, Unreachable, UsageError
from contracts.subjects.antivirus import RUNS, STATES, SUBJECT, Done, Finding, Product
from contracts.text import escape

_MEDIUM, _HIGH = 3, 4
_PROOF_SLACK_S = 15.0
_ANSWER_S = 1.0
"""How long a product has for its answer after `--look`; coverage says when it takes much longer."""


@click.group()
def antivirus() -> None:
    """See how fresh antivirus really is, scan, update, keep malware out of reach, prove that it would be found."""


antivirus.add_command(quarantine)
antivirus.add_command(relay)


@antivirus.command()
@agent_option
@json_option
@click.option("--look", is_flag=True, help="Look now instead of showing what was seen last.")
def status(path: Path, as_json: bool, look: bool) -> int:
    """Show products, their signatures and what is not as it should be; exit code 1 when something is not."""
    if look:
        ask(path, "look", {"subject": SUBJECT})
        time.sleep(_ANSWER_S)  # a look waits for no product: what this one asked, the next one tells
        ask(path, "look", {"subject": SUBJECT})
    answer = ask(path, "subject", {"subject": SUBJECT})
    if not answer.get("revision"):
        raise Unreachable("antivirus has not been seen yet", advice="see why with `holdfast coverage`")
    products = {key: msgspec.convert(row, Product) for key, row in answer["rows"].items()}
    runs = ask(path, "subject", {"subject": RUNS})["rows"]
    done = {key: msgspec.convert(row, Done) for key, row in runs.items()}
    now_ms = round(time.time() * 1000)
    found = findings(products, done, now_ms)
    bad = any(each.severity >= _MEDIUM for each in found.values())
    if as_json:
        told = {"products": products, "runs": done, "findings": found, "at_ms": answer["at_ms"]}
        click.echo(to_json(msgspec.to_builtins(told), indent=2))
        return int(bad)
    for line, colour in _lines(products, done, found, now_ms):
        click.secho(line, fg=colour)
    for line in _unseen(path):
        click.secho(line, fg="yellow")
    return int(bad)


@antivirus.command()
@agent_option
@json_option
@click.option("--delta", is_flag=True, help="Only what changed, then what was not scanned with these signatures.")
@click.option("--dry-run", is_flag=True, help="Only say what would be scanned.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing while it runs.")
@click.argument("paths", nargs=-1, type=click.Path())
def scan(path: Path, as_json: bool, delta: bool, dry_run: bool, quiet: bool, paths: tuple[str, ...]) -> int:
    """Scan PATHS (those of the settings) through clamd; exit codes as clamscan's: 0 clean, 1 found, 2 something was not scanned."""
    if not all(paths):
        raise UsageError("an empty name is no file or folder", advice="write . for the folder you are in")
    # A link that is named here is meant as what it points to, as with clamscan; the scan itself follows none.
    named = {"paths": [escape(os.path.realpath(each)) for each in paths]} if paths else {}
    arguments: dict[str, Any] = {"delta": delta, **named}
    try:
        told = have_done(path, "scan", arguments, dry_run=dry_run, quiet=quiet or as_json)
    except HoldfastError as error:
        error.exit_code = 2  # as clamscan, whatever the reason: not everything was scanned
        raise
    answer = told["answer"]
    if as_json:
        click.echo(to_json(told, indent=2))
        return int(answer.get("code", 0))
    for line in answer.get("found", ()):
        click.secho(plain(line), fg="red")
    for line in answer.get("not_scanned", ()):
        click.secho(f"not scanned: {plain(line)}", fg="yellow", err=True)
    click.echo(plain(told["summary"]))
    return int(answer.get("code", 0))


@antivirus.command()
@agent_option
@json_option
@click.option(
    "--force", is_flag=True, help="Run freshclam also when nothing newer is known of, or updates are switched off."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def update(path: Path, as_json: bool, force: bool, dry_run: bool) -> int:
    """Bring ClamAV's signatures up to date now; exit code 75 when that has to wait (a cool-down, memory)."""
    told = have_done(path, "update_signatures", {"force": force}, dry_run=dry_run, quiet=as_json)
    click.echo(to_json(told, indent=2) if as_json else plain(told["summary"]))
    return int(told["answer"].get("code", 0))


@antivirus.command()
@agent_option
@json_option
@click.option(
    "--timeout",
    default=90.0,
    type=click.FloatRange(min=1.0),
    show_default=True,
    help="Seconds to wait for the end of the proof.",
)
def prove(path: Path, as_json: bool, timeout: float) -> int:
    """Write a harmless test file into a watched folder: is it found, and does the report arrive? Exit code 1 when it is missed."""
    told = have_done(path, "antivirus_prove", {"step": "plant"}, quiet=True)
    proof = told["answer"]["proof"]
    until = time.monotonic() + timeout + _PROOF_SLACK_S
    while time.monotonic() < until:
        for kind in ("antivirus.proved", "antivirus.proof_missed"):
            for shown in ask(path, "events", {"kind": kind, "limit": 20}):
                event = shown["event"]
                if event["fields"].get("proof") == proof:
                    click.echo(to_json(event, indent=2) if as_json else plain(event["text"] or shown.get("text", "")))
                    return int(kind != "antivirus.proved")
        time.sleep(0.1)
    full = ask(path, "status").get("disk", "")
    why = f": nothing can be stored ({plain(full)})" if full else ""
    raise Unreachable(f"the proof has not ended{why}", advice="see `holdfast status` and `holdfast events`")


def _number(version: int) -> str:
    """A version in words: -1 is none."""
    return f"version {version}" if version >= 0 else "nothing"


def _lines(
    products: Mapping[str, Product], done: Mapping[str, Done], found: Mapping[str, Finding], now_ms: int
) -> Iterator[tuple[str, str | None]]:
    for key, product in sorted(products.items()):
        version, built_ms = working(product)
        about = [each for name, each in found.items() if name == key or name.startswith(f"{key}/")]
        age = f"signatures {span(now_ms - built_ms)} old" if built_ms else "the age of its signatures is not known"
        of = f" (version {version})" if version >= 0 else ""
        engine = f" {plain(product.engine)}" if product.engine else ""
        yield f"{plain(product.name)}{engine}: {age}{of}", _colour(about)
        if product.daemon != "none":
            said = f": {plain(product.daemon_detail)}" if product.daemon_detail else ""
            yield (
                f"  daemon {product.daemon}{said}; "
                f"on the disk {_number(product.version)}, loaded {_number(product.loaded_version)}",
                None,
            )
        if product.provider == "clamav":
            yield f"  freshclam {product.updater.state}{_trouble(product)}", None
            official = sum(each.official for each in product.databases)
            yield f"  {len(product.databases)} databases, {official} of them official, {_signed(product)}", None
        for each in about:
            yield f"  {plain(each.detail)}", "red" if each.severity >= _HIGH else "yellow"
    for key, each in sorted(found.items()):
        if not any(key == name or key.startswith(f"{name}/") for name in products):
            yield plain(each.detail), "red" if each.severity >= _HIGH else "yellow"
    for key in ("update", "scan", "proof", "quarantine"):
        row = done.get(key)
        if row is not None and row.at_ms:
            numbers = ", ".join(f"{name} {value:g}" for name, value in row.numbers.items())
            yield (
                f"last {key}: {row.state} {ago(row.at_ms, now_ms)}{f' ({numbers})' if numbers else ''}{_about(row)}",
                None,
            )


def _about(row: Done) -> str:
    return f": {plain(row.detail)}" if row.what == "quarantine" else ""


def _colour(about: list[Finding]) -> str:
    worst = max((each.severity for each in about), default=0)
    return "red" if worst >= _HIGH else "yellow" if worst >= _MEDIUM else "green"


def _trouble(product: Product) -> str:
    said = product.updater.trouble or product.updater.detail
    return f": {plain(said)}" if said else ""


def _signed(product: Product) -> str:
    counts: dict[str, int] = {}
    for each in product.databases:
        counts[each.signed] = counts.get(each.signed, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


def _unseen(path: Path) -> Iterator[str]:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    for sight in coverage.sights:
        if sight.subject in (SUBJECT, STATES):
            for blind in sight.blind:
                yield from blind_lines(msgspec.to_builtins(blind), indent="")
