"""Tagged: files by which directories are left out of backups (`exclude_if_present`, CACHEDIR.TAG), on the way to each holding."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from analysis.excludes import CACHE_TAG, parse_tag
from collectors.holdings.reading import LINK, Reading
from contracts.errors import Unavailable, Why
from contracts.subjects.holdings import Holding

_MODE, _REGULAR = 0o170000, 0o100000


class Tagged:
    """Looks at each directory once. `entries` are `NAME` or `NAME:BEGINNING`, as in settings; tags of caches are looked for anyway."""

    def __init__(self, reading: Reading, entries: Iterable[str]) -> None:
        self._reading = reading
        self._entries = tuple(dict.fromkeys((*entries, CACHE_TAG)))
        self._known: dict[str, tuple[str, ...]] = {}

    def on(self, row: Holding) -> Holding:
        """Return `row` with the tags of every directory that holds it, or that it is, and with its size where it is a file."""
        if not row.path.startswith("/"):
            return row
        found = self._reading.stat(row.path)
        if found is None:
            return row
        is_file = found.mode & _MODE == _REGULAR
        folders = list(_above(row.path)) if is_file or found.mode & _MODE == LINK else [*_above(row.path), row.path]
        tags = tuple((folder, entry) for folder in folders for entry in self._in(folder))
        return replace(row, tags=tags, size=found.size if is_file else 0)

    def _in(self, folder: str) -> tuple[str, ...]:
        if folder not in self._known:
            self._known[folder] = tuple(entry for entry in self._entries if self._is_tagged(folder, entry))
        return self._known[folder]

    def _is_tagged(self, folder: str, entry: str) -> bool:
        name, beginning = parse_tag(entry)
        path = f"{folder.rstrip('/')}/{name}"
        if not beginning:
            return self._reading.stat(path) is not None
        try:
            return self._reading.host.files.read(path).startswith(beginning)
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                self._reading.miss(path, error)
            return False


def _above(path: str) -> Iterator[str]:
    """Every directory above `path`, the root first."""
    yield "/"
    parts = path.strip("/").split("/")
    for count in range(1, len(parts)):
        yield "/" + "/".join(parts[:count])
