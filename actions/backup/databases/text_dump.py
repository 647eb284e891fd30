"""A dump that is made in memory: a few lines that were asked for, whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from actions.backup.databases.source import Reading
from actions.backup.stream import Pieces
from contracts.coverage import Blind


class _Reading:
    def __init__(self, text: bytes) -> None:
        self._source = Pieces([text])

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end."""
        return self._source.readinto(buffer)

    def finish(self) -> Sequence[Blind]:
        """It is whole: whoever made it would have raised otherwise."""
        return ()


def text_dump(make: Callable[[], bytes]) -> Callable[[], AbstractContextManager[Reading]]:
    """What opens a dump of the bytes that `make` returns; what it raises passes through."""

    @contextmanager
    def open() -> Iterator[Reading]:
        yield _Reading(make())

    return open
