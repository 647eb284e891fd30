"""Watches: follows the kernel's notices, scans from time to time, keeps the book, and says that there is something to tell."""

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from collectors.integrity import kinds
from collectors.integrity.audit import Audit
from collectors.integrity.book import FILE, Book, unwritable
from collectors.integrity.dirty import Dirty
from collectors.integrity.keeper import TOPS, Keeper
from collectors.integrity.looks import Looks
from collectors.integrity.mounts import Mounts
from collectors.integrity.options import Options, Watched, watched
from collectors.integrity.pace import Pacer
from collectors.integrity.requests import Request, Rest, requests
from collectors.integrity.rules import Rules
from collectors.integrity.scan import Ended, Mark, RootSeen, Scan, Seen
from collectors.integrity.scanned import Scanned
from collectors.integrity.status import Status
from contracts.collector import Emit
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.file_change import REALTIME
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.integrity import SUBJECT
from contracts.trees import CHANGED, Notices, Place

SLICE_S = 0.1
"""How long one kind of work may keep the other from its turn."""
COMMIT_S = 0.5
"""How long what a scan found may wait for being durable."""
IDLE_S = 5.0
ROOTS_EVERY_S = 10.0
"""How often roots outside of every watched folder are looked for."""
MOUNTS_EVERY_S = 2.0
SEAL_EVERY_S = 300.0
CALM_S = 0.1
"""So long no notice may wait in the kernel until all of them count as heard."""
FAILED_S = 60.0
"""So long after a scan that broke off the next one begins."""
NO_STATE = "this worker has no folder of its own to keep the baseline in"
_RULES = msgspec.msgpack.Decoder(dict[str, Watched])
_MARK = msgspec.msgpack.Decoder(Mark)


