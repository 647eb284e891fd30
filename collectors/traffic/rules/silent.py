"""Rules that load and can never match here: nothing fills a buffer that they need. Told, not passed over."""

from collections.abc import Iterable, Iterator

from collectors.traffic.protocols.names import FILLED
from collectors.traffic.rules.engine.view import BUFFERS
from collectors.traffic.rules.language.rule import Absent, Rule

OF_PACKETS = frozenset({"payload", *BUFFERS})
"""Buffers that are parts of packets (`engine/view.py`)."""


def silent(rule: Rule) -> str:
    """Return why a rule can never match here, "" when it can."""
    empty = list(dict.fromkeys(_empty(rule)))
    if not empty:
        return ""
    what = "this buffer" if len(empty) == 1 else "these buffers"
    return f"it loads and never matches: nothing here fills {what}: {', '.join(empty)}"


def never(rules: Iterable[Rule]) -> Iterator[tuple[Rule, str]]:
    """Yield the rules that can never match, each with the reason."""
    for rule in rules:
        why = silent(rule)
        if why:
            yield rule, why


def _empty(rule: Rule) -> Iterator[str]:
    for test in rule.buffers:
        if test.buffer in FILLED or test.buffer in OF_PACKETS:
            continue
        if test.matches and isinstance(test.matches[0], Absent):
            continue  # it asks that the buffer is not there
        yield test.buffer
