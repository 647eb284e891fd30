"""Reads the rows of a subject as agents send them: of a newer agent maybe, or hostile; what is not understood is counted."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from contracts.codec import UNDECODABLE
from contracts.record import Record

RowT = TypeVar("RowT", bound=Record)
_DIGITS = re.compile(r"(\d+)")


def read(raw: Mapping[str, bytes], row_type: type[RowT]) -> tuple[dict[str, RowT], int, str]:
    """Return the rows of `raw` that decode as `row_type`, how many do not, and why the first of those does not."""
    decoder = msgspec.json.Decoder(row_type)
    rows: dict[str, RowT] = {}
    example = ""
    for key, body in raw.items():
        try:
            rows[key] = decoder.decode(body)
        except UNDECODABLE as error:
            example = example or str(error)
    return rows, len(raw) - len(rows), example


def unread_words(unread: int, example: str) -> str:
    """Return the sentence that says what could not be understood, or ""."""
    if not unread:
        return ""
    return f"{unread} further rows could not be understood by this console ({example}); bring console and agent to one version."


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which 10 comes after 9."""
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() and len(part) < 20 else (1, 0, part)
        for part in _DIGITS.split(text)
        if part
    )
