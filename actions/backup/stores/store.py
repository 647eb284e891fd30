"""The interface `Store`: the files of one repository at one place, and what callers may rely on.

A store knows nothing of encryption, packs or snapshots: it keeps opaque files of six types under their names.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, overload

from contracts.errors import HoldfastError

Buffer = bytes | bytearray | memoryview

_NAME = re.compile(r"[0-9a-f]{64}")


class FileType(StrEnum):
    """restic's file types; the value is how restic names the type in its messages."""

    CONFIG = "config"
    KEY = "key"
    LOCK = "lock"
    SNAPSHOT = "snapshot"
    INDEX = "index"
    PACK = "data"


class Handle(NamedTuple):
    """One file: its type and its name (64 lower-case hexadecimal digits; empty for the config, of which there is one)."""

    type: FileType
    name: str = ""

    def __str__(self) -> str:
        return f"{self.type.value}/{self.name}" if self.name else self.type.value


CONFIG = Handle(FileType.CONFIG)


def is_name(name: str) -> bool:
    """Whether `name` can be the name of a file in a repository; everything else in the folders is not ours to read."""
    return _NAME.fullmatch(name) is not None


def check_handle(handle: Handle) -> None:
    """Refuse a handle that names no file of a repository, with ValueError: no path is ever made of such a name."""
    if handle.type is FileType.CONFIG:
        if handle.name:
            raise ValueError(f"the config has no name, got {handle.name!r}")
    elif not is_name(handle.name):
        raise ValueError(f"{handle.name!r} is not the name of a {handle.type.value} file")


class StoreError(HoldfastError):
    """A store could not do what it was asked; `permanent` says whether the same call can succeed later unchanged."""


class NotThere(StoreError):
    """The file is not there (or the store as a whole is not)."""


class AlreadyThere(StoreError):
    """A file of that name exists; it was left as it is."""


class NoSpace(StoreError):
    """The place is full, or its quota is used up."""


class Denied(StoreError):
    """The place refuses: permissions, read-only, or a rule of the server."""


class ShortFile(StoreError):
    """The file ends before the range that was asked for."""


class Draft(Sequence[Buffer]):
    """The bytes of a file in the making, for `Store.save`; as a sequence it is what was added."""

    @abstractmethod
    def add(self, data: Buffer) -> None:
        """Append; StoreError when there is no room for it."""

    @abstractmethod
    def discard(self) -> None:
        """Give it up; nothing happens when it was saved."""


class MemoryDraft(Draft):
    """A draft that is held in memory until it is saved."""

    def __init__(self) -> None:
        self._parts: list[Buffer] = []

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> Buffer: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, place: int | slice) -> Buffer | Sequence[Buffer]:
        return self._parts[place]

    def add(self, data: Buffer) -> None:
        self._parts.append(data)

    def discard(self) -> None:
        self._parts = []


def draft_for(store: "Store") -> Draft:
    """Where a big file for this store grows: in the store itself where it can (`LocalStore.draft`), else in memory."""
    make: Callable[[], Draft] | None = getattr(store, "draft", None)
    return make() if make is not None else MemoryDraft()


class Store(Protocol):
    """The files of one repository.

    Callers may rely on this, and `tests/actions/backup/stores/conformance.py` holds every store to it:

    - A file appears under its name complete and durable, or not at all: neither a crash at any moment nor another reader sees a part of it.
    - A file that is there is never changed. `save` on an existing name raises `AlreadyThere` and leaves it untouched.
    - `list` yields each complete file once, in no order; leftovers of an interrupted `save` are never listed, loaded or counted.
    - Every method may be called from several threads; `connections` and `writers` say how many calls at once are worth while.
    - What goes wrong is a `StoreError` that says where, and whether trying again can help (`permanent`); never an OSError.
    """

    @property
    def location(self) -> str:
        """Where this is, for messages."""
        ...

    @property
    def connections(self) -> int:
        """How many calls at once make sense."""
        ...

    @property
    def writers(self) -> int:
        """How many calls of `save` at once make sense; not more than `connections`."""
        ...

    def create(self) -> None:
        """Make the folders of an empty repository; what is there already stays. Raises AlreadyThere when a config is there."""
        ...

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        """Publish the bytes of `parts`, one after another, as the file `handle`, atomically and durably."""
        ...

    def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file from `offset`; all that follow, or exactly `length` of them (else ShortFile)."""
        ...

    def stat(self, handle: Handle) -> int:
        """The size of a file in bytes; NotThere when there is none."""
        ...

    def list(self, type: FileType) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of every file of that type."""
        ...

    def remove(self, handle: Handle) -> None:
        """Remove a file; NotThere when there is none."""
        ...

    def close(self) -> None:
        """Give back connections and descriptors; the store is not used after."""
        ...
