"""Asks the audit log who made a change: the newest system call on that name, a short time before the change was seen."""

from collections.abc import Sequence

from analysis.integrity.audit_log import Deed, deeds
from contracts.errors import Unavailable, Why
from contracts.file_change import Author, Change
from contracts.host import ReadOnlyHost

READ_BYTES = 512 << 10
RECENT_MS = 10_000
"""A system call longer ago than this did not make a change that is seen now."""
KEEP_S = 0.2
NOT_KEPT = "no audit log is kept on this host"
NOT_NAMED = "the audit log names nobody for it: no audit rule covers it, or it came before the log"


class Audit:
    """Reads one log, at most every `KEEP_S` seconds."""

    def __init__(self, path: str, host: ReadOnlyHost) -> None:
        self._path, self._host = path, host
        self._by_path: dict[bytes, Deed] = {}
        self._unknown = ""
        self._read_at = -KEEP_S
        self._users: dict[str, str] | None = None

    def authors(self, changes: Sequence[Change]) -> list[Author]:
        """Return who made each of these changes, which were seen just now."""
        self._read()
        if self._unknown:
            return [Author(unknown=self._unknown)] * len(changes)
        since = int(self._host.now().timestamp() * 1000) - RECENT_MS
        return [self._author(change, since) for change in changes]

    def _author(self, change: Change, since_ms: int) -> Author:
        deed = self._by_path.get(change.path) or (self._by_path.get(change.former) if change.former else None)
        if deed is None or deed.at_ms < since_ms:
            return Author(unknown=NOT_NAMED)
        return deed.author

    def _read(self) -> None:
        now = self._host.monotonic()
        if now - self._read_at < KEEP_S:
            return
        self._read_at = now
        try:
            _, piece = self._host.files.end(self._path, READ_BYTES)
        except Unavailable as error:
            self._unknown = NOT_KEPT if error.why is Why.NOT_PRESENT else error.message
            return
        self._unknown = ""
        self._by_path = {path: deed for deed in deeds(piece, self._names()) for path in deed.paths}

    def _names(self) -> dict[str, str]:
        if self._users is None:
            try:
                lines = self._host.files.read("/etc/passwd").decode("utf-8", "replace").splitlines()
            except Unavailable:
                return {}  # numbers stand for themselves; asked for again the next time
            rows = [line.split(":") for line in lines]
            self._users = {row[2]: row[0] for row in rows if len(row) > 3}
        return self._users
