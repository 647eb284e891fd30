"""One written scalar and one type to one value: strict, so that YAML's traps never change a value silently.

A `str` takes the text as it stands (`no`, `22:22`, `0755`, `1e3`, `~` and dates stay text). Numbers are plain decimal, booleans are `true`
or `false`, and neither may stand in quotes. Every function raises `ValueError` with what was found and what would do.
"""

import math
import re
from enum import Enum
from typing import Any

from msgspec import inspect as mi

from contracts.options import Clock
from settings import units
from settings.errors import nearest
from settings.tree import Scalar

_INT = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_TRUTHS = {"yes", "no", "on", "off", "y", "n", "true", "false"}
ABSOLUTE_PATTERN = "^/"
CLOCK_PATTERN = Clock.__metadata__[0].pattern  # type: ignore[attr-defined]
FORMATS = {
    "holdfast-duration": units.duration,
    "holdfast-size": units.size,
    "holdfast-secret": units.secret_reference,
}


def boolean(scalar: Scalar, _: mi.BoolType) -> bool:
    """`true` or `false` without quotes."""
    if scalar.plain and scalar.text in {"true", "false"}:
        return scalar.text == "true"
    lower = scalar.text.lower()
    if lower in {"true", "false"}:
        raise ValueError(
            f'"{shown(scalar)}" is not a truth value as it stands; write {lower} in lower case and without quotes'
        )
    hint = " (yes, no, on and off are not read as truth values)" if lower in _TRUTHS else ""
    raise ValueError(f'"{shown(scalar)}" is not a truth value; write true or false{hint}')


def integer(scalar: Scalar, kind: mi.IntType) -> int:
    """A plain decimal number within 64 bits and the type's bounds."""
    text = scalar.text
    if not scalar.plain or not _INT.fullmatch(text) or text == "-0":
        raise ValueError(f'"{shown(scalar)}" is not a whole number{_number_hint(scalar)}')
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f'"{shown(scalar)}" does not fit 64 bits; write a smaller number')
    check_bounds(value, kind, str)
    return value


def floating(scalar: Scalar, kind: mi.FloatType) -> float:
    """A plain decimal number, finite and within the type's bounds."""
    if not scalar.plain or not _FLOAT.fullmatch(scalar.text):
        raise ValueError(f'"{shown(scalar)}" is not a number{_number_hint(scalar)}')
    value = float(scalar.text)
    if not math.isfinite(value):
        raise ValueError(f'"{shown(scalar)}" is too large for a number')
    check_bounds(value, kind, lambda bound: f"{bound:g}")
    return value


def text(scalar: Scalar, kind: mi.StrType, example: str = "") -> str:
    """The text as written, within the type's length and pattern; `example` shows a person what would do."""
    value = scalar.text
    if scalar.plain and value == "":
        raise ValueError('is empty; write a value, or "" for empty text')
    if kind.pattern is not None and re.search(kind.pattern, value) is None:
        if kind.pattern == CLOCK_PATTERN:
            raise ValueError(f'"{shown(scalar)}" is not a time of day; write HH:MM, for example 03:30')
        if kind.pattern == ABSOLUTE_PATTERN:
            raise ValueError(f'"{shown(scalar)}" is not an absolute path; begin it with /')
        if example:
            raise ValueError(f'"{shown(scalar)}" is not what this setting takes; write it like {example}')
        raise ValueError(f'"{shown(scalar)}" does not match {kind.pattern}')
    check_length(len(value), kind, "character")
    return value


def formatted(scalar: Scalar, kind: Any, name: str) -> Any:
    """A quantity or reference in one of the formats of `contracts.options`."""
    value: Any = FORMATS[name](scalar.text)
    if name == "holdfast-duration":
        check_bounds(value, kind, units.write_duration)
    elif name == "holdfast-size":
        check_bounds(value, kind, units.write_size)
    return value


def enumeration(scalar: Scalar, kind: mi.EnumType) -> Enum:
    """A member by its value, or for numbered enumerations by its name in lower case."""
    choices = choices_of(kind.cls)
    if scalar.text not in choices:
        raise ValueError(f'"{shown(scalar)}" is not one of the choices{nearest(scalar.text, choices)}')
    return choices[scalar.text]


def literal(scalar: Scalar, kind: mi.LiteralType) -> Any:
    """One of the listed words or numbers."""
    choices = {str(value): value for value in kind.values}
    if scalar.text not in choices:
        raise ValueError(f'"{shown(scalar)}" is not one of the choices{nearest(scalar.text, choices)}')
    return choices[scalar.text]


def choices_of(cls: type[Enum]) -> dict[str, Enum]:
    """Return how each member of an enumeration is written in a settings file."""
    return {member.value if isinstance(member.value, str) else member.name.lower(): member for member in cls}


def check_bounds(value: float, kind: Any, write: Any) -> None:
    """Raise `ValueError` when a number is outside the bounds that `kind` states."""
    if kind.ge is not None and value < kind.ge:
        raise ValueError(f"{write(value)} is less than the least allowed, {write(kind.ge)}")
    if kind.gt is not None and value <= kind.gt:
        raise ValueError(f"{write(value)} is not more than {write(kind.gt)}")
    if kind.le is not None and value > kind.le:
        raise ValueError(f"{write(value)} is more than the most allowed, {write(kind.le)}")
    if kind.lt is not None and value >= kind.lt:
        raise ValueError(f"{write(value)} is not less than {write(kind.lt)}")
    if kind.multiple_of is not None and value % kind.multiple_of:
        raise ValueError(f"{write(value)} is not a multiple of {write(kind.multiple_of)}")


def check_length(length: int, kind: Any, unit: str) -> None:
    """Raise `ValueError` when something is shorter or longer than `kind` allows."""
    if kind.min_length is not None and length < kind.min_length:
        raise ValueError(f"has {_count(length, unit)}; at least {_count(kind.min_length, unit)} needed")
    if kind.max_length is not None and length > kind.max_length:
        raise ValueError(f"has {_count(length, unit)}; at most {_count(kind.max_length, unit)} allowed")


def shown(scalar: Scalar) -> str:
    """Return the text of a scalar fit for one line of an error: printable and short."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in scalar.text)
    return line if len(line) <= 60 else f"{line[:57]}..."


def _number_hint(scalar: Scalar) -> str:
    if not scalar.plain and _FLOAT.fullmatch(scalar.text):
        return " while it stands in quotes; write it without"
    stripped = scalar.text.lstrip("0")
    if scalar.text[:1] == "0" and stripped.isdecimal() and stripped.isascii():
        return f"; a leading zero is ambiguous, write {stripped}"
    return "; write decimal digits, for example 42"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
