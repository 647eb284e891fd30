"""How times, spans and blind spots read on a terminal. No library for that: `holdfast status` is to answer at once."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from contracts.errors import Why

COLOURS = {"seen": "green", "partial": "yellow", "unseen": "red", "unknown": "yellow"}


def ago(at_ms: int, now_ms: int | None = None) -> str:
    """Return how long ago `at_ms` was."""
    if not at_ms:
        return "never"
    now = time.time() * 1000 if now_ms is None else now_ms
    seconds = (now - at_ms) / 1000
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Return a span in its largest unit that is not nothing."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(at_ms: int) -> str:
    """Return a time of the day with its date, local."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def blind_lines(blind: Mapping[str, Any], indent: str = "    ") -> Iterator[str]:
    """Yield what is not seen, why, and what would do."""
    detail = blind.get("detail") or blind["why"]
    if blind["why"] == Why.NOT_PRESENT:  # looked, and this host has none of it: no failure to look
        yield f"{indent}nothing of it here: {plain(detail)}"
        return
    yield f"{indent}cannot see {plain(blind['what'])}: {plain(detail)}"
    if blind.get("fix"):
        yield f"{indent}  {plain(blind['fix'])}"


def sight_line(sight: Mapping[str, Any], now_ms: int | None = None) -> str:
    """Return one subject on one line; green is only what was looked at with success."""
    state = sight["state"]
    proven = state == "seen" and sight["last_ok_ms"]
    word = click.style(f"{state:8}", fg=COLOURS[state] if proven or state != "seen" else "yellow")
    last = f"last seen {ago(sight['last_ok_ms'], now_ms)}" if sight["last_ok_ms"] else "never seen yet"
    return f"  {plain(sight['subject']):18} {word} {sight['rows']:>6} rows, {last}"


def to_json(value: object, indent: int | None = None) -> str:
    """Return JSON in ASCII: beyond it lie characters, too, that drive a terminal (C1 controls, changes of direction)."""
    return json.dumps(value, indent=indent)


def plain(text: object) -> str:
    """Return text that cannot drive the terminal, whatever a hostile host put into it."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def table(rows: list[list[str]], heads: list[str]) -> Iterator[str]:
    """Yield rows below their heads, columns as wide as they need; numbers stand right."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    numeric = [all(row[column][:1].isdigit() or not row[column] for row in rows) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(cells).rstrip()
