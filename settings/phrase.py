"""What a setting is, in words and as text: its type as a person would say it, and a value as the file would hold it."""

import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect as mi

from settings import units
from settings.convert import default_of, has_default, unwrap
from settings.scalars import CLOCK_PATTERN, FORMATS, choices_of

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./*@+-]*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def kind_of(kind: mi.Type) -> str:
    """Return the type in words, with its bounds: `duration, at least 1s`."""
    plain, form = unwrap(kind)
    return ", ".join([_noun(plain, form), *_bounds(plain, form)])


def settings_of(section: mi.Field) -> tuple[mi.Field, ...]:
    """Return the settings of a section, whose defaults are those of the section's own default where it has one."""
    struct, _ = unwrap(section.type)
    assert isinstance(struct, mi.StructType)
    if not has_default(section):
        return struct.fields
    value = default_of(section)
    return tuple(
        mi.Field(
            name=inner.name,
            encode_name=inner.encode_name,
            type=inner.type,
            required=False,
            default=getattr(value, inner.name),
        )
        for inner in struct.fields
    )


def description_of(kind: mi.Type) -> str:
    """Return the description of a setting, or for a section what its type says of itself."""
    described = metadata_of(kind).get("description", "")
    plain, _ = unwrap(kind)
    if described or not isinstance(plain, mi.StructType):
        return str(described)
    return about(plain)


def about(kind: mi.StructType) -> str:
    """Return the first paragraph of a struct's docstring in one line."""
    return " ".join((kind.cls.__doc__ or "").strip().split("\n\n")[0].split()).replace("`", "")


def examples_of(kind: mi.Type) -> list[Any]:
    """Return the examples a declaration gives, as they would stand in a file."""
    return list(metadata_of(kind).get("examples", []))


def metadata_of(kind: mi.Type) -> dict[str, Any]:
    """Return what a declaration says besides the type."""
    found: dict[str, Any] = {}
    while isinstance(kind, mi.Metadata):
        found = {**(kind.extra_json_schema or {}), **found}
        kind = kind.type
    return found


def written(value: Any, kind: mi.Type | None = None) -> str:
    """Return `value` as one line of YAML that reads back as the same value of `kind`."""
    plain, form = unwrap(kind) if kind is not None else (None, "")
    if isinstance(plain, mi.UnionType):
        plain, form = unwrap(_member(value, plain))
    if form in FORMATS:
        return _quantity(value, form)
    if isinstance(value, Enum):
        return next(name for name, member in choices_of(type(value)).items() if member is value)
    if isinstance(value, msgspec.Struct):
        return _written_struct(value, plain)
    if isinstance(value, Mapping):
        inner = plain.value_type if isinstance(plain, mi.DictType) else None
        return "{" + ", ".join(f"{written(name)}: {written(child, inner)}" for name, child in value.items()) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        item = getattr(plain, "item_type", None)
        return "[" + ", ".join(written(child, item) for child in value) + "]"
    if isinstance(value, str):
        return (
            value
            if _BARE.fullmatch(value) and value.lower() not in _RESERVED
            else json.dumps(value, ensure_ascii=False)
        )
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _quantity(value: Any, form: str) -> str:
    if form == "holdfast-duration":
        return units.write_duration(value)
    return units.write_size(value) if form == "holdfast-size" else written(value)


def _written_struct(value: msgspec.Struct, kind: mi.Type | None) -> str:
    struct = kind if isinstance(kind, mi.StructType) else mi.type_info(type(value))
    assert isinstance(struct, mi.StructType)
    parts = [f"{struct.tag_field}: {written(struct.tag)}"] if struct.tag_field else []
    parts += [
        f"{field.encode_name}: {written(getattr(value, field.name), field.type)}"
        for field in struct.fields
        if not has_default(field) or getattr(value, field.name) != default_of(field)
    ]
    return "{" + ", ".join(parts) + "}"


def _member(value: Any, kind: mi.UnionType) -> mi.Type:
    if value is None:
        return mi.NoneType()
    others = [choice for choice in kind.types if not isinstance(choice, mi.NoneType)]
    return others[0] if len(others) == 1 else mi.AnyType()


def _noun(plain: mi.Type, form: str) -> str:
    if form:
        return {"holdfast-duration": "duration", "holdfast-size": "size"}.get(form, "secret reference")
    if isinstance(plain, mi.StrType):
        return "time of day (HH:MM)" if plain.pattern == CLOCK_PATTERN else "text"
    if isinstance(plain, (mi.EnumType, mi.LiteralType)):
        names = choices_of(plain.cls) if isinstance(plain, mi.EnumType) else [str(value) for value in plain.values]
        return f"one of {', '.join(names)}"
    if isinstance(plain, mi.UnionType):
        nouns = [_noun(*unwrap(choice)) for choice in plain.types if not isinstance(choice, mi.NoneType)]
        nullable = any(isinstance(choice, mi.NoneType) for choice in plain.types)
        if len(nouns) > 3:
            return "value"
        return " or ".join(nouns) + (" or nothing" if nullable and len(nouns) == 1 else "")
    if isinstance(plain, mi.DictType):
        return f"map of name to {_noun(*unwrap(plain.value_type))}"
    if isinstance(plain, mi.TupleType):
        return f"list of exactly {len(plain.item_types)}"
    item = getattr(plain, "item_type", None)
    if item is not None:
        noun = _noun(*unwrap(item))
        return f"list of {'sections' if noun == 'section' else noun}"
    return {mi.BoolType: "true or false", mi.IntType: "whole number", mi.FloatType: "number"}.get(
        type(plain), "section"
    )


def _bounds(plain: mi.Type, form: str) -> list[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}
    found = []
    for name, word in words.items():
        bound = getattr(plain, name, None)
        if bound is not None:
            found.append(f"{word} {_quantity(bound, form) if form else format(bound, 'g')}")
    if getattr(plain, "min_length", None):
        found.append("not empty" if plain.min_length == 1 else f"at least {plain.min_length} long")  # type: ignore[attr-defined]
    if getattr(plain, "max_length", None):
        found.append(f"at most {plain.max_length} long")  # type: ignore[attr-defined]
    return found
