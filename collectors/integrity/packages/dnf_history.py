"""What dnf's history tells of its runs: when, who, by which command, and which packages. Nobody signed it: it says whom to ask.

Format: `libdnf/swdb/sql/create_tables.sql` (dnf 4), `libdnf5/transaction/db/sql/create_tables.sql` (dnf 5).
"""

from collections.abc import Iterator
from pathlib import Path

from analysis.integrity.rpm_runs import DnfRun
from collectors.integrity.packages.rpm_database import SqliteCopy, Stamp
from contracts.errors import Unavailable
from contracts.host import ReadOnlyHost

FILES = ("/usr/lib/sysimage/libdnf5/transaction_history.sqlite", "/var/lib/dnf/history.sqlite")
_UNSET = 0xFFFFFFFF
_MOST_RUNS = 1000
_ITEMS = "SELECT r.name FROM trans_item t JOIN rpm r ON r.item_id = t.item_id WHERE t.trans_id = ?"
_ITEMS_5 = (
    "SELECT n.name FROM trans_item t JOIN rpm r ON r.item_id = t.item_id JOIN pkg_name n ON n.id = r.name_id"
    " WHERE t.trans_id = ?"
)


class DnfHistory:
    """Reads dnf's history, again when it has changed. For one thread. `place` is a folder of our own."""

    def __init__(self, host: ReadOnlyHost, place: Path) -> None:
        self._copies = [SqliteCopy(host, path, place) for path in FILES]
        self._stamp: Stamp | None = None
        self._held: list[DnfRun] = []
        self.flaw = ""
        """Why the history could not be read, "" where it was, or where there is none."""

    def stamp(self) -> Stamp:
        """Return a mark of the history, another one after each change."""
        return tuple(each for copy in self._copies for each in copy.stamp())

    def runs(self, since_s: int) -> list[DnfRun]:
        """Return the runs that began after a time, oldest first; [] where there is no history."""
        stamp = self.stamp()
        if stamp != self._stamp:
            self._held, self.flaw = [], ""
            for copy in self._copies:
                try:
                    if copy.stamp():
                        copy.refresh()
                        self._held += _runs(copy)
                except Unavailable as error:
                    self.flaw = error.message
                finally:
                    copy.close()
            self._stamp = stamp
        return sorted((run for run in self._held if run.began_s >= since_s), key=lambda run: (run.began_s, run.number))


def _runs(copy: SqliteCopy) -> Iterator[DnfRun]:
    columns = {str(row[1]) for row in copy.rows("PRAGMA table_info(trans)")}
    command = "description" if "description" in columns else "cmdline"
    kinds = {str(row[1]) for row in copy.rows("PRAGMA table_info(rpm)")}
    query = f"SELECT id, dt_begin, dt_end, user_id, {command} FROM trans ORDER BY id DESC LIMIT ?"  # two fixed names
    for number, began, ended, user, text in list(copy.rows(query, _MOST_RUNS)):
        if not isinstance(number, int) or not isinstance(began, int):
            continue
        items = copy.rows(_ITEMS_5 if "name_id" in kinds else _ITEMS, number)
        yield DnfRun(
            number=number,
            began_s=began,
            ended_s=ended if isinstance(ended, int) else 0,
            who=str(user) if isinstance(user, int) and 0 <= user < _UNSET else "",
            command=str(text or "")[:2000],
            names=frozenset(str(row[0]) for row in items),
        )
