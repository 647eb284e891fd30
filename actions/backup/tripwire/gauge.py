"""Gauge: measures files while the archiver reads them, for the tripwire; nothing is read twice.

What a file's content was like before is known from the index: how many bytes its blobs took when they were compressed. The new content is
looked at in slices of 512 bytes; of more than `MOST` files of a kind a part is chosen by lot and the counts are projected.
"""

import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actions.backup.blobs import BlobType
from actions.backup.crypto import OVERHEAD
from actions.backup.index import Index
from actions.backup.node import Node
from actions.backup.stores.store import Buffer
from actions.backup.watched import Unwatched
from analysis.excludes import Excludes
from analysis.file_formats import LEAST, SLICE, extension, known_extension, sample
from analysis.tripwire import RANDOM, Before, Figures, Look, turned, unreadable
from contracts.text import escape

MOST = 1000
"""So many changed and so many new files are looked at."""
_SLICES = 6
"""In the middle of a piece."""
_MOST_MIDDLE = 24
_MOST_BLOBS = 64
"""So many of a file's blobs say how well it compresses."""
_NAMED = 3


class Kept(NamedTuple):
    """A file that was looked at, until the index knows how well it compressed."""

    look: Look
    content: tuple[str, ...]
    before: tuple[str, ...]
    changed: bool


class Totals(NamedTuple):
    """What the gauge needs of a run's ends: files and bytes of the parent snapshot, and of this one."""

    files_before: int
    files: int
    bytes_before: int
    bytes_total: int
    files_unmodified: int
    same_choices: bool


