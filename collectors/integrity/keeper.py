"""Keeps the book: what was seen of a folder is compared with what is known, written down, and put into the journal with what differs.

For one thread. Nothing is durable before `commit`, and then all of it is together.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from operator import is_not

import msgspec
from msgspec.structs import replace

from analysis.integrity.compare import compare, join_renames
from analysis.integrity.net import collapse, in_order, waiting
from analysis.integrity.semantic.accounts import redacted
from collectors.integrity.book import Book
from collectors.integrity.rules import Rules
from contracts.event import Value
from contracts.file_change import CREATED, DELETED, MODIFIED, REALTIME, RENAMED, SCAN, Author, Change
from contracts.open_change import Batch, Open, Statement
from contracts.trees import Node, Trees

_encode = msgspec.msgpack.Encoder().encode
_CHANGE = msgspec.msgpack.Decoder(Change)
_OPEN = msgspec.msgpack.Decoder(Open)
ENTRY = msgspec.msgpack.Decoder(Batch | Statement)
AT_ONCE = 400
"""Changes in one entry of the journal."""
_REDACTED = frozenset({b"/etc/shadow", b"/etc/gshadow"})
"""Kept without what is secret in them, so that it can be said what came and went there."""
TOPS = b""
"""The book's folder that holds the roots themselves, by their whole paths."""

Authors = Callable[[Sequence[Change]], Sequence[Author]]


