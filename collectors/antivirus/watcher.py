"""Watches folders into which strangers write, and has every new or changed file scanned at once.

A notice is never believed, only followed. What no notice told of (an overflow, a file that is written through a mapping) is found by going
through the folders from time to time: what changed since the last pass is scanned then.
"""

import errno
import os
import stat
from typing import ClassVar

from analysis.antivirus.kinds import FOUND, NOT_SCANNED
from collectors.antivirus.asking import ANSWERED
from collectors.antivirus.options import Options
from collectors.antivirus.scanner import Scanner
from contracts.collector import Emit
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.antivirus import SUBJECT
from contracts.text import escape
from contracts.trees import (
    CLOSE_WRITE,
    CREATE,
    DELETE_SELF,
    IS_FOLDER,
    MOVE_SELF,
    MOVED_TO,
    Directory,
    Node,
    Notices,
    Place,
    TreePlan,
)

MOST_WAITING = 20_000
"""Paths that wait for the daemon; what comes while so many wait is found again by a pass, once half of them are done."""
MOST_AGAIN = 1000
"""Folders that are to be gone through once more, each by itself; more of them, and it is everything."""
AT_START_NS = 86_400 * 1_000_000_000
"""At the start what changed within a day is scanned: nobody watched meanwhile. What is older was in reach of a daily scan."""
RETRY_S = 5.0
WAKE_S = 1.0
IDLE_S = 5.0
_SLACK_NS = 2_000_000_000
"""A pass counts what changed shortly before the former one began, too: clocks of file systems are coarse."""
_NAMED = 20
_BY_DEFAULT = frozenset(os.fsencode(path) for path in (*Options().watch, Options().drill))


class AntivirusWatcher:
    """Has changed files scanned."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (FOUND, NOT_SCANNED)
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` where the kernel gives no notices."""
        roots = [os.fsencode(path) for path in dict.fromkeys((*self._options.watch, self._options.drill)) if path]
        if not roots or not self._options.clamav.enabled:
            while not stop.is_set():
                _look_again(emit)
                stop.wait(IDLE_S)
            return
        notices = host.trees.notices()
        try:
            _Watching(host, self._options, emit, notices, roots).run(stop)
        finally:
            notices.close()