class Gauge(Unwatched):
    """Measures one run. `canaries` are SHA-256 sums in hex that are looked for among the new files; what is `ignored` is only counted."""

    def __init__(
        self,
        canaries: frozenset[str] = frozenset(),
        ignored: Excludes | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._dice = dice or random.Random()  # what is looked at is no secret
        self._canaries = canaries
        self._ignored = ignored if ignored else None
        self.canaries_seen: dict[str, str] = {}
        """Where content of a canary came up under a new name, by its sum."""
        self._changed: dict[bytes, Kept] = {}
        self._new: dict[bytes, Kept] = {}
        self._gone: list[tuple[str, ...]] = []
        self._counts: Counter[str] = Counter()
        self._extensions: Counter[str] = Counter()
        self._pieces = 0
        self._head = self._tail = b""
        self._middle: list[bytes] = []
        self._known = True

    def begin(self) -> None:
        """Forget the file before, also one whose reading broke off."""
        self._clear()

    def piece(self, data: Buffer, *, new: bool) -> None:
        """Take some slices of a blob."""
        start = 0
        if not self._pieces:
            self._head = bytes(data[:SLICE])
            start = len(self._head)
        self._pieces += 1
        self._known = self._known and not new
        left = len(data) - start
        if left > SLICE:
            self._tail = bytes(data[-SLICE:])
            room = min(_SLICES, left // SLICE - 1, _MOST_MIDDLE - len(self._middle))
            for number in range(room):
                at = start + number * (left - SLICE) // room
                self._middle.append(bytes(data[at : at + SLICE]))
        elif left:
            self._tail = (self._tail + bytes(data[start:]))[-SLICE:]

    def file(self, path: bytes, before: Node | None, node: Node) -> None:
        """Count a file that was read, and keep what it looks like if it is one of those."""
        content = tuple(node.content or ())
        passed = self._ignored is not None and self._ignored.match(os.fsdecode(path))
        if before is not None and before.type == "file":
            if passed or content == tuple(before.content or ()):
                self._counts["touched"] += 1
                return
            self._counts["changed"] += 1
            self._counts["changed_bytes"] += node.size
            self._counts["changed_before_bytes"] += before.size
            self._keep(self._changed, "changed", path, node, before)
            return
        self._counts["new"] += 1
        self._counts["new_bytes"] += node.size
        if len(content) == 1 and content[0] in self._canaries:
            self.canaries_seen[content[0]] = escape(path)
        if passed or (self._known and node.size):
            self._counts["moved"] += not passed
            return
        self._counts["fresh"] += 1
        self._keep(self._new, "fresh", path, node, None)

    def directory(self, path: bytes, before: Mapping[bytes, Node], nodes: Sequence[Node]) -> None:
        """Pair files that went with files that came: the same stem, or a name with an extension that was not there."""
        if not before:
            return
        names = {node.raw_name: node for node in nodes}
        gone = {name: node for name, node in before.items() if node.type == "file" and name not in names}
        if not gone:
            return
        self._note_gone(gone)
        came = [name for name, node in names.items() if node.type == "file" and name not in before]
        usual = {extension(escape(name)) for name, node in before.items() if node.type == "file"}
        stems = {name.rpartition(b".")[0]: name for name in gone if b"." in name[1:]}
        for name in came:
            old = _origin(name, gone, stems)
            if old is not None:
                self._renamed(path + b"/" + name, old, gone.pop(old))
            elif gone and extension(escape(name)) not in usual:
                self._stranger(path + b"/" + name)
                gone.popitem()

    def figures(self, index: Index, totals: Totals) -> tuple[Figures, list[Look]]:
        """What the run came to, and the files that turned; `index` holds everything that was saved."""
        looks = [(kept, self._finished(index, kept)) for kept in (*self._changed.values(), *self._new.values())]
        bad = [look for _, look in looks if turned(look)]
        changed = self._counts["changed"] / max(1, len(self._changed))
        fresh = self._counts["fresh"] / max(1, len(self._new))
        on_changed = sum(1 for kept, look in looks if kept.changed and turned(look))
        gone = totals.files_before - totals.files_unmodified - self._counts["touched"] - self._counts["changed"]
        kept_bytes = totals.bytes_total - self._counts["new_bytes"] - self._counts["changed_bytes"]
        figures = Figures(
            files_before=totals.files_before,
            files=totals.files,
            bytes_before=totals.bytes_before,
            bytes_total=totals.bytes_total,
            changed=self._counts["changed"],
            new=self._counts["new"],
            moved=self._counts["moved"],
            lost=max(0, gone - self._counts["moved"]),
            bytes_lost=max(0, totals.bytes_before - kept_bytes - self._counts["changed_before_bytes"]),
            turned=round(on_changed * changed + (len(bad) - on_changed) * fresh),
            opaque_changed=round(sum(_random(look) for kept, look in looks if kept.changed) * changed),
            lost_random=self._lost_random(index),
            sealed_bytes=round(sum(look.size for kept, look in looks if not kept.changed and unreadable(look)) * fresh),
            renamed=round(self._counts["renamed"] * fresh),
            extensions=tuple(f".{name}" for name, _ in self._extensions.most_common(_NAMED)),
            same_choices=totals.same_choices,
        )
        return figures, bad

    def _note_gone(self, gone: Mapping[bytes, Node]) -> None:
        """Keep what content went, of names that promise no format."""
        for name, node in gone.items():
            self._counts["gone"] += 1
            text = escape(name)
            if len(self._gone) < MOST and (not extension(text) or not known_extension(text)):
                self._gone.append(tuple((node.content or ())[:_MOST_BLOBS]))

    def _lost_random(self, index: Index) -> float:
        random = sum((ratio(index, content) or 0.0) >= RANDOM for content in self._gone)
        return random / self._counts["gone"] if self._counts["gone"] else 0.0

    def _keep(self, where: dict[bytes, Kept], count: str, path: bytes, node: Node, before: Node | None) -> None:
        """Keep a look at the file that was just read: of the first `MOST` each, of further ones fewer and fewer (a reservoir)."""
        if len(where) >= MOST:
            if self._dice.randrange(self._counts[count]) >= MOST:
                return
            del where[self._dice.choice(list(where))]
        tail = self._tail if len(self._tail) >= LEAST else b""
        look = Look(path=escape(path), size=node.size, sample=sample(self._head, self._middle, tail))
        old = tuple((before.content or ())[:_MOST_BLOBS]) if before is not None else ()
        if before is not None:
            look = Look(path=look.path, size=look.size, sample=look.sample, before=Before(size=before.size))
        where[path] = Kept(look, tuple((node.content or ())[:_MOST_BLOBS]), old, before is not None)

    def _renamed(self, path: bytes, old: bytes, before: Node) -> None:
        kept = self._new.get(path)
        if kept is None:
            return
        look = kept.look
        if not known_extension(look.path):
            self._counts["renamed"] += 1
            self._extensions[extension(look.path)] += 1
        made = Look(
            path=look.path,
            size=look.size,
            sample=look.sample,
            before=Before(size=before.size),
            renamed=True,
            was=escape(old),
        )
        self._new[path] = kept._replace(look=made, before=tuple((before.content or ())[:_MOST_BLOBS]))

    def _stranger(self, path: bytes) -> None:
        kept = self._new.get(path)
        if kept is not None:
            look = kept.look
            self._new[path] = kept._replace(
                look=Look(path=look.path, size=look.size, sample=look.sample, stranger=True)
            )

    def _finished(self, index: Index, kept: Kept) -> Look:
        look, before = kept.look, kept.look.before
        if before is not None:
            before = Before(size=before.size, ratio=ratio(index, kept.before))
        return Look(
            path=look.path,
            size=look.size,
            sample=look.sample,
            before=before,
            ratio=ratio(index, kept.content),
            renamed=look.renamed,
            was=look.was,
            stranger=look.stranger,
        )

    def _clear(self) -> None:
        self._pieces = 0
        self._head = self._tail = b""
        self._middle = []
        self._known = True


def ratio(index: Index, content: Sequence[str]) -> float | None:
    """The part of its size that content takes as it is stored; None when it is empty or not there.

    Holdfast stores plain only what does not become smaller, which counts as 1; in a repository of version 1 everything is plain.
    """
    stored = plain = 0
    for id in content:
        found = index.find(BlobType.DATA, bytes.fromhex(id))
        if found:
            length = found[0].length - OVERHEAD
            stored += length
            plain += found[0].uncompressed_length or length
    return stored / plain if plain else None


def _origin(name: bytes, gone: Mapping[bytes, Node], stems: Mapping[bytes, bytes]) -> bytes | None:
    """The file that went whose place `name` took: it with something appended, or the same stem."""
    stem = name.rpartition(b".")[0]
    if stem in gone:
        return stem
    old = stems.get(stem)
    return old if old is not None and old in gone else None


def _random(look: Look) -> bool:
    return look.sample.slices > 0 and look.sample.opaque >= 0.5 * look.sample.slices
