"""Takes in what a scan found: makes the baseline of what is new to the settings, and finds what no notice told of everything else."""

import stat
import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from collectors.integrity import kinds
from collectors.integrity.dirty import Dirty
from collectors.integrity.keeper import TOPS, Keeper
from collectors.integrity.looks import Looks, based
from collectors.integrity.rules import Rules
from collectors.integrity.scan import Scan, Seen
from contracts.file_change import CREATED, DELETED, SCAN, TYPE, Change
from contracts.subjects.integrity import Row
from contracts.text import escape
from contracts.trees import GONE, SWAPPED, Node

FULL = frozenset({"start", "scan", "read again", "overflow"})
"""Scans of everything, by why they are made."""
_encode = msgspec.msgpack.Encoder().encode


class Scanned:
    """For the engine's thread; `former` are the rules by which the book was written, while they are not the present ones."""

    def __init__(self, keeper: Keeper, dirty: Dirty, looks: Looks) -> None:
        self.former: Rules | None = None
        self.current = b""
        """The present settings, as the book keeps them once everything was scanned by them."""
        self._keeper, self._dirty, self._looks = keeper, dirty, looks
        keeper.silent = self._is_new_to_settings
        self._based: dict[bytes, bool] = {}
        self._figures: dict[bytes, list[int]] = {}
        self._is_moving = False
        """Whether the scan under way met anything that is not as the book has it."""

    def stripped(self, path: bytes, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """Return what is known of a folder in terms of the present settings: a hash of another kind says nothing. For any thread."""
        if self.former is None:
            return nodes
        before, now = self.former.rule(path), self._keeper.rules.rule(path)
        if before is None or now is None or before.watched.hash == now.watched.hash:
            return nodes
        return tuple(replace(node, content=b"") for node in nodes)

    def folder(self, seen: Seen) -> int:
        """Take in one folder; returns how many changes were told of at once."""
        directory = seen.directory
        path = directory.path
        if directory.flaw:
            self._flawed(path, directory.flaw)
            return 0
        self._keeper.flaws.pop(path, None)
        self._count(seen)
        self._is_moving |= not seen.same
        if not seen.same and not self._keeper.leads_to(path):
            return 0  # a notice, or the next scan, leads to where it is now
        if not self._is_based(seen.root):
            self._keeper.adopt(path, directory.nodes)
            if self._dirty.changed_since(path, seen.at):
                self._dirty.whole(path, time.monotonic())
            return 0
        if self._is_stale(path, seen.at):
            self._dirty.whole(path, time.monotonic())
            return 0
        if seen.same:
            return 0
        changes = self._keeper.folder(path, self.stripped(path, self._keeper.book.known(path)), directory.nodes, SCAN)
        return self._tell(changes)

    def root(self, root: bytes, scan: Scan) -> None:
        """A root was looked at to its end: its baseline is made."""
        book = self._keeper.book
        folders, files, flaws = self._figures.pop(root, [0, 0, 0])
        rule = self._keeper.rules.by_root[root]
        row = Row(
            kind="root",
            name=escape(root),
            profile=rule.name,
            state="watched" if folders or any(n.name == root[1:] for n in book.known(TOPS)) else "absent",
            folders=folders,
            files=files,
            flaws=flaws,
            scanned_ms=int(time.time() * 1000),
        )
        book.keep("row:root " + escape(root), _encode(row))
        if not self._is_based(root):
            self._keeper.state(
                kinds.BASELINE_MADE.name,
                escape(root),
                {"profile": rule.name, "folders": folders, "files": files, "found_by": scan.why},
            )
        book.keep(based(root), b"1")
        self._based[root] = True

    def ended(self, scan: Scan) -> None:
        """A scan has ended: no folder is left in the book that no other one leads to, and it is written by the present rules."""
        if self._is_moving or scan.why == "overflow":
            self._keeper.hold(change for path in self._lost() for change in self._looks.gone(path, SCAN))
            self._is_moving = False
        if scan.why in FULL:
            self.former = None
            self._keeper.book.keep("rules", self.current)

    def _lost(self) -> list[bytes]:
        """Return the folders that the book does not lead to: what moved behind a scan's back, or whose notice was lost."""
        keeper, lost = self._keeper, list[bytes]()
        for path in keeper.book.paths():
            parent, _, name = path.rpartition(b"/")
            if path in keeper.rules.by_root or (lost and path.startswith(lost[-1] + b"/")):
                continue
            if name not in keeper.book.folders(parent or b"/"):
                lost.append(path)
        return lost

    def forget_unwatched(self, former: Rules) -> None:
        """What is not to be watched any more leaves the book without a word."""
        book, rules = self._keeper.book, self._keeper.rules
        for root in rules.by_root:
            self._is_based(root)  # while it is known what lay within a root that leaves
        for root in former.by_root:
            if root in rules.by_root:
                continue
            book.drop(based(root))
            book.drop("row:root " + escape(root))
            for path in list(book.paths(root)):
                if rules.rule(path) is None:
                    book.remove(path)
        tops = {top[1:] for top in rules.tops}
        book.write(TOPS, tuple(node for node in book.known(TOPS) if node.name in tops))

    def _is_based(self, root: bytes) -> bool:
        known = self._based.get(root)
        if known is None:
            book = self._keeper.book
            known = self._based[root] = book.fact(based(root)) is not None or self._was_watched(root)
        return known

    def _was_watched(self, root: bytes) -> bool:
        """Say whether a new root lay within one that has a baseline: then what it holds is known."""
        if self.former is None:
            return False
        rule = self.former.rule(root)
        return (
            rule is not None
            and not _left_out(self.former, root)
            and self._keeper.book.fact(based(rule.root)) is not None
        )

    def _is_stale(self, path: bytes, at: float) -> bool:
        """Say whether what a scan saw of a folder may be older than what notices led to."""
        if self._dirty.changed_since(path, at):
            return True
        notices = self._looks.notices
        rule = self._keeper.rules.rule(path)
        is_heard = notices is not None and rule is not None and rule.watched.realtime
        return bool(is_heard and notices and notices.place(path) is None and path not in self._looks.unwatched)

    def _flawed(self, path: bytes, flaw: str) -> None:
        if flaw in (GONE, SWAPPED):
            parent, _, name = path.rpartition(b"/")
            self._dirty.name(parent or b"/", name, time.monotonic())
        else:
            self._keeper.flaws[path] = flaw

    def _count(self, seen: Seen) -> None:
        figures = self._figures.setdefault(seen.root, [0, 0, 0])
        figures[0] += 1
        figures[1] += len(seen.directory.nodes)
        figures[2] += sum(1 for node in seen.directory.nodes if node.flaw)

    def _tell(self, changes: Sequence[Change]) -> int:
        further: list[Change] = []
        came = {c.path for c in changes if c.kinds[0] == CREATED and c.after is not None and stat.S_ISDIR(c.after.mode)}
        for change in changes:
            if change.kinds[0] in (DELETED, TYPE) and change.before is not None and stat.S_ISDIR(change.before.mode):
                # Where another folder stands there now, the scan hears of that one already.
                further += (self._keeper if change.path in came else self._looks).gone(change.path, SCAN)
        told = [*changes, *further]
        paired = [change for change in told if change.kinds[0] in (CREATED, DELETED)]
        self._keeper.hold(paired)
        return self._keeper.tell([change for change in told if change.kinds[0] not in (CREATED, DELETED)], SCAN)

    def _is_new_to_settings(self, change: Change) -> bool:
        """Say whether something only seems to have come because the settings did not ask for it before."""
        if self.former is None or change.kinds[0] != CREATED:
            return False
        return _left_out(self.former, change.path)


def _left_out(rules: Rules, path: bytes) -> bool:
    """Say whether rules passed over a path or anything above it, or never came there."""
    rule = rules.rule(path)
    if rule is None:
        return True
    at = rule.root.rstrip(b"/")
    for part in path[len(at) + 1 :].split(b"/"):
        at += b"/" + part
        if rule.excluded(at):
            return True
    return False
