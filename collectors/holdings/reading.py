"""Reading: looking at files for one part, with every failure noted: what could not be looked at is never taken for empty."""

from collections.abc import Iterator

from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import FileStat, ReadOnlyHost
from contracts.text import escape

DIRECTORY, REGULAR, LINK = 0o040000, 0o100000, 0o120000
_TYPE = 0o170000


class Reading:
    """Reads for one part; `blind` is what it could not see. What is not there is no failure."""

    def __init__(self, host: ReadOnlyHost, part: str) -> None:
        self.host, self.part = host, part
        self.blind: list[Blind] = []

    def miss(self, what: str, error: Unavailable) -> None:
        """Note that something could not be looked at."""
        self.blind.append(
            Blind(
                what=f"{what}, to know whether a backup covers it",
                why=error.why,
                detail=error.message,
                fix=error.advice,
            )
        )

    def names(self, path: str) -> list[str]:
        """The names in a directory in `escape` form, sorted; none where there is no such directory."""
        try:
            return sorted(escape(name) for name in self.host.files.names(path))
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                self.miss(path, error)
            return []

    def text(self, path: str, max_bytes: int = 1 << 20) -> str:
        """The content of a file; "" where there is none."""
        try:
            return self.host.files.read(path, max_bytes).decode("utf-8", "surrogateescape")
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                self.miss(path, error)
            return ""

    def stat(self, path: str) -> FileStat | None:
        """The metadata of an entry; None where there is none."""
        try:
            return self.host.files.stat(path)
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                self.miss(path, error)
            return None

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there; a link to one is not."""
        found = self.stat(path)
        return found is not None and found.mode & _TYPE == DIRECTORY

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there."""
        found = self.stat(path)
        return found is not None and found.mode & _TYPE == REGULAR

    def folders(self, path: str) -> Iterator[str]:
        """The directories in a directory that are not empty, by their paths."""
        for name in self.names(path):
            below = f"{path}/{name}"
            if self.is_dir(below) and self.names(below):
                yield below
