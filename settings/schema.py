"""JSON Schema (2020-12) of a settings file, for editors: what the file may hold as written, not the values it becomes."""

from typing import Any

from msgspec import inspect as mi

from settings import phrase
from settings.convert import default_of, has_default, unwrap
from settings.scalars import choices_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FORMATS = {
    "holdfast-duration": r"^[0-9]{1,15}(\.[0-9]{1,9})? ?(ms|s|m|h|d|w)$",
    "holdfast-size": r"^[0-9]{1,15}(\.[0-9]{1,9})? ?([kMGT]?B|[KMGT]iB)$",
    "holdfast-secret": r"^(file:/.+|credential:[A-Za-z0-9_.-]+)$",
}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


def schema(kind: type, title: str) -> dict[str, Any]:
    """Return the JSON Schema of settings of type `kind`."""
    return {"$schema": DIALECT, "title": title, **_schema(mi.type_info(kind))}


def _schema(kind: mi.Type) -> dict[str, Any]:
    plain, form = unwrap(kind)
    described = phrase.description_of(kind)
    body = {"type": "string", "pattern": _FORMATS[form]} if form else _plain(plain)
    return {"description": described, **body} if described else body


def _plain(plain: mi.Type) -> dict[str, Any]:
    if isinstance(plain, mi.StructType):
        return _struct(plain)
    if isinstance(plain, mi.DictType):
        return _lengths(
            {"type": ["object", "null"], "additionalProperties": _schema(plain.value_type)}, plain, "Properties"
        )
    if isinstance(plain, mi.UnionType):
        return {"anyOf": [_schema(choice) for choice in plain.types]}
    if isinstance(plain, mi.EnumType):
        return {"enum": list(choices_of(plain.cls))}
    if isinstance(plain, mi.LiteralType):
        return {"enum": list(plain.values)}
    if isinstance(plain, mi.StrType):
        pattern = {} if plain.pattern is None else {"pattern": plain.pattern}
        return _lengths({"type": _TEXT, **pattern}, plain, "Length")
    if isinstance(plain, mi.TupleType):
        count = len(plain.item_types)
        items = [_schema(item) for item in plain.item_types]
        return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
    item = getattr(plain, "item_type", None)
    if item is not None:
        return _lengths({"type": "array", "items": _schema(item)}, plain, "Items")
    return _number(plain)


_TEXT = ["string", "number", "boolean", "null"]
"""A text setting may be written without quotes; what an editor's YAML then takes for a number still reads as that text here."""


def _struct(plain: mi.StructType) -> dict[str, Any]:
    properties = {field.encode_name: _property(field) for field in plain.fields}
    required = [field.encode_name for field in plain.fields if not has_default(field)]
    if plain.tag_field:
        properties = {plain.tag_field: {"const": plain.tag}, **properties}
        required.insert(0, plain.tag_field)
    body: dict[str, Any] = {
        "type": "object" if required else ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }
    return {**body, "required": required} if required else body


def _property(field: mi.Field) -> dict[str, Any]:
    body = _schema(field.type)
    plain, _ = unwrap(field.type)
    if not has_default(field) or isinstance(plain, mi.StructType):
        return body
    return {**body, "default": _as_written(default_of(field), field.type)}


def _as_written(value: Any, kind: mi.Type) -> Any:
    if value is None or (isinstance(value, (bool, int, float)) and not unwrap(kind)[1]):
        return value if type(value) in {bool, int, float, type(None)} else phrase.written(value, kind)
    if isinstance(value, (list, tuple, set, frozenset)):
        item = getattr(unwrap(kind)[0], "item_type", mi.AnyType())
        return [_as_written(child, item) for child in value]
    if isinstance(value, dict):
        return {
            str(name): _as_written(child, getattr(unwrap(kind)[0], "value_type", mi.AnyType()))
            for name, child in value.items()
        }
    return str(value) if isinstance(value, str) and not unwrap(kind)[1] else phrase.written(value, kind)


def _number(plain: mi.Type) -> dict[str, Any]:
    names = {mi.BoolType: "boolean", mi.IntType: "integer", mi.FloatType: "number", mi.NoneType: "null"}
    if type(plain) not in names:
        return {}
    found = {word: getattr(plain, name) for name, word in _BOUNDS.items() if getattr(plain, name, None) is not None}
    return {"type": names[type(plain)], **found}


def _lengths(body: dict[str, Any], plain: Any, what: str) -> dict[str, Any]:
    found = {f"min{what}": plain.min_length, f"max{what}": plain.max_length}
    return {**body, **{name: value for name, value in found.items() if value is not None}}
