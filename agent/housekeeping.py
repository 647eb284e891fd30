"""Once a day, at a time of day: the agent's own files are read through, so that damage is known before the next start finds it."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.event import Event, Kind, Severity

NAME = "housekeeping"

STORAGE_DAMAGED = Kind(
    name="agent.storage_damaged",
    meaning="A file in which the agent keeps its events or snapshots is damaged.",
    title="{file} is damaged: {detail}",
    severity=Severity.HIGH,
    fields={"file": "str", "detail": "str"},
    advice="Check the disk, then restart the agent: it sets the damaged file aside, says so, and goes on.",
    ocsf_class=6008,
)


class Housekeeping:
    """Reads through `files` in a thread of its own, with a connection of its own that can change nothing."""

    def __init__(self, files: Sequence[Path], found: Callable[[Event], None]) -> None:
        self._files, self._found = tuple(files), found
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Begin, unless the former run still goes on; `found` is called from the thread for every damaged file."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._check, name=NAME, daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until a run that was begun has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _check(self) -> None:
        for path in self._files:
            detail = examine(path)
            if detail:
                self._found(STORAGE_DAMAGED.event(path.name, file=str(path), detail=detail))


def examine(path: Path) -> str:
    """Return what is wrong with the SQLite file at `path`, or "" when it is whole."""
    try:
        db = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5.0)
    except sqlite3.Error as error:
        return str(error)
    try:
        db.execute("PRAGMA query_only = ON")
        verdict = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    finally:
        db.close()
    return "" if verdict == "ok" else verdict.splitlines()[-1]
