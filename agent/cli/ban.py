"""`holdfast ban`, `unban`, `bans`, `allow`: block an address now, lift that, see who is blocked and why, and say who never is."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.events import moment
from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, clock, plain, span, table, to_json
from agent.control import ask, stream
from contracts.coverage import Coverage, Sight
from contracts.errors import HoldfastError, UsageError
from contracts.subjects.bans import SUBJECT, Ban
from settings.units import duration

_HEADS = ["BLOCKED", "SINCE", "UNTIL", "DROPPED", "BY", "WHY", "EVENT"]
_ALLOWED_HEADS = ["ALLOWED", "OWNER", "SINCE", "UNTIL", "WHY"]
_OTHER_HEADS = ["ADDRESS", "STATE", "SINCE", "UNTIL", "BY", "WHY"]
_PATIENCE_S = 180.0


class NotDone(HoldfastError):
    """The agent did not do it; the message says why."""


class NotHeld(HoldfastError):
    """The ban is in force and packets get through all the same."""

    exit_code = 3


@click.command()
@agent_option
@json_option
@click.argument("address", default="")
@click.option("--for", "length", default="", help="How long: 10m, 1h, 7d; without it longer each time.")
@click.option("--permanently", is_flag=True, help="For good.")
@click.option("--reason", default="", help="Why, for whoever reads `holdfast bans`.")
@click.option("--lists", is_flag=True, help="Load the configured blocklists instead.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def ban(
    path: Path,
    as_json: bool,
    address: str,
    length: str,
    permanently: bool,
    reason: str,
    lists: bool,
    dry_run: bool,
) -> None:
    """Block ADDRESS (or a network) at once; exit code 3 when packets still get through. Neither shadow time nor cap apply to you."""
    if lists:
        if address:
            raise UsageError("--lists takes no address", advice="name one or the other")
        _show(_do(path, "blocklist", {}, dry_run), as_json)
        return
    if not address:
        raise UsageError("no address is named", advice="write `holdfast ban 203.0.113.7`")
    if length and permanently:
        raise UsageError("--for and --permanently exclude each other", advice="give one")
    arguments: dict[str, Any] = {"address": address, "reason": reason or "banned by hand"}
    if length:
        arguments["seconds"] = _seconds(length)
        if not arguments["seconds"]:
            raise UsageError(f'"{length}" is no time to be blocked', advice="write 10m, 1h or 7d")
    if permanently:
        arguments["permanent"] = True
    told = _do(path, "block", arguments, dry_run)
    if told["answer"].get("refused"):
        raise NotDone(plain(told["summary"]), advice="see `holdfast allow --list` and actions.block.never")
    _show(told, as_json)
    if not dry_run and not told["answer"].get("effective", True):
        raise NotHeld(
            "packets still get through: " + "; ".join(told["answer"].get("causes", [])), advice="remove what lets them"
        )


@click.command()
@agent_option
@json_option
@click.argument("address")
@click.option("--for", "length", default="", help="How long nothing but a person blocks it again; 0s: not at all.")
@click.option("--reason", default="", help="Why.")
def unban(path: Path, as_json: bool, address: str, length: str, reason: str) -> None:
    """Lift every ban of ADDRESS at once; what lists or wider bans hold lets it pass for a while."""
    arguments: dict[str, Any] = {"address": address, "reason": reason}
    if length:
        arguments["seconds"] = _seconds(length)
    _show(_do(path, "unblock", arguments), as_json)


@click.command()
@agent_option
@json_option
def bans(path: Path, as_json: bool) -> None:
    """Show who is blocked: since when and until when, by whom, why (the event), and how many packets were dropped."""
    rows, sight = _rows(path), _sight(path)
    if as_json:
        body = {key: msgspec.to_builtins(row) for key, row in rows.items()}
        click.echo(to_json({"rows": body, "state": sight.state, "blind": msgspec.to_builtins(sight.blind)}, indent=2))
        return
    for line in _unseen(sight):
        click.secho(line, fg="yellow")
    for line in listing(rows):
        click.echo(line)


@click.command()
@agent_option
@json_option
@click.argument("address", default="")
@click.option("--owner", default="", help="Who answers for it.")
@click.option("--reason", default="", help="Why it must never be blocked.")
@click.option(
    "--until", default="", help="When that ends: 30d from now, or a local time as 2026-12-31T12:00; without it never."
)
@click.option("--list", "only_list", is_flag=True, help="Show the allowlist.")
@click.option("--remove", is_flag=True, help="Take ADDRESS off the allowlist.")
def allow(
    path: Path, as_json: bool, address: str, owner: str, reason: str, until: str, only_list: bool, remove: bool
) -> None:
    """Never block ADDRESS (or a network): needs an owner and a reason."""
    if only_list:
        rows = {key: row for key, row in _rows(path).items() if row.allowed}
        if as_json:
            click.echo(to_json({key: msgspec.to_builtins(row) for key, row in rows.items()}, indent=2))
            return
        for line in _allowed(rows) if rows else ["Nothing is on the allowlist."]:
            click.echo(line)
        return
    if not address:
        raise UsageError("no address is named", advice="write `holdfast allow 203.0.113.7 --owner NAME --reason WHY`")
    if remove:
        _show(_do(path, "disallow", {"address": address}), as_json)
        return
    if not owner or not reason:
        raise UsageError("an allowed address needs --owner and --reason", advice="say who answers for it, and why")
    arguments: dict[str, Any] = {"address": address, "owner": owner, "reason": reason}
    if until:
        arguments["seconds"] = _from_now(until)
    _show(_do(path, "allow", arguments), as_json)


def listing(rows: Mapping[str, Ban], now_ms: int | None = None) -> Iterator[str]:
    """Yield bans, the allowlist, and what is limited or unbanned, as lines."""
    now = round(time.time() * 1000) if now_ms is None else now_ms
    banned = [row for row in rows.values() if not (row.allowed or row.limited or row.unbanned)]
    if banned:
        yield from table([_cells(row, now) for row in sorted(banned, key=lambda row: -row.since_ms)], _HEADS)
    else:
        yield "Nobody is blocked."
    for row in banned:
        if row.leaked:
            yield click.style(
                f"{row.network}: {row.leaked} or more packets got past the ban; see `holdfast events --kind 'block.*'`",
                fg="red",
            )
    others = [row for row in rows.values() if row.limited or row.unbanned]
    if others:
        yield ""
        yield from table([_other(row, now) for row in others], _OTHER_HEADS)
    allowed = {key: row for key, row in rows.items() if row.allowed}
    if allowed:
        yield ""
        yield from _allowed(allowed, now)


def _cells(row: Ban, now: int) -> list[str]:
    dropped = f"{row.packets}+" if row.packets else "0"
    why = row.reason or "-"
    return [
        plain(word)
        for word in (
            row.network,
            ago(row.since_ms, now),
            _end(row, now),
            dropped,
            row.who or "-",
            why,
            row.cause or "-",
        )
    ]


def _other(row: Ban, now: int) -> list[str]:
    state = "limited" if row.limited else "unbanned"
    return [
        plain(word)
        for word in (row.network, state, ago(row.since_ms, now), _end(row, now), row.who or "-", row.reason or "-")
    ]


def _allowed(rows: Mapping[str, Ban], now_ms: int | None = None) -> Iterator[str]:
    now = round(time.time() * 1000) if now_ms is None else now_ms
    cells = [[row.network, row.who, ago(row.since_ms, now), _end(row, now), row.reason] for row in rows.values()]
    yield from table([[plain(word) for word in line] for line in cells], _ALLOWED_HEADS)


def _end(row: Ban, now: int) -> str:
    if not row.until_ms:
        return "for good"
    return f"{clock(row.until_ms)} (in {span(max(0, row.until_ms - now) / 1000)})"


def _do(path: Path, action: str, arguments: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """Have the agent act and return what it told; raises `NotDone` with the reason when it did not."""
    request = {"action": action, "arguments": arguments, "dry_run": dry_run}
    told: dict[str, Any] = {}
    for answer in stream(path, "do", request, timeout_s=_PATIENCE_S):
        if "progress" not in answer:
            told = answer
    if not told.get("ok"):
        outcome = told.get("outcome", {})
        words = outcome.get("error") or outcome.get("detail") or told.get("summary") or "the agent did not say why"
        raise NotDone(plain(words), advice=plain(outcome.get("fix", "")))
    return told


def _show(told: Mapping[str, Any], as_json: bool) -> None:
    click.echo(to_json(told) if as_json else plain(told["summary"]))


def _rows(path: Path) -> dict[str, Ban]:
    ask(path, "look", {"subject": SUBJECT})
    answer = ask(path, "subject", {"subject": SUBJECT})
    return {key: msgspec.convert(row, Ban) for key, row in answer["rows"].items()}


def _sight(path: Path) -> Sight:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    unknown = Sight(subject=SUBJECT, state="unknown")
    return next((sight for sight in coverage.sights if sight.subject == SUBJECT), unknown)


def _unseen(sight: Sight) -> Iterator[str]:
    if sight.state == "unseen":
        yield "The bans cannot be seen now; this is what was seen last."
    for blind in sight.blind:
        yield from blind_lines(msgspec.to_builtins(blind), indent="")


def _seconds(text: str) -> float:
    try:
        return float(duration(text))
    except ValueError as error:
        raise UsageError(f'"{text}" is not a duration', advice="write 30s, 10m, 1h or 7d") from error


def _from_now(text: str) -> float:
    """Return the seconds until `text`: a duration from now, or a local time."""
    try:
        return float(duration(text))
    except ValueError:
        seconds = moment(text) / 1000 - time.time()
    if seconds <= 0:
        raise UsageError(f"{text} is past", advice="give a time to come") from None
    return seconds
