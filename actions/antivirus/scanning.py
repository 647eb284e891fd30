"""One scan: trees walked by descriptor, files handed to clamd side by side, what was not looked at counted with its reason."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from actions.antivirus.book import Book
from actions.antivirus.pace import Pace
from analysis.antivirus.kinds import found
from contracts.clamd import CLEAN, FAILED, INFECTED, SKIPPED, ClamdSession, Verdict
from contracts.event import Event
from contracts.host import Host
from contracts.openings import Opened, Stamp
from contracts.subjects.antivirus import Limits
from contracts.text import escape

MOST_EVENTS = 300
"""Findings that are stated one by one; the rest is counted."""
NAMED = 30
_OTHER_FILESYSTEM = "another filesystem"
_NOTHING_TO_SCAN = frozenset(
    {
        "gone",
        "not a directory",
        "not a regular file",
        "a link stands on the way",
        "another file stands there now than was listed",
    }
)
"""Why a file that was seen to change is not opened (`host.openings`) that needs no word: what stands there now is seen by itself."""


class Tally:
    """What a scan came to."""

    def __init__(self) -> None:
        self.files = self.bytes = self.infected = self.unchanged = 0
        self.first = 0
        """How many of the files that were seen to change were gone through, those that are no more among them."""
        self.failed = False
        self.reasons: Counter[str] = Counter()
        self.named: list[str] = []
        self.found: list[Event] = []
        self.complete = True

    @property
    def unscanned(self) -> int:
        """How many files, or folders with all that is in them, were not looked at."""
        return sum(self.reasons.values())

    def miss(self, path: bytes, reason: str, failed: bool = True) -> None:
        """Note something that was not looked at."""
        self.reasons[reason] += 1
        self.failed = self.failed or failed
        if len(self.named) < NAMED:
            self.named.append(f"{escape(path)}: {reason}"[:1024])


class Scan:
    """Scans one tree after the other with the same tally."""

    def __init__(
        self,
        host: Host,
        address: str,
        limits: Limits,
        pace: Pace,
        *,
        largest: int,
        at_once: int,
        how: str,
        tell: Callable[[Tally, bytes], None],
    ) -> None:
        self._host, self._address, self._limits, self._pace = host, address, limits, pace
        self._largest, self._at_once, self._how, self._tell = largest, at_once, how, tell
        self.tally = Tally()
        self._under_way: dict[int, Opened] = {}
        self._clean: Callable[[bytes, Stamp], None] = lambda *_: None
        self._again_through = False
        self._done: set[bytes] = set()
        """What this scan has looked at without finding it clean: once is enough."""

    def tree(
        self,
        root: bytes,
        excluded: Callable[[bytes, bool], bool],
        one_filesystem: bool,
        wanted: Callable[[bytes, Stamp], bool],
        clean: Callable[[bytes, Stamp], None],
        again: bool = False,
    ) -> None:
        """Scan what is `wanted` below `root`; `clean` is told of what was found clean. Raises `Unavailable` when the daemon is gone.

        `again` when the tree was gone through before by this scan: what could not be looked at was noted then.
        """
        self._clean, self._again_through = clean, again
        self._hand_over(self._files(root, self._host.openings.below(root, wanted, excluded, one_filesystem)))

    def seen_to_change(self, paths: Sequence[bytes], clean: Callable[[bytes, Stamp], None]) -> None:
        """Scan these files whatever is known of them; `tally.first` says how far it came. Raises `Unavailable` as `tree` does."""
        self._clean, self._again_through = clean, False
        self._hand_over(self._named(paths))

    def _named(self, paths: Sequence[bytes]) -> Iterator[Opened]:
        """Yield those of `paths` that can be scanned (b"" is none); what is gone, a folder or a link by now is nothing to scan."""
        for path in paths:
            opened = self._host.openings.one(path) if path else Opened(path=path, flaw="gone")
            if opened.flaw not in _NOTHING_TO_SCAN:
                yield from self._files(path, (opened,))
            if not self.tally.complete:
                return
            self.tally.first += 1

    def _hand_over(self, files: Iterator[Opened]) -> None:
        """Have clamd look at each of `files`, several at once where it takes descriptors; they are closed."""
        if self._address.startswith("unix:"):
            with self._host.clamd.session(self._address) as session:
                try:
                    self._side_by_side(files, session)
                finally:
                    for opened in self._under_way.values():
                        os.close(opened.descriptor)
                    self._under_way.clear()
            return
        most = self._limits.stream_bytes or 100 << 20
        for opened in files:
            try:
                self._settle(opened, self._host.clamd.stream(self._address, opened.descriptor, most))
            finally:
                os.close(opened.descriptor)

    def _files(self, root: bytes, below: Iterable[Opened]) -> Iterator[Opened]:
        """Yield the files that can be scanned, as long as there is time; the others are closed."""
        largest = min(self._largest, self._limits.file_bytes or self._largest)
        for opened in below:
            if opened.flaw:
                if not self._again_through:
                    self._flawed(root, opened)
            elif opened.path in self._done:
                os.close(opened.descriptor)
            elif opened.size > largest:
                os.close(opened.descriptor)
                self._miss(
                    opened, "over the setting `largest`" if opened.size > self._largest else "over clamd's MaxFileSize"
                )
            elif self._pace.go_on():
                yield opened
            else:
                os.close(opened.descriptor)
                self.tally.complete = False
                return

    def _flawed(self, root: bytes, opened: Opened) -> None:
        gone = opened.flaw == "gone" and opened.path == root
        flaw = "there is no such file or folder" if gone else opened.flaw
        self.tally.miss(opened.path, flaw, failed=flaw != _OTHER_FILESYSTEM)

    def _side_by_side(self, files: Iterator[Opened], session: ClamdSession) -> None:
        for opened in files:
            try:
                number = session.submit(opened.descriptor)
            except BaseException:
                os.close(opened.descriptor)
                raise
            self._under_way[number] = opened
            while session.waiting >= self._at_once:
                self._take(session)
        while session.waiting:
            self._take(session)

    def _take(self, session: ClamdSession) -> None:
        for number, verdict in session.verdicts():
            opened = self._under_way.pop(number)
            try:
                self._settle(opened, self._again(opened, verdict) if verdict.state == FAILED else verdict)
            finally:
                os.close(opened.descriptor)

    def _again(self, opened: Opened, verdict: Verdict) -> Verdict:
        """Send what clamd could not read by descriptor: a confinement (AppArmor, SELinux) may forbid it the file itself."""
        most = self._limits.stream_bytes or 100 << 20
        sent = self._host.clamd.stream(self._address, opened.descriptor, most)
        return sent if sent.state != FAILED else verdict

    def _settle(self, opened: Opened, verdict: Verdict) -> None:
        tally = self.tally
        tally.files += 1
        tally.bytes += opened.size
        if verdict.state == CLEAN:
            self._clean(opened.path, _stamp(opened))
            self._progress(opened)
            return
        self._done.add(opened.path)
        if verdict.state == INFECTED:
            tally.infected += 1
            if len(tally.found) < MOST_EVENTS:
                tally.found.append(found(self._host.openings, opened, verdict.signature, self._how))
        else:
            tally.miss(opened.path, verdict.detail, failed=verdict.state != SKIPPED)
        self._progress(opened)

    def _progress(self, opened: Opened) -> None:
        if self.tally.files % 50 == 0:
            self._tell(self.tally, opened.path)

    def _miss(self, opened: Opened, reason: str) -> None:
        self._done.add(opened.path)
        self.tally.miss(opened.path, reason)


def delta(book: Book, epoch: int, tally: Tally, again: bool) -> Callable[[bytes, Stamp], bool]:
    """What a scheduled scan wants: what changed or came (`again` false), or what was not scanned with these signatures (true)."""

    def wanted(path: bytes, stamp: Stamp) -> bool:
        known = book.scanned(path, stamp)
        if again:
            return known != epoch
        tally.unchanged += known == epoch
        return known == 0

    return wanted


def _stamp(opened: Opened) -> Stamp:
    return Stamp(
        device=opened.device,
        inode=opened.inode,
        size=opened.size,
        mtime_ns=opened.mtime_ns,
        ctime_ns=opened.ctime_ns,
    )
