"""Decoding of what another version of Holdfast may have sent: fields that this one does not know are passed over.

Agents and the console are never upgraded at the same moment. Inside one installation every part is of one version, and there an unknown
field stays an error (`contracts.record`). Rows of subjects stay strict, too: what a page judges by and does not understand, it says.
Whoever adds a field to what goes over the wire gives it a default.
"""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Tolerant(Generic[T]):
    """A decoder of MessagePack for one type. What it knows it reads as strictly as ever.

    Raises what msgspec raises. What has no unknown field costs nothing more than to decode it.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._strict = msgspec.msgpack.Decoder(kind)

    def decode(self, body: bytes) -> T:
        """Return the value in `body`."""
        try:
            found: T = self._strict.decode(body)
        except msgspec.ValidationError as error:
            if "unknown field" not in str(error):
                raise
            # msgspec has no reading that is strict but for unknown fields: so they are taken out, and it decodes what is left.
            from msgspec import inspect

            known = _known(msgspec.msgpack.decode(body), inspect.type_info(self._kind))
            found = self._strict.decode(msgspec.msgpack.encode(known))
        return found


def _known(value: Any, shape: Any) -> Any:
    """Return a value without the fields that the type at its place does not have."""
    from msgspec import inspect

    if isinstance(shape, inspect.UnionType):
        shape = _chosen(value, shape)
    if isinstance(value, dict):
        if isinstance(shape, inspect.StructType):
            kinds: dict[str, Any] = {field.encode_name: field.type for field in shape.fields}
            kinds |= {shape.tag_field: None} if shape.tag_field is not None else {}
            return {name: _known(each, kinds[name]) for name, each in value.items() if name in kinds}
        if isinstance(shape, inspect.DictType):
            return {name: _known(each, shape.value_type) for name, each in value.items()}
    elif isinstance(value, list):
        if isinstance(shape, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
            return [_known(each, shape.item_type) for each in value]
        if isinstance(shape, inspect.TupleType) and len(value) == len(shape.item_types):
            return [_known(each, kind) for each, kind in zip(value, shape.item_types, strict=True)]
    return value


def _chosen(value: Any, union: Any) -> Any:
    """Return the type of a union that a value is of, as far as that matters here: which struct, by its tag, or which container."""
    from msgspec import inspect

    for shape in union.types:
        if isinstance(value, dict) and isinstance(shape, inspect.StructType):
            if shape.tag_field is None or value.get(shape.tag_field) == shape.tag:
                return shape
        elif (isinstance(value, dict) and isinstance(shape, inspect.DictType)) or (
            isinstance(value, list)
            and isinstance(
                shape,
                inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType | inspect.TupleType,
            )
        ):
            return shape
    return None
