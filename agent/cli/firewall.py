"""`holdfast firewall`: show the firewall as this agent sees it, compare it with the accepted baseline, accept it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.firewall_exposure import exposure_command
from agent.cli.firewall_guard import guard
from agent.cli.firewall_policy import do, policy
from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, to_json
from agent.control import ask
from contracts.coverage import Coverage, Sight
from contracts.errors import HoldfastError, Unreachable
from contracts.subjects.firewall import SUBJECT, SUMMARY, Row, statement


class NoBaseline(HoldfastError):
    """Nothing was accepted yet, so there is nothing to compare with."""

    exit_code = 2


@click.group()
def firewall() -> None:
    """Show the firewall, what changed, or accept it as it is."""


firewall.add_command(exposure_command)
firewall.add_command(policy)
firewall.add_command(guard)


@firewall.command()
@agent_option
@json_option
def show(path: Path, as_json: bool) -> None:
    """Show summary, tables, chains and rules, and what of them cannot be seen."""
    answer, sight = _subject(path), _sight(path)
    if as_json:
        blind = msgspec.to_builtins(sight.blind)
        click.echo(to_json({**answer, "state": sight.state, "blind": blind}, indent=2))
        return
    for line in _unseen(sight):
        click.secho(line, fg="yellow")
    click.echo(f"Seen:    {ago(answer['at_ms'])}")
    for line in tree(_rows(answer["rows"]), is_whole=sight.state == "seen"):
        click.echo(_one_line(line))


@firewall.command()
@agent_option
@json_option
def diff(path: Path, as_json: bool) -> int:
    """Show what differs from the accepted baseline; exit code 0 when nothing does, 1 when something does, 2 without a baseline."""
    answer = _subject(path)
    if answer["accepted"] is None:
        raise NoBaseline(
            "no firewall was accepted yet", advice="look at `holdfast firewall show`, then `holdfast firewall accept`"
        )
    differences = compare(_rows(answer["accepted"]), _rows(answer["rows"]))
    if as_json:
        click.echo(to_json(msgspec.to_builtins(differences), indent=2))
        return int(bool(differences))
    for line in _unseen(_sight(path)):
        click.secho(line, fg="yellow")
    for difference in differences:
        sign = {"added": "+", "removed": "-", "changed": "~"}[difference["change"]]
        click.secho(f"{sign} {_one_line(difference['text'])}", fg={"+": "green", "-": "red", "~": "yellow"}[sign])
    if not differences:
        click.echo("The firewall is as it was accepted.")
    return int(bool(differences))


@firewall.command()
@agent_option
@json_option
def accept(path: Path, as_json: bool) -> None:
    """Accept the firewall as it was last seen; `diff` and the judges compare with it from now on."""
    answer = _subject(path)
    for line in _unseen(_sight(path)):
        click.secho(line, fg="yellow", err=True)
    result = ask(path, "accept", {"subject": SUBJECT})
    saved, trouble = _saved(path)
    rules = sum(row.what == "rule" for row in _rows(answer["rows"]).values())
    click.echo(to_json({**result, **saved}) if as_json else f"Accepted the firewall with its {rules} rules.")
    if trouble:
        click.secho(f"The guard could not restore it: {_one_line(trouble)}", fg="yellow", err=True)


def _saved(path: Path) -> tuple[dict[str, Any], str]:
    """Have what is accepted saved in a form that can be loaded again; return what was saved, and what went wrong."""
    try:
        answer = do(path, "guard_save", {})
    except HoldfastError as error:
        return {"not_saved": str(error)}, str(error)
    return {"saved": answer["tables"], "unsaved": answer["unsaved"]}, "; ".join(answer["unsaved"])


def _subject(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = ask(path, "subject", {"subject": SUBJECT})
    if not answer.get("revision"):
        advice = "see why with `holdfast coverage`"
        raise Unreachable("the firewall has not been seen yet", advice=advice)
    return answer


def _rows(raw: Mapping[str, Any]) -> dict[str, Row]:
    return {key: msgspec.convert(row, Row) for key, row in raw.items()}


def _sight(path: Path) -> Sight:
    coverage = msgspec.convert(ask(path, "coverage", {}), Coverage)
    return next(
        (sight for sight in coverage.sights if sight.subject == SUBJECT), Sight(subject=SUBJECT, state="unknown")
    )


def _unseen(sight: Sight) -> Iterator[str]:
    if sight.state == "unseen":
        yield "The firewall cannot be seen now; this is what was seen last."
    for blind in sight.blind:
        detail = f" ({blind.detail})" if blind.detail else ""
        yield _one_line(f"Not seen: {blind.what}{detail}. {blind.fix}".rstrip())


def tree(rows: Mapping[str, Row], is_whole: bool = True) -> Iterator[str]:
    """Yield the ruleset as lines: the summary, then every table with its chains, rules and sets; `is_whole` if all of it is seen."""
    summary = rows.get(SUMMARY)
    yield from _summary(summary, is_whole) if summary is not None else ()
    inside: dict[tuple[str, str], list[Row]] = {}
    rules: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows.values():
        if row.what == "rule":
            rules.setdefault((row.family, row.table, row.name), []).append(row)
        elif row.what in ("chain", "set", "object"):
            inside.setdefault((row.family, row.table), []).append(row)
    for table in sorted((row for row in rows.values() if row.what == "table"), key=lambda row: (row.family, row.name)):
        yield ""
        yield _line("table", table)
        for part in sorted(
            inside.get((table.family, table.name), []), key=lambda row: (row.what, not row.hook, row.name)
        ):
            yield "  " + _line(part.what, part)
            mine = sorted(
                rules.get((part.family, part.table, part.name), []) if part.what == "chain" else [],
                key=lambda row: row.rank,
            )
            for place, rule in enumerate(mine, start=1):
                yield f"    {place:>4}  {_one_line(statement(rule))}"


def _summary(row: Row, is_whole: bool) -> Iterator[str]:
    seen = row.summary
    if seen is None:
        return
    yield f"Backend: {', '.join(seen.backends) or ('no rules at all' if is_whole else 'no rules in what is seen')}"
    if seen.makers:
        yield f"Made by: {', '.join(seen.makers)}"
    yield f"Rules:   {seen.rules} in {seen.chains} chains of {seen.tables} tables ({seen.rules4} for IPv4, {seen.rules6} for IPv6)"
    known = "" if is_whole else "as far as it is seen, "
    yield f"IPv4:    {known}{seen.filtering4} to arriving packets that no rule names (input policy {seen.policy4})"
    yield f"IPv6:    {known}{seen.filtering6} to arriving packets that no rule names (input policy {seen.policy6})"


def _line(what: str, row: Row) -> str:
    """Return one line for a table, chain, set or object."""
    maker = f", by {row.maker}" if row.maker else ""
    if what == "table":
        flags = f", {row.text}" if row.text else ""
        return f"table {row.family} {row.name} ({row.source}{maker}{flags})"
    if what == "chain":
        device = f" device {row.device}" if row.device else ""
        base = f": {row.type} at {row.hook}{device}, priority {row.priority}, policy {row.policy}" if row.hook else ""
        return f"chain {row.name}{base}{maker}, {row.rules} rules"
    count = "" if row.elements is None else f", {row.elements} elements"
    return f"{row.type} {row.name}: {_one_line(row.text)}{count}"


def _one_line(text: str) -> str:
    """Return `text` without control characters: whoever writes a rule's comment must not write to the admin's terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def compare(accepted: Mapping[str, Row], now: Mapping[str, Row]) -> list[dict[str, str]]:
    """Return what differs, each with `change` (added, removed, changed), `key` and `text`; ranks alone are no difference."""
    differences = []
    for key in sorted(accepted.keys() | now.keys()):
        old, new = accepted.get(key), now.get(key)
        row = new or old
        if row is None or row.what == SUMMARY:
            continue
        if old is None or new is None:
            change = "added" if old is None else "removed"
            differences.append({"change": change, "key": key, "text": _full(row)})
        elif row.what != "rule" and _essence(old) != _essence(new):
            differences.append({"change": "changed", "key": key, "text": _change(old, new)})
    return _without_echo(differences)


def _essence(row: Row) -> Row:
    return msgspec.structs.replace(row, rank=0, rules=0)


def _full(row: Row) -> str:
    place = "" if row.what == "table" else f"{row.family} {row.table} "
    return f"{place}{row.name}: {_one_line(statement(row))}" if row.what == "rule" else place + _line(row.what, row)


def _change(old: Row, new: Row) -> str:
    names = [
        name
        for name in Row.__struct_fields__
        if name not in ("rank", "rules") and getattr(old, name) != getattr(new, name)
    ]
    if names == ["digest"]:
        what = "other rules or another order" if new.what == "chain" else "other elements"
        return f"{new.family} {new.table} {new.name}: {what}"
    shown = (f"{name} {getattr(old, name)!s} -> {getattr(new, name)!s}" for name in names if name != "digest")
    return f"{new.family} {new.table} {new.name}: {', '.join(shown)}"


def _without_echo(differences: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out that a chain has other rules where those rules are listed themselves."""
    touched = {
        each["key"].split(" ", 1)[1].rsplit(" ", 1)[0] for each in differences if each["key"].startswith("rule ")
    }
    return [
        each
        for each in differences
        if not (each["text"].endswith("another order") and each["key"].removeprefix("chain ") in touched)
    ]