class _Watching:
    """One watch over all folders."""

    def __init__(self, host: ReadOnlyHost, options: Options, emit: Emit, notices: Notices, roots: list[bytes]) -> None:
        self._host, self._options, self._emit, self._notices = host, options, emit, notices
        self._roots = roots
        self._excluded = tuple(os.fsencode(path) for path in options.watch_excludes)
        self._scanner = Scanner(host, options, emit.event)
        self._waiting: dict[bytes, None] = {}
        self._watched: set[bytes] = set()
        self._blind: dict[bytes, Blind] = {}
        self._daemon: Blind | None = None
        self._stated: tuple[Blind, ...] = ()
        self._again: dict[bytes, int] = {}
        """Folders of which not everything could be wanted, and since when what changed in them is."""
        self._retry_at = 0.0
        self._passed_ns = 0
        """When the last pass over everything began."""

    def run(self, stop: Stop) -> None:
        self._passed_ns = self._now_ns() - AT_START_NS
        due = 0.0
        while not stop.is_set():
            _look_again(self._emit)
            now = self._host.monotonic()
            missing = [root for root in self._roots if root not in self._watched]
            if now >= due:
                began_ns = self._now_ns()
                for root in self._roots:
                    # Of a folder that was not there before, everything is new.
                    self._pass(root, 0 if due and root in missing else self._passed_ns - _SLACK_NS)
                self._passed_ns, due = began_ns, now + self._options.watch_again
            elif missing:
                for root in missing:
                    self._pass(root, 0)
            if len(self._waiting) <= MOST_WAITING // 2:
                again, self._again = self._again, {}
                for folder, since_ns in again.items():
                    self._pass(folder, since_ns)
            self._state()
            self._scan()
            heard, overflown = self._notices.read(stop, 0.0 if self._waiting and self._daemon is None else WAKE_S)
            if overflown:
                self._emit.gap("the kernel dropped notices of changed files", 0.0)
                self._everything_again(self._passed_ns - _SLACK_NS)
            for folder, name, mask, _ in heard:
                self._hear(folder, name, mask)

    def _now_ns(self) -> int:
        return round(self._host.now().timestamp() * 1e9)

    def _hear(self, folder: bytes, name: bytes, mask: int) -> None:
        path = folder.rstrip(b"/") + b"/" + name
        if not name and mask & (DELETE_SELF | MOVE_SELF):
            self._watched.discard(folder)  # a root that is gone; it may come again
        elif not name or self._is_excluded(path):
            return
        elif mask & IS_FOLDER:
            if mask & (CREATE | MOVED_TO):
                self._pass(path, 0)
        elif mask & (CLOSE_WRITE | MOVED_TO | CREATE) and not self._want(path):
            self._everything_again(self._passed_ns - _SLACK_NS)

    def _want(self, path: bytes) -> bool:
        """Have a file scanned; False where too many wait already, and there is no daemon that makes them fewer."""
        if len(self._waiting) >= MOST_WAITING and path not in self._waiting:
            self._scan()
            if len(self._waiting) >= MOST_WAITING:
                return False
        self._waiting[path] = None
        return True

    def _once_more(self, folder: bytes, since_ns: int) -> None:
        """Go through a folder again when fewer files wait."""
        self._again[folder] = min(since_ns, self._again.get(folder, since_ns))
        if len(self._again) > MOST_AGAIN:
            self._everything_again(min(self._again.values()))

    def _everything_again(self, since_ns: int) -> None:
        since_ns = min((since_ns, *self._again.values()))
        self._again = dict.fromkeys(self._roots, since_ns)

    def _pass(self, root: bytes, since_ns: int) -> None:
        """Go through a folder: hear of changes in each below it from now on, and want every file that changed since."""
        try:
            found = os.lstat(root)
        except OSError as error:
            self._watched.discard(root)
            # Those of the settings' own defaults need not be there.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or (root in self._roots and root not in _BY_DEFAULT):
                self._blind[root] = self._unseen(root, (error.strerror or str(error)).lower())
            return
        if not stat.S_ISDIR(found.st_mode):
            self._blind[root] = self._unseen(root, "it is no folder (a link is not followed)")
            return
        self._blind.pop(root, None)
        plan = TreePlan(
            hash_name="",
            threads=1,
            entering=self._entering,
            excluded=lambda path, _: self._is_excluded(path),
        )
        whole = True
        for directory in self._host.trees.walk([Place(root, found.st_dev, found.st_ino)], lambda _: (), plan):
            whole = self._look(directory, since_ns) and whole
        if not whole:
            self._once_more(root, since_ns)
        self._watched.add(root)

    def _entering(self, place: Place, descriptor: int) -> None:
        try:
            if not self._notices.watch(place, descriptor):
                self._blind[b""] = Blind(
                    what="every changed file in watched folders as it changes",
                    why=Why.TOO_LARGE,
                    detail=f"the kernel lets this user watch {self._notices.limit()} folders",
                    fix="Raise fs.inotify.max_user_watches (sysctl).",
                )
        except OSError as error:
            self._blind[place.path] = self._unseen(place.path, (error.strerror or str(error)).lower())

    def _look(self, directory: Directory, since_ns: int) -> bool:
        """Want what changed in a folder; False where not all of it could be."""
        if directory.flaw:
            if directory.flaw != "gone":
                self._blind[directory.path] = self._unseen(directory.path, directory.flaw)
            return True
        whole = True
        for node in directory.nodes:
            if stat.S_ISREG(node.mode) and _changed_ns(node) >= since_ns:
                whole = self._want(directory.path.rstrip(b"/") + b"/" + node.name) and whole
        return whole

    def _scan(self) -> None:
        """Scan what waits, in batches, so that what is new meanwhile is heard of; without a daemon it goes on waiting."""
        if not self._waiting or self._host.monotonic() < self._retry_at:
            return
        batch = list(self._waiting)[:500]
        try:
            self._scanner.scan(batch)
        except Unavailable as error:
            self._daemon = Blind(
                what="whether changed files in watched folders are malicious",
                why=error.why,
                detail=error.message,
                fix=error.advice,
            )
            self._retry_at = self._host.monotonic() + RETRY_S
        else:
            self._daemon = None
            for path in batch:
                self._waiting.pop(path, None)
        self._state()
        self._tell_skipped()

    def _tell_skipped(self) -> None:
        skipped, self._scanner.skipped = self._scanner.skipped, {}
        if skipped:
            reasons = sorted(set(skipped.values()))
            self._emit.event(
                NOT_SCANNED.event(
                    "changed",
                    files=len(skipped),
                    detail="; ".join(reasons)[:500],
                    paths=[f"{escape(path)}: {why}"[:1024] for path, why in list(skipped.items())[:_NAMED]],
                )
            )

    def _state(self) -> None:
        spots = tuple(self._blind.values()) + ((self._daemon,) if self._daemon is not None else ())
        if spots != self._stated:
            self._emit.blind(spots)
            self._stated = spots

    def _is_excluded(self, path: bytes) -> bool:
        return any(path == each or path.startswith(each.rstrip(b"/") + b"/") for each in self._excluded)

    def _unseen(self, path: bytes, detail: str) -> Blind:
        return Blind(
            what=f"malware that comes into {escape(path)} as it comes", why=Why.PERMISSION, detail=detail,
            fix="Name the folder itself in collectors.antivirus.watch, and see that it can be read.",
        )  # fmt: skip


def _look_again(emit: Emit) -> None:
    """Have products looked at where one answered after the look that had asked it."""
    if ANSWERED.is_set():
        ANSWERED.clear()
        emit.changed(SUBJECT)


def _changed_ns(node: Node) -> int:
    """When the content or the metadata changed: the time that no program can set."""
    return max(node.ctime_ns, 0)