class Engine:
    """One watch over all that the settings name. `run` goes on until told to stop; raises `Unavailable` and `Malformed`."""

    def __init__(self, options: Options, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        state = getattr(host, "state", "")
        if not state:
            raise Unavailable(Why.OTHER, NO_STATE, advice="Start the agent as a service, or with --state-dir.")
        self._options, self._host, self._emit, self._stop = options, host, emit, stop
        self._path = Path(state) / FILE
        self._book = Book(self._path)
        self._rules = Rules(watched(options), host.files)
        self._dirty = Dirty()
        self._audit = Audit(options.audit_log, host)
        self._keeper = Keeper(self._book, self._rules, host.trees, self._now_ms, self._audit.authors)
        self._notices: Notices | None = None
        self._blind: dict[str, Blind] = {}
        self._ears = threading.Lock()
        self._looks = Looks(self._keeper, host.trees, self._dirty, self._rules, self._catch_up)
        self._scanned = Scanned(self._keeper, self._dirty, self._looks)
        self._status = Status(self._book, self._keeper, self._rules)
        self._scans: dict[str, Scan] = {}
        self._asked: dict[str, Request] = {}
        self._again: list[str] = []
        self._mine = requests(self._path)
        self._mounts = Mounts(host.files)
        self._looked_for_mounts = 0.0
        self._rests: list[Rest] = []
        self._calm_since = self._hurried = 0.0
        self._asked_again = self._committed = self._sealed = self._looked_for_roots = time.monotonic()
        self._told = 0
        self._failed = -FAILED_S

    def run(self) -> None:
        """Watch until told to stop; what could not be written down is found again by the scan of the next watch."""
        try:
            self._listen()
            self._begin()
            self._mine.open(self._dirty.wake)
            while not self._stop.is_set():
                self._round(self._mine.take())
            self._commit()
        except sqlite3.OperationalError as error:
            raise unwritable(self._path, error) from error
        finally:
            self._mine.close()
            for scan in self._scans.values():
                scan.stop()
            self._book.abandon()
            if self._notices is not None:
                self._notices.close()

    def _round(self, asked: Sequence[Request | Rest]) -> None:
        for request in asked:
            if isinstance(request, Rest):
                self._rests.append(request)
                self._calm_since, self._hurried = time.monotonic(), 0.0
            else:
                self._take_request(request)
        busy = self._follow()
        for name in list(self._scans):
            busy |= self._advance(name, self._scans[name])
        now = time.monotonic()
        if now - self._committed > COMMIT_S or not (busy or self._scans):
            self._commit()
        self._due(now)
        if self._rests:
            self._come_to_rest(now)
        if not busy:
            if self._book.told(0, 1) and now - self._asked_again > IDLE_S:
                self._asked_again = now
                self._emit.changed(SUBJECT)  # the rest of a long list, or what the core has to confirm
            self._dirty.wait(now, CALM_S / 2 if self._rests else COMMIT_S if self._scans else IDLE_S)

    def _come_to_rest(self, now: float) -> None:
        """Hear all that the kernel holds, look at all of it, write it down: then what asked for that has it."""
        if any(scan.why in ("start", "overflow") for scan in self._scans.values()):
            return  # what they find is told when they end
        if self._notices is not None and self._notices.waits():
            self._calm_since, self._hurried = now, 0.0
        elif not self._hurried and now - self._calm_since >= CALM_S:
            self._hurried = now
            self._dirty.hurry(now)
        elif self._hurried and not self._dirty.is_due(self._hurried):
            self._commit()
            for rest in self._rests:
                rest.finish()
            self._rests.clear()
            self._emit.changed(SUBJECT)

    def _follow(self) -> bool:
        """Look at what notices named; returns whether there was something."""
        if self._dirty.overflows():
            self._overflown()
        ready = self._dirty.take(time.monotonic(), 400)
        if not ready:
            return False
        self._told += self._keeper.tell(self._looks.look(ready), REALTIME)
        self._commit()
        return True

    def _advance(self, name: str, scan: Scan) -> bool:
        """Take in what a scan has found; returns whether there was something."""
        busy = False
        for item in scan.items(SLICE_S):
            busy = True
            match item:
                case Seen():
                    scan.count(item)
                    told = self._scanned.folder(item)
                    scan.changes += told
                    self._told += told
                case RootSeen():
                    self._scanned.root(item.root, scan)
                case Mark():
                    self._mark(scan, item)
                case Ended():
                    self._ended(name, scan, item)
                    scan.over()
                    return True
            request = self._asked.get(name)
            if request is not None:
                request.progress(scan.folders, scan.files)
        return busy

    def _mark(self, scan: Scan, mark: Mark) -> None:
        """Keep where a scan that reads everything would go on: one that does not is quick to begin anew."""
        if scan.read_again and scan.why == "read again":
            self._book.keep("mark", msgspec.msgpack.encode(mark))

    def _ended(self, name: str, scan: Scan, end: Ended) -> None:
        del self._scans[name]
        request = self._asked.pop(name, None)
        if end.error is not None:
            self._failed = time.monotonic()
            self._status.failed(scan, end.error)
            if request is not None:
                request.fail(str(end.error))
            return
        self._scanned.ended(scan)
        told = self._keeper.tell_held()
        scan.changes += told
        self._told += told
        if not self._scans:
            self._dirty.forget_recent()
        if request is None or request.whole:
            self._status.scanned(scan, self._now_ms())
            if scan.read_again:
                self._book.drop("mark")
        self._status.sealed(force=True)
        self._commit()
        if request is not None:
            request.finish(scan.folders, scan.files, scan.changes, scan.flaws)
        if not self._scans and self._again:
            self._start(self._again.pop(0))

    def _overflown(self) -> None:
        """Notices were lost, nobody knows of which folders: those just named come first, then everything is looked at."""
        self._emit.event(kinds.QUEUE_OVERFLOWED.event("inotify", watches=self._notices.count() if self._notices else 0))
        self._emit.gap("the kernel dropped notices of file changes", 0.0)
        self._start("overflow")

    def _listen(self) -> None:
        """Begin to hear of changes, where the kernel lets us."""
        try:
            self._notices = self._host.trees.notices()
        except Unavailable as error:
            self._blind["realtime"] = Blind(
                what="changes of files as they happen",
                why=error.why,
                detail=f"{error.message}; they are looked for every {self._options.scan_every / 60:g} minutes",
                fix=error.advice,
            )
        for text in self._rules.missing:
            self._blind[text] = Blind(what="a part of what is to be watched", why=Why.OTHER, detail=text)
        if not self._mounts.are_seen():
            self._blind["mounts"] = Blind(
                what="what is mounted over watched names from now on",
                why=Why.OTHER,
                detail="this worker's view of mounts is its own, and the host's do not come into it: the host's root is private",
                fix="mount --make-rshared / (systemd does so at boot), then restart the agent.",
            )
        self._say_blind()
        if self._notices is not None:
            self._looks.notices = self._notices
            threading.Thread(target=self._hear, args=(self._notices,), name="notices", daemon=True).start()

    def _hear(self, notices: Notices) -> None:
        """Take notices off the kernel's queue, whatever else is at work."""
        while not self._stop.is_set():
            try:
                notices.wait(self._stop, IDLE_S)
                self._catch_up()
            except (OSError, ValueError):
                return  # closed: the watch has ended
        self._dirty.wake()  # the engine's thread hears of the end by this

    def _catch_up(self) -> None:
        """Hear all that the kernel has told of by now."""
        if self._notices is None:
            return
        with self._ears:  # they are taken note of in their order
            told, overflown = self._notices.read(self._stop, 0.0)
            if told:
                self._dirty.add(told, time.monotonic())
            if overflown:
                self._dirty.overflow()

    def _begin(self) -> None:
        former = self._book.fact("rules")
        current = msgspec.msgpack.encode(watched(self._options))
        if former is not None and former != current:
            self._scanned.former = Rules(_RULES.decode(former), self._host.files)
            self._scanned.forget_unwatched(self._scanned.former)
        self._scanned.current = current
        self._status.verify(self._stop)
        self._commit()
        self._start("start")

    def _start(self, why: str, roots: Sequence[bytes] = (), request: Request | None = None) -> None:
        """Begin a scan of everything, or of some places."""
        if why == "overflow" and any(scan.why == why for scan in self._scans.values()):
            if why not in self._again:
                self._again.append(why)  # what was lost may lie behind where it is by now
            return
        read_again = why == "read again" or (request is not None and request.read_again)
        marked = self._book.fact("mark") if why == "read again" else None
        mark = _MARK.decode(marked) if marked is not None else Mark(tuple(roots or self._rules.by_root))
        if request is not None and not request.whole:
            mark = Mark((), roots[0], (Place(request.path),))
        gives_way = request is None and why != "overflow"
        self._dirty.watching_scan = True
        name = request.id if request is not None else why
        if request is not None:
            self._asked[name] = request
        self._looks.refresh_roots()
        self._scans[name] = scan = Scan(
            self._path,
            self._rules,
            self._host.trees,
            mark,
            why=why,
            read_again=read_again,
            pacer=Pacer(self._options.pace, self._host.files) if gives_way else None,
            threads=self._options.pace.threads,
            entering=self._looks.entering(),
            strip=self._scanned.stripped,
            arrived=self._dirty.wake,
        )
        scan.start()

    def _take_request(self, request: Request) -> None:
        if request.whole:
            self._start("asked", request=request)
            return
        rule = self._rules.rule(request.path)
        if rule is None:
            request.fail("nothing at or above this path is watched; see `holdfast integrity show`")
            return
        self._start("asked", [rule.root], request)

    def _due(self, now: float) -> None:
        """Do what time asks for."""
        if now - self._looked_for_mounts > MOUNTS_EVERY_S:
            self._looked_for_mounts = now
            for path in self._mounts.changed():
                self._covered(path, now)
        if now - self._looked_for_roots > ROOTS_EVERY_S:
            self._looked_for_roots = now
            self._looks.check_roots()
        if now - self._sealed > SEAL_EVERY_S:
            self._sealed = now
            self._status.sealed(force=False)
            self._commit()
        if self._scans or now - self._failed < FAILED_S:
            return
        wall = self._now_ms()
        if wall - self._status.last_ms("read again") > self._options.read_again_every * 1000:
            self._start("read again")
        elif wall - self._status.last_ms("scan") > self._options.scan_every * 1000:
            self._start("scan")

    def _covered(self, path: bytes, now: float) -> None:
        """Look at a name over which something was mounted, or is not any more."""
        folder, _, name = path.rpartition(b"/")
        if path in self._rules.tops:
            self._dirty.whole(TOPS, now)
        if self._rules.rule(folder or b"/") is not None:
            self._dirty.name(folder or b"/", name, now)

    def _commit(self) -> None:
        self._committed = time.monotonic()
        if done := self._mine.settled():
            self._book.settle(done)
        self._watch_limit()
        self._status.write(self._notices, self._looks.unwatched, self._scans.values(), self._flaws())
        self._book.commit()
        if self._told or self._status.news:
            self._told, self._status.news = 0, False
            self._emit.changed(SUBJECT)

    def _flaws(self) -> Mapping[bytes, str]:
        """Return what could not be looked at: of files that are being written only those that have not rested for some looks by now."""
        flaws = self._keeper.flaws
        followed = {path for path, flaw in flaws.items() if flaw == CHANGED and self._dirty.follows(path)}
        return {path: flaw for path, flaw in flaws.items() if path not in followed} if followed else flaws

    def _watch_limit(self) -> None:
        count = len(self._looks.unwatched)
        if (count > 0) == ("limit" in self._blind) or self._notices is None:
            return
        if count:
            limit = self._notices.limit()
            self._emit.event(kinds.WATCH_LIMIT.event("inotify", watches=self._notices.count(), limit=limit))
            self._blind["limit"] = Blind(
                what="changes in some watched folders as they happen",
                why=Why.OTHER,
                detail=f"the kernel gives this user no more than {limit} inotify watches; the scan finds changes there later",
                fix="Raise fs.inotify.max_user_watches (sysctl), or watch less.",
            )
        else:
            del self._blind["limit"]
        self._say_blind()

    def _say_blind(self) -> None:
        self._emit.blind(tuple(self._blind.values()))

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)