class Keeper:
    """Writes the book. `authors` tells who made changes."""

    def __init__(self, book: Book, rules: Rules, trees: Trees, now_ms: Callable[[], int], authors: Authors) -> None:
        self.book = book
        self.rules = rules
        self._trees = trees
        self._now_ms = now_ms
        self._authors = authors
        self.silent: Callable[[Change], bool] = lambda _: False
        """Says of a change that it only seems to be one, because the settings are others now."""
        self.flaws: dict[bytes, str] = {}
        """What could not be looked at when it was last tried."""

    def folder(self, path: bytes, before: Sequence[Node], after: tuple[Node, ...], found_by: str) -> list[Change]:
        """Write a folder down as it is now; returns what differs."""
        changes = list(compare(path, before, after, self._opened))
        self._note_flaws(path, before, after)
        if changes or not before or len(before) != len(after) or any(map(is_not, before, after)):
            self.book.write(path, after)
        return self._kept_open(changes, found_by)

    def gone(self, path: bytes, found_by: str) -> list[Change]:
        """Take a folder and all below it out of the book; returns the deletions of what was in there."""
        changes = []
        for directory in self.book.forget(path):
            self.flaws.pop(directory.path, None)
            base = directory.path + b"/"
            changes += [Change(path=base + node.name, kinds=(DELETED,), before=node) for node in directory.nodes]
        return self._kept_open(changes, found_by)

    def lift(self, former: bytes, between: bytes) -> None:
        """Take a folder and all below it away from its path, without forgetting it: `put` gives it another."""
        for directory in self.book.below(former):
            base = directory.path + b"/"
            for node in directory.nodes:
                self._open(base + node.name, node, None, REALTIME)
        self.book.move(former, between)

    def put(self, between: bytes, path: bytes) -> None:
        """Give what was lifted its new path."""
        self.book.move(between, path)
        for directory in self.book.below(path):
            base = directory.path + b"/"
            for node in directory.nodes:
                self._open(base + node.name, None, node, REALTIME)

    def leads_to(self, path: bytes) -> bool:
        """Say whether the book's folders lead to a folder: else it went or moved since it was looked at."""
        if path in self.rules.by_root:
            return True
        parent, _, name = path.rpartition(b"/")
        return name in self.book.folders(parent or b"/")

    def adopt(self, path: bytes, nodes: tuple[Node, ...]) -> None:
        """Write a folder down without a word: it belongs to a baseline that is being made."""
        self._note_flaws(path, (), nodes)
        self.book.write(path, nodes)
        base = path + b"/" if path not in (b"/", TOPS) else b"/"
        for node in nodes:
            if node.size <= self.rules.shown_below:
                self._keep_text(base + node.name, node)

    def hold(self, changes: Iterable[Change]) -> None:
        """Keep changes until the scan has ended: what went here may have come there."""
        for change in changes:
            self.book.hold(_encode(change))

    def tell_held(self) -> int:
        """Tell what was held, joined; returns how many changes that makes."""
        held = [_CHANGE.decode(body) for body in self.book.held()]
        self.book.release()
        return self.tell(held, SCAN)

    def tell(self, changes: Sequence[Change], found_by: str) -> int:
        """Put changes into the journal and among those that wait to be accepted; returns how many they are."""
        counted = (self._counting(change) for change in collapse(join_renames(in_order(changes))))
        joined = [change for change in counted if change is not None]
        now = self._now_ms()
        entry: list[Change] = []
        for change, author in zip(joined, self._authors(joined) if joined else (), strict=True):
            rule = self.rules.rule(change.path)
            old, new = self._texts(change)
            profile = rule.name if rule is not None else ""
            entry.append(
                replace(change, found_by=found_by, at_ms=now, profile=profile, author=author, old=old, new=new)
            )
            self._sign(change.path, author)
            if len(entry) >= AT_ONCE:
                self.book.tell(_encode(Batch(tuple(entry))))
                entry = []
        if entry:
            self.book.tell(_encode(Batch(tuple(entry))))
        return len(joined)

    def state(self, kind: str, key: str, fields: dict[str, Value]) -> None:
        """Put a fact that is not about one file into the journal."""
        self.book.tell(_encode(Statement(kind=kind, key=key, fields=fields, at_ms=self._now_ms())))

    def _counting(self, change: Change) -> Change | None:
        """Return what of a change counts by the settings of its path, None for nothing."""
        rule = self.rules.rule(change.path)
        if rule is None:
            return None
        if change.kinds[0] in (CREATED, DELETED):
            above = self.rules.above(change.path)
            is_listed = above is None or change.path in self.rules.by_root or not above.excluded(change.path)
            return change if is_listed else None
        kinds = rule.counting(change.kinds)
        if not kinds or kinds == change.kinds:
            return change if kinds else None
        return replace(change, kinds=kinds)

    def _note_flaws(self, path: bytes, before: Sequence[Node], after: Sequence[Node]) -> None:
        base = path + b"/" if path not in (b"/", TOPS) else b"/"
        for node in before:
            if node.flaw:
                self.flaws.pop(base + node.name, None)
        for node in after:
            if node.flaw:
                self.flaws[base + node.name] = node.flaw

    def _texts(self, change: Change) -> tuple[bytes | None, bytes | None]:
        """Return the content before and after, as far as the settings keep it."""
        old = self._kept(change.former or change.path) if change.before is not None else None
        if change.former:
            self.book.keep_text(change.former, None)
        if change.kinds[0] == DELETED:
            self.book.keep_text(change.path, None)
            return old, None
        if change.after is None:
            return None, None
        if MODIFIED in change.kinds or change.kinds[0] in (CREATED, RENAMED):
            return old, self._keep_text(change.path, change.after)
        return None, None

    def _kept(self, path: bytes) -> bytes | None:
        kept = self.book.text(path)
        return zlib.decompress(kept) if kept is not None else None

    def _keep_text(self, path: bytes, node: Node) -> bytes | None:
        """Keep the content of a file where the settings say so; returns it."""
        rule = self.rules.rule(path)
        is_redacted = path in _REDACTED
        if rule is None or not rule.shows(path, node.mode, node.size, secrets=is_redacted):
            return None
        content = self._trees.content(path, node, rule.watched.diff_below)
        if content is None or b"\0" in content:
            self.book.keep_text(path, None)
            return None
        if is_redacted:
            content = redacted(content)
        self.book.keep_text(path, zlib.compress(content, 6))
        return content

    def _kept_open(self, changes: list[Change], found_by: str) -> list[Change]:
        """Keep what waits to be accepted in step with the book; returns what is not to be passed over in silence."""
        told = [change for change in changes if not self.silent(change)]
        for change in told:
            if self._counting(change) is not None:
                self._open(change.path, change.before, change.after, found_by)
        return told

    def _open(self, path: bytes, before: Node | None, after: Node | None, found_by: str) -> None:
        held = self._opened(path)
        rule = self.rules.rule(path)
        value = waiting(held, before, after, rule.name if rule is not None else "", found_by, self._now_ms())
        if value is not None or held is not None:
            self.book.open(path, _encode(value) if value is not None else None)

    def _opened(self, path: bytes) -> Open | None:
        """Return what waits to be accepted at a path."""
        body = self.book.opened(path)
        return _OPEN.decode(body) if body is not None else None

    def _sign(self, path: bytes, author: Author) -> None:
        """Keep who made a change beside what waits to be accepted, where that is known."""
        held = self._opened(path) if author.process else None
        if held is not None:
            self.book.open(path, _encode(replace(held, author=author)))
