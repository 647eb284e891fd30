"""A tree of text and a msgspec type to a value of that type, directed by the type, collecting every error instead of the first."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import NODEFAULT
from msgspec import inspect as mi
from msgspec.structs import replace

from settings import scalars
from settings.errors import ConfigError, nearest
from settings.tree import Mapping, Mark, Node, Scalar, Sequence


class _Failed:
    """What a conversion returns after it has stated an error; never part of a value."""


FAILED: Final = _Failed()
_SCALARS: dict[type[mi.Type], Callable[[Scalar, Any], Any]] = {
    mi.BoolType: scalars.boolean,
    mi.IntType: scalars.integer,
    mi.FloatType: scalars.floating,
    mi.StrType: scalars.text,
    mi.EnumType: scalars.enumeration,
    mi.LiteralType: scalars.literal,
}
_SEQUENCES: dict[type[mi.Type], Callable[[Iterable[Any]], Any]] = {
    mi.ListType: list,
    mi.VarTupleType: tuple,
    mi.SetType: set,
    mi.FrozenSetType: frozenset,
}
_ORDER = (mi.LiteralType, mi.EnumType, mi.Metadata, mi.BoolType, mi.IntType, mi.FloatType, mi.StrType)
"""In a union the narrower reading of a scalar is tried first; text, which takes anything, last."""


class Converter:
    """Converts nodes; after a conversion `errors` holds everything that was wrong and `marks` where each setting stands."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.marks: dict[str, Mark] = {}

    def convert(self, node: Node, kind: mi.Type, path: str = "") -> Any:
        """Return the value of `node` as `kind`, or `FAILED` after adding to `errors`."""
        if path:
            self.marks.setdefault(path, node.mark)
        plain, form = unwrap(kind)
        if form:
            return self._scalar(node, lambda scalar: scalars.formatted(scalar, plain, form), path)
        if isinstance(plain, mi.StrType):
            return self._scalar(node, lambda scalar: scalars.text(scalar, plain, _example(kind)), path)
        if type(plain) in _SCALARS:
            return self._scalar(node, lambda scalar: _SCALARS[type(plain)](scalar, plain), path)
        if isinstance(plain, mi.StructType):
            return self._struct(node, plain, path)
        if isinstance(plain, mi.UnionType):
            return self._union(node, plain, path)
        if isinstance(plain, mi.DictType):
            return self._dict(node, plain, path)
        if type(plain) in _SEQUENCES:
            return self._sequence(node, plain, path)
        if isinstance(plain, mi.TupleType):
            return self._tuple(node, plain, path)
        raise TypeError(f"{path or 'settings'}: the type {plain} cannot be a setting")

    def _fail(self, at: Mark, path: str, message: str) -> _Failed:
        self.errors.append(ConfigError(file=at.file, line=at.line, column=at.column, path=path, message=message))
        return FAILED

    def _scalar(self, node: Node, read: Callable[[Scalar], Any], path: str) -> Any:
        if not isinstance(node, Scalar):
            return self._fail(node.mark, path, f"{_shape(node)} stands where a single value belongs")
        try:
            return read(node)
        except ValueError as error:
            return self._fail(node.mark, path, str(error))

    def _struct(self, node: Node, kind: mi.StructType, path: str, base: Any = None) -> Any:
        """Build a section; what it does not mention comes from `base`, the section's own default, or else from its type."""
        if isinstance(node, Scalar) and node.empty:
            node = Mapping({}, node.mark)
        if not isinstance(node, Mapping):
            return self._fail(node.mark, path, f"{_shape(node)} stands where a section (name: value) belongs")
        fields = {field.encode_name: field for field in kind.fields}
        values: dict[str, Any] = {}
        for name, child in node.entries.items():
            if name == kind.tag_field:
                continue
            here = join(path, name)
            if name not in fields:
                values[name] = self._fail(node.keys[name], here, f"unknown setting{nearest(name, fields)}")
                continue
            values[fields[name].name] = self._field(child, fields[name], here)
        for field in kind.fields:
            if base is None and field.required and field.name not in values:
                values[field.name] = self._fail(node.mark, join(path, field.encode_name), "is required; add it")
        if any(value is FAILED for value in values.values()):
            return FAILED
        try:
            return kind.cls(**values) if base is None else replace(base, **values)
        except ValueError as error:
            return self._refused(node.mark, path, str(error))

    def _refused(self, at: Mark, path: str, message: str) -> _Failed:
        """State what a section's own check says; one that begins with the name of a setting within it points there."""
        name, colon, rest = message.partition(": ")
        inner = join(path, name)
        if colon and inner in self.marks:
            return self._fail(self.marks[inner], inner, rest)
        return self._fail(at, path, message)

    def _field(self, node: Node, field: mi.Field, path: str) -> Any:
        plain, _ = unwrap(field.type)
        if not (isinstance(plain, mi.StructType) and has_default(field)):
            return self.convert(node, field.type, path)
        self.marks.setdefault(path, node.mark)
        return self._struct(node, plain, path, default_of(field))

    def _dict(self, node: Node, kind: mi.DictType, path: str) -> Any:
        if isinstance(node, Scalar) and node.empty:
            node = Mapping({}, node.mark)
        if not isinstance(node, Mapping):
            return self._fail(node.mark, path, f"{_shape(node)} stands where names with values (name: value) belong")
        values: dict[Any, Any] = {}
        failed = False
        for name, child in node.entries.items():
            here = join(path, name)
            key = self.convert(Scalar(name, name != "", node.keys[name]), kind.key_type, here)
            value = self.convert(child, kind.value_type, here)
            failed = failed or key is FAILED or value is FAILED
            if not failed:
                values[key] = value
        return FAILED if failed or not self._length(node, len(node.entries), kind, path, "name") else values

    def _sequence(self, node: Node, kind: Any, path: str) -> Any:
        if not isinstance(node, Sequence):
            return self._fail(
                node.mark, path, f"{_shape(node)} stands where a list belongs; write [a, b] or one “- item” per line"
            )
        values = [self.convert(child, kind.item_type, f"{path}[{index}]") for index, child in enumerate(node.items)]
        if any(value is FAILED for value in values) or not self._length(node, len(values), kind, path, "item"):
            return FAILED
        return _SEQUENCES[type(kind)](values)

    def _tuple(self, node: Node, kind: mi.TupleType, path: str) -> Any:
        if not isinstance(node, Sequence) or len(node.items) != len(kind.item_types):
            return self._fail(node.mark, path, f"a list of exactly {len(kind.item_types)} items belongs here")
        pairs = zip(node.items, kind.item_types, strict=True)
        values = [self.convert(child, item, f"{path}[{index}]") for index, (child, item) in enumerate(pairs)]
        return FAILED if any(value is FAILED for value in values) else tuple(values)

    def _length(self, node: Node, length: int, kind: Any, path: str, unit: str) -> bool:
        try:
            scalars.check_length(length, kind, unit)
        except ValueError as error:
            self._fail(node.mark, path, str(error))
            return False
        return True

    def _union(self, node: Node, kind: mi.UnionType, path: str) -> Any:
        nullable = any(isinstance(choice, mi.NoneType) for choice in kind.types)
        if nullable and isinstance(node, Scalar) and node.empty:
            return None
        choices = [choice for choice in kind.types if _fits(node, choice)]
        if len(choices) > 1 and isinstance(node, Mapping):
            choices = self._tagged(node, choices, path)
            if not choices:
                return FAILED
        if not choices:
            names = " or ".join(
                dict.fromkeys(describe(choice) for choice in kind.types if not isinstance(choice, mi.NoneType))
            )
            return self._fail(node.mark, path, f"{_shape(node)} stands where {names} belongs")
        return self._first(node, sorted(choices, key=_rank), path)

    def _first(self, node: Node, choices: list[mi.Type], path: str) -> Any:
        """Return the first reading that succeeds; if none does, state what the last and widest one said."""
        for choice in choices[:-1]:
            attempt = Converter()
            value = attempt.convert(node, choice, path)
            if not attempt.errors:
                self.marks = {**attempt.marks, **self.marks}
                return value
        return self.convert(node, choices[-1], path)

    def _tagged(self, node: Mapping, choices: list[mi.Type], path: str) -> list[mi.Type]:
        by_tag = {
            str(plain.tag): plain
            for plain in (unwrap(choice)[0] for choice in choices)
            if isinstance(plain, mi.StructType)
        }
        field = next((plain.tag_field for plain in by_tag.values() if plain.tag_field), "type")
        tag = node.entries.get(field)
        if not isinstance(tag, Scalar):
            self._fail(node.mark, join(path, field), f"is required here; write one of {', '.join(by_tag)}")
            return []
        if tag.text not in by_tag:
            self._fail(
                tag.mark,
                join(path, field),
                f'"{scalars.shown(tag)}" is not one of the choices{nearest(tag.text, by_tag)}',
            )
            return []
        return [by_tag[tag.text]]


