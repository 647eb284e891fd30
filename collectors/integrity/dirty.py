"""What has to be looked at because a notice named it: folders with the names in them, each due when it has settled.

A notice is never believed, only followed, so that many of the same are one. Names that change all the time are looked at less and less
often, and never for the last time before they rest.
"""

import threading
from collections.abc import Collection, Iterable

from collectors.integrity.moves import Moves
from contracts.trees import CREATE, DELETE, IS_FOLDER, MODIFY, MOVED_FROM, MOVED_TO, Notice

SETTLE_S = 0.03
WRITING_S = 0.25
"""How long a file that is being written may take until it is looked at all the same."""
CALM_LOOKS = 4
"""So many looks at one name follow its changes at once; each further one waits twice as long, until it has rested for `REST_S`."""
BACK_OFF_S = 0.5
MOST_BACK_OFF_S = 30.0
REST_S = 60.0
MOST_NAMES = 100_000
"""More names than this wait as whole folders."""
_MOVES = MOVED_FROM | MOVED_TO | DELETE


class Dirty:
    """For any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: dict[bytes, dict[bytes, float]] = {}
        self._count = 0
        self._whole: set[bytes] = set()
        self._hot: dict[tuple[bytes, bytes], tuple[int, float]] = {}
        self._recent: dict[bytes, float] = {}
        self._moves = Moves()
        self._overflows = 0
        self._woken = False
        self.watching_scan = False
        """Whether a scan is under way, which must know what changed behind its back."""

    def add(self, notices: Iterable[Notice], now: float) -> None:
        """Take note of what the kernel told."""
        with self._changed:
            for folder, name, mask, cookie in notices:
                if self.watching_scan:
                    self._recent[folder] = now
                if not name:
                    continue  # of the folder itself; its own folder tells the same with its name
                if mask & _MOVES:
                    self._note_move((folder, name), mask, cookie)
                is_written = mask & (MODIFY | CREATE) and not mask & IS_FOLDER
                self._put(folder, name, now + (WRITING_S if is_written else SETTLE_S), soon=not is_written)
            self._changed.notify()

    def name(self, folder: bytes, name: bytes, now: float) -> None:
        """Have one name looked at."""
        with self._changed:
            self._put(folder, name, now, soon=True)
            self._changed.notify()

    def whole(self, folder: bytes, now: float) -> None:
        """Have a whole folder looked at."""
        with self._changed:
            self._whole.add(folder)
            if self.watching_scan:
                self._recent[folder] = now
            self._changed.notify()

    def overflow(self) -> None:
        """Take note that the kernel dropped notices."""
        with self._changed:
            self._overflows += 1
            self._changed.notify()

    def overflows(self) -> int:
        """Return how often the kernel dropped notices since this was asked last."""
        with self._changed:
            count, self._overflows = self._overflows, 0
            return count

    def take(self, now: float, most: int) -> dict[bytes, set[bytes] | None]:
        """Return what is due: folders and names in them, None for all."""
        with self._changed:
            taken: dict[bytes, set[bytes] | None] = dict.fromkeys(self._whole)
            self._whole.clear()
            for folder in list(self._names):
                if len(taken) >= most:
                    break
                due = {name for name, at in self._names[folder].items() if at <= now}
                if not due:
                    continue
                for name in due:
                    del self._names[folder][name]
                    self._heat(folder, name, now)
                self._count -= len(due)
                if not self._names[folder]:
                    del self._names[folder]
                if folder not in taken:
                    taken[folder] = due
            return taken

    def together(self, paths: Iterable[bytes], now: float) -> dict[bytes, set[bytes] | None]:
        """Return names that wait under which the files at `paths` were, or are, as the kernel says: due or not, they are taken."""
        taken: dict[bytes, set[bytes] | None] = {}
        with self._changed:
            for path in paths:
                for folder, name in self._moves.other_names(_split(path)):
                    names = self._names.get(folder, {})
                    if name not in names:
                        continue
                    self._heat(folder, name, now)
                    del names[name]
                    self._count -= 1
                    if not names:
                        del self._names[folder]
                    taken[folder] = (taken.get(folder) or set()) | {name}
        return taken

    def wait(self, now: float, timeout_s: float) -> None:
        """Wait until something may be due."""
        with self._changed:
            if self._whole or self._overflows or self._woken:
                self._woken = False
                return
            first = min((at for names in self._names.values() for at in names.values()), default=now + timeout_s)
            self._changed.wait(max(0.002, min(timeout_s, first - now)))
            self._woken = False

    def wake(self) -> None:
        """End a wait, or the next one where nobody waits."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def hurry(self, now: float) -> None:
        """Have all that waits looked at now, whether it has settled or not."""
        with self._changed:
            for names in self._names.values():
                for name, due in names.items():
                    names[name] = min(due, now)
            self._changed.notify()

    def is_due(self, now: float) -> bool:
        """Say whether something waits that was due by then."""
        with self._changed:
            return bool(self._whole or self._overflows) or any(
                due <= now for names in self._names.values() for due in names.values()
            )

    def pending(self) -> bool:
        """Say whether anything waits, due or not."""
        with self._changed:
            return bool(self._names or self._whole or self._overflows)

    def follows(self, path: bytes) -> bool:
        """Say whether a name waits for one of the looks that follow its changes at once."""
        folder, name = _split(path)
        with self._changed:
            return name in self._names.get(folder, ()) and self._hot.get((folder, name), (0, 0.0))[0] <= CALM_LOOKS

    def changed_since(self, folder: bytes, at: float) -> bool:
        """Say whether a notice named a folder since a time, of those times that a scan was under way."""
        with self._changed:
            return self._recent.get(folder, -1.0) >= at or folder in self._names

    def forget_recent(self) -> None:
        """No scan is under way any more."""
        with self._changed:
            self.watching_scan = False
            self._recent.clear()

    def drop(self, prefixes: Collection[bytes]) -> None:
        """These folders, and all below them, are gone."""
        below = tuple(prefix + b"/" for prefix in prefixes)
        with self._changed:
            self._moves.dropped(prefixes)
            for folder in [f for f in self._names if f in prefixes or f.startswith(below)]:
                self._count -= len(self._names.pop(folder))
            self._whole = {f for f in self._whole if f not in prefixes and not f.startswith(below)}

    def move(self, former: bytes, path: bytes) -> None:
        """A folder has another path from now on."""
        with self._changed:
            self._moves.moved(former, path)
            for folder in [f for f in self._names if f == former or f.startswith(former + b"/")]:
                moved = path + folder[len(former) :]
                names = self._names.pop(folder)
                self._count -= len(names)
                for name, at in names.items():
                    self._put(moved, name, at, soon=False)
            self._whole = {
                path + f[len(former) :] if f == former or f.startswith(former + b"/") else f for f in self._whole
            }

    def _note_move(self, name: tuple[bytes, bytes], mask: int, cookie: int) -> None:
        if mask & MOVED_FROM:
            self._moves.left(name, cookie)
        elif mask & MOVED_TO:
            self._moves.came(name, cookie)
        else:
            self._moves.gone(name)

    def _put(self, folder: bytes, name: bytes, due: float, *, soon: bool) -> None:
        """Have a name looked at when it is due; one that waits already is not put off, and comes sooner when it may (`soon`)."""
        names = self._names.setdefault(folder, {})
        before = names.get(name)
        if before is not None and (not soon or before <= due):
            return
        hot = self._hot.get((folder, name))
        if hot is not None and hot[0] > CALM_LOOKS:
            due = max(due, hot[1] + min(MOST_BACK_OFF_S, BACK_OFF_S * 2 ** min(hot[0] - CALM_LOOKS - 1, 10)))
        if before is None:
            self._count += 1
            if self._count > MOST_NAMES:
                self._count -= len(names)
                del self._names[folder]
                self._whole.add(folder)
                return
        names[name] = due

    def _heat(self, folder: bytes, name: bytes, now: float) -> None:
        looks, at = self._hot.get((folder, name), (0, now))
        self._hot[folder, name] = (1 if now - at > REST_S else looks + 1, now)
        if len(self._hot) > MOST_NAMES:
            self._hot = {key: value for key, value in self._hot.items() if now - value[1] <= REST_S}
            if len(self._hot) > MOST_NAMES:
                self._hot.clear()


def _split(path: bytes) -> tuple[bytes, bytes]:
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name
