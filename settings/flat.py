"""Settings as a flat list: every setting by its full name, as the file would hold it, and where it came from."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect as mi

from settings import phrase
from settings.convert import join, unwrap
from settings.load import Loaded
from settings.tree import Mark


class Setting(NamedTuple):
    """One setting: `written` is its value as one line of YAML; `mark` is None for a default."""

    path: str
    written: str
    mark: Mark | None

    @property
    def origin(self) -> str:
        """Where the value came from, in words."""
        return f"{self.mark.file}:{self.mark.line}:{self.mark.column}" if self.mark else "default"


def flat(loaded: Loaded[Any]) -> Iterator[Setting]:
    """Yield every setting of `loaded` in the order its types declare."""
    yield from _walk(loaded, loaded.value, mi.type_info(type(loaded.value)), "")


def _walk(loaded: Loaded[Any], value: Any, kind: mi.Type, path: str) -> Iterator[Setting]:
    plain, _ = unwrap(kind)
    if not (isinstance(plain, mi.StructType) and isinstance(value, msgspec.Struct)):
        yield Setting(path, phrase.written(value, kind), loaded.marks.get(path))
        return
    for field in plain.fields:
        yield from _walk(loaded, getattr(value, field.name), field.type, join(path, field.encode_name))
