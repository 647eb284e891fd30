"""The one-line text of an event: its kind's template filled with its fields, whatever is missing."""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.event import Event, Kind

MISSING = "?"
MAX_LENGTH = 500


def title(kind: Kind, event: Event) -> str:
    """Return the text people read; a field that the event lacks shows as `?`, and control characters never pass."""
    text = _FORMATTER.vformat(kind.title, (), {**event.fields, "key": event.key})
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH - 1]}…"


class _Formatter(string.Formatter):
    """Fills a template from names alone: no positions, no attributes, no item lookups."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002 - string.Formatter's signature
        return kwargs.get(field_name, MISSING), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return ", ".join(str(item) for item in value)
        try:
            return format(value, format_spec)
        except (ValueError, TypeError):
            return str(value)


_FORMATTER = _Formatter()
