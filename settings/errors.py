"""What is wrong with a settings file: every finding with its file, line and column, all of them at once."""

from collections.abc import Iterable, Sequence

from contracts.errors import HoldfastError
from contracts.record import Record

EX_CONFIG = 78


class ConfigError(Record):
    """One finding. `line` and `column` count from 1; `path` is the setting (`collectors.ports.every`) or "" for the file as a whole."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigErrors(HoldfastError):
    """A configuration that cannot be used; `items` says all that is wrong with it, in the order of the files."""

    exit_code = EX_CONFIG

    def __init__(self, items: Sequence[ConfigError]) -> None:
        self.items = tuple(items)
        super().__init__("\n".join(str(item) for item in self.items))


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint that names the valid name nearest to `name`, or all of them if there are few, or nothing."""
    import difflib

    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    if names and len(names) <= 12:
        return f"; valid here: {', '.join(names)}"
    return ""
