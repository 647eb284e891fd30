"""One sentence on what a change means, with its ATT&CK techniques; and telling two mappings apart."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from contracts.event import Severity
from contracts.record import Record

LONGEST = 160
"""Letters of a quoted value that are shown."""
ValueT = TypeVar("ValueT")


class Sentence(Record):
    """`text` is for people and holds no secret; `attack` technique ids; `severity` how much it deserves attention by itself."""

    text: str
    attack: tuple[str, ...] = ()
    severity: Severity = Severity.LOW


def shown(value: str) -> str:
    """Return a value as it may stand in a sentence: one line, printable, not too long."""
    text = " ".join(value.split())
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def differing(
    old: Mapping[str, ValueT], new: Mapping[str, ValueT]
) -> Iterator[tuple[str, ValueT | None, ValueT | None]]:
    """Yield key, former and present value of whatever differs; None for what is not there. In the order of the new, then the gone."""
    for key, value in new.items():
        if old.get(key) != value:
            yield key, old.get(key), value
    for key, value in old.items():
        if key not in new:
            yield key, value, None


def arrow(name: str, before: str | None, after: str | None, default: str = "not set") -> str:
    """Return `NAME BEFORE -> AFTER`."""
    return (
        f"{name} {shown(before) if before is not None else default} -> {shown(after) if after is not None else default}"
    )


Explain = Callable[[str, str], list[Sentence]]
"""Takes the text before and after, "" for a file that was not or is not there."""