def unwrap(kind: mi.Type) -> tuple[mi.Type, str]:
    """Return a type without its metadata, and the format of `contracts.options` it is written in, if any."""
    form = ""
    while isinstance(kind, mi.Metadata):
        form = form or (kind.extra_json_schema or {}).get("format", "")
        kind = kind.type
    return kind, form if form in scalars.FORMATS else ""


def _example(kind: mi.Type) -> str:
    """Return the examples that a declaration gives of its text, for an error."""
    while isinstance(kind, mi.Metadata):
        examples = (kind.extra_json_schema or {}).get("examples", [])
        if examples and all(isinstance(example, str) for example in examples):
            return " or ".join(examples)
        kind = kind.type
    return ""


def join(path: str, name: str) -> str:
    """Return the path of the setting `name` within `path`; a name from a file is made fit for one line first."""
    name = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[:80])
    return f"{path}.{name}" if path else name


def has_default(field: mi.Field) -> bool:
    """Say whether a setting may be left out."""
    return field.default is not NODEFAULT or field.default_factory is not NODEFAULT


def default_of(field: mi.Field) -> Any:
    """Return the default value of a setting that has one."""
    return field.default if field.default is not NODEFAULT else field.default_factory()


def describe(kind: mi.Type) -> str:
    """Return what a type is called in an error."""
    plain, form = unwrap(kind)
    if form:
        return {"holdfast-duration": "a duration", "holdfast-size": "a size"}.get(form, "a reference to a secret")
    if type(plain) in _SCALARS:
        return {mi.BoolType: "true or false", mi.IntType: "a whole number", mi.FloatType: "a number"}.get(
            type(plain), "text"
        )
    return "a section" if isinstance(plain, (mi.StructType, mi.DictType)) else "a list"


def _shape(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a section (name: value)"
    if isinstance(node, Sequence):
        return "a list"
    return "nothing" if node.empty else f'the single value "{scalars.shown(node)}"'


def _fits(node: Node, kind: mi.Type) -> bool:
    """Say whether a node has the shape of a type, and for text in quotes whether the type may stand in quotes."""
    plain, form = unwrap(kind)
    if isinstance(node, Mapping):
        return isinstance(plain, (mi.StructType, mi.DictType))
    if isinstance(node, Sequence):
        return type(plain) in _SEQUENCES or isinstance(plain, mi.TupleType)
    if not node.plain and not form:
        return isinstance(plain, (mi.StrType, mi.EnumType, mi.LiteralType))
    return type(plain) in _SCALARS


def _rank(kind: mi.Type) -> int:
    return _ORDER.index(type(kind)) if type(kind) in _ORDER else len(_ORDER)
