"""What the journal of file integrity holds, and what waits to be accepted: values that its parts keep and exchange."""

import msgspec

from contracts.event import Value
from contracts.file_change import Author, Change
from contracts.trees import Node


class Batch(msgspec.Struct, frozen=True, tag="changes", gc=False):
    """Changes that were seen together."""

    changes: tuple[Change, ...]


class Statement(msgspec.Struct, frozen=True, tag="statement", kw_only=True, gc=False):
    """A fact that is not about one file: the name of its kind, its key, its fields."""

    kind: str
    key: str
    fields: dict[str, Value] = {}
    at_ms: int = 0


class Open(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """How one path differs from what was accepted of it: None stands for nothing there. Times in Unix ms.

    `written` is what was there before its content was last written, None where that came with the file, or did not change.
    """

    before: Node | None = None
    after: Node | None = None
    profile: str = ""
    found_by: str = ""
    first_ms: int = 0
    last_ms: int = 0
    author: Author = Author()
    written: Node | None = None
