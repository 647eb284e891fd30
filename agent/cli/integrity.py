"""`holdfast integrity`: show what is watched, scan it now, show what differs from what was accepted, or accept it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.integrity_history import history, rollback
from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, clock, plain, size, table, to_json
from agent.control import ask, stream
from contracts.coverage import Coverage, Sight
from contracts.errors import HoldfastError, Unreachable, UsageError
from contracts.subjects.integrity import BOOK, SUBJECT, Row
from contracts.text import escape

SCAN_S = 12 * 3600.0
ANSWER_S = 300.0
PAGE = 1000
DIFFERS = 1
"""The exit code of `diff` when something differs."""
_OFF = "files are not watched here"
_ON = "Set collectors.integrity.enabled: true and reload the agent."


class NotWatched(UsageError):
    """File integrity is not configured on this host."""

    exit_code = 78


@click.group()
def integrity() -> None:
    """Show what happened to watched files, scan them now, or accept them as they are."""


integrity.add_command(history)
integrity.add_command(rollback)


@integrity.command()
@agent_option
@json_option
def show(path: Path, as_json: bool) -> None:
    """Show what is watched, how the baseline stands, how the last scan went, and what cannot be seen."""
    answer = _subject(path)
    rows = {key: msgspec.convert(row, Row) for key, row in answer["rows"].items()}
    sight = _sight(path)
    if as_json:
        body = {**answer, "state": sight.state, "blind": msgspec.to_builtins(sight.blind)}
        click.echo(to_json(body, indent=2))
        return
    for blind in sight.blind:
        for line in blind_lines(msgspec.to_builtins(blind), indent=""):
            click.secho(line, fg="yellow")
    for line in _standing(rows):
        click.echo(line)
    cells = [
        [plain(row.name), row.profile, row.state, str(row.folders), str(row.files), str(row.flaws), ago(row.scanned_ms)]
        for key, row in sorted(rows.items())
        if row.kind == "root"
    ]
    for line in table(cells, ["PATH", "ENTRY", "STATE", "FOLDERS", "NAMES", "UNREAD", "SCANNED"]):
        click.echo(line)


@integrity.command()
@agent_option
@json_option
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--read-again", is_flag=True, help="Read every content, whatever the metadata says.")
def scan(path: Path, as_json: bool, target: Path | None, read_again: bool) -> None:
    """Look at everything that is watched, or at TARGET of it, now. Ends with 1 when it found changes."""
    arguments = {"path": _named(target), "read_again": read_again}
    answer = _do(path, "integrity_scan", arguments, SCAN_S, None if as_json else _progress)
    click.echo(to_json(answer, indent=2) if as_json else plain(answer["summary"]).capitalize() + ".")
    if answer.get("changes"):
        raise SystemExit(DIFFERS)


@integrity.command()
@agent_option
@json_option
@click.argument("target", type=click.Path(path_type=Path), required=False)
def diff(path: Path, as_json: bool, target: Path | None) -> None:
    """Show how watched files (or TARGET of them) differ from what was accepted. Ends with 1 when something differs."""
    changes = list(_waiting(path, _named(target)))
    if as_json:
        click.echo(to_json(changes, indent=2))
    else:
        for change in changes:
            for line in change_lines(change):
                click.echo(line)
        click.echo(
            f"{len(changes)} changes wait to be accepted." if changes else "Nothing differs from what was accepted."
        )
    if changes:
        raise SystemExit(DIFFERS)


@integrity.command()
@agent_option
@json_option
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--why", "reason", required=True, help="Why it is right as it is; stands in the event that records this.")
@click.option("--all", "everything", is_flag=True, help="Accept everything that waits.")
@click.option(
    "--key", metavar="FINGERPRINT", default="", help="Trust this key: what it signs proves packages from now on."
)
def accept(path: Path, as_json: bool, target: Path | None, reason: str, everything: bool, key: str) -> None:
    """Accept what differs at or below TARGET as it is, or a new key of packages. Who did and why is recorded as an event."""
    chosen = (target is not None) + everything + bool(key)
    if not chosen:
        raise UsageError("what is to be accepted is not said", advice="name a path, --all, or --key")
    if chosen > 1:
        raise UsageError("a path, --all and --key cannot go together", advice="give one of them")
    arguments = {"path": _named(target), "key": key, "reason": reason}
    answer = _do(path, "integrity_accept", arguments, ANSWER_S, None)
    click.echo(to_json(answer, indent=2) if as_json else plain(answer["summary"]).capitalize() + ".")


def change_lines(change: Mapping[str, Any]) -> Iterator[str]:
    """Yield a change as it is shown: what and where, then what was and what is."""
    former = f" (was {plain(change['former'])})" if change.get("former") else ""
    who = change.get("process") and f" by {plain(change['process'])}" + (
        f" (login {plain(change['login'])})" if change.get("login") else ""
    )
    yield f"{', '.join(change['words']):24} {plain(change['path'])}{former}  {clock(change['at_ms'])}{who or ''}"
    for word in change["before"]:
        yield f"    - {plain(word)}"
    for word in change["after"]:
        yield f"    + {plain(word)}"


def _standing(rows: Mapping[str, Row]) -> Iterator[str]:
    book = rows.get(BOOK, Row(kind="book", name=""))
    limit = f" of {book.limit}" if book.limit else ""
    missing = f", {book.unwatched} could not be watched" if book.unwatched else ""
    yield f"State:     {plain(book.state)}; {book.watches}{limit} folders watched as things happen{missing}"
    yield f"Baseline:  {book.root[:16]}… after {book.position} writings; {book.open} changes wait to be accepted"
    last = rows.get("scan")
    if last is not None:
        cost = f"{last.files} names in {last.seconds:.1f} s, {size(last.read_bytes)} read, {last.changes} changes"
        yield f"Last scan: {ago(last.scanned_ms)} ({plain(last.name)}): {cost}"
    if book.detail:
        yield f"Note:      {plain(book.detail)}"


def _waiting(path: Path, target: str) -> Iterator[dict[str, Any]]:
    after, more = 0, True
    while more:
        arguments = {"path": target, "after": after, "limit": PAGE}
        answer = _do(path, "integrity_diff", arguments, ANSWER_S, None)
        for raw in answer["changes"]:
            yield msgspec.json.decode(raw)
        more, after = bool(answer["more"]) and bool(answer["changes"]), answer["next"]


def _do(
    path: Path,
    action: str,
    arguments: Mapping[str, Any],
    patience_s: float,
    progress: Callable[[Mapping[str, Any]], None] | None,
) -> dict[str, Any]:
    """Have the agent carry out one of the deeds and return its answer; raises what went wrong."""
    order = {"action": action, "arguments": dict(arguments), "dry_run": False}
    ended: dict[str, Any] = {}
    try:
        for reply in stream(path, "do", order, patience_s):
            if "progress" in reply:
                if progress is not None:
                    progress(reply["progress"])
            else:
                ended = reply
    except HoldfastError as error:
        if f'no action "{action}"' in error.message:
            raise NotWatched(_OFF, advice=_ON) from error
        raise
    if progress is not None:
        click.echo("", err=True)
    if not ended.get("ok"):
        outcome = ended.get("outcome") or {}
        detail = str(outcome.get("detail") or outcome.get("error") or "it did not say why")
        failure = HoldfastError(plain(detail), advice=plain(outcome.get("fix") or ""))
        failure.exit_code = int((ended.get("answer") or {}).get("code") or failure.exit_code)
        raise failure
    return {**ended["answer"], "summary": ended["summary"]}


def _progress(advance: Mapping[str, Any]) -> None:
    click.echo(f"\r{advance['done']:.0f} {advance['unit']}, {plain(advance['what'])}   ", nl=False, err=True)


def _named(target: Path | None) -> str:
    """Return a path as it travels: from the root, without following anything."""
    if target is None:
        return ""
    return escape(str(Path.cwd() / target if not target.is_absolute() else target))


def _subject(path: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = ask(path, "subject", {"subject": SUBJECT})
    except UsageError as error:
        raise NotWatched(_OFF, advice=_ON) from error
    except HoldfastError as error:
        if "no subject" in error.message:
            raise NotWatched(_OFF, advice=_ON) from error
        raise
    if not answer.get("revision"):
        raise Unreachable("the files have not been seen yet", advice="see why with `holdfast coverage`")
    return answer


def _sight(path: Path) -> Sight:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    unknown = Sight(subject=SUBJECT, state="unknown")
    return next((sight for sight in coverage.sights if sight.subject == SUBJECT), unknown)
