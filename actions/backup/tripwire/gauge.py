"""Gauge: measures files while the archiver reads them, for the tripwire; nothing is read twice.

What a file's content was like before is known from the index: how many bytes its blobs took when they were compressed. The new content is
looked at in slices of 512 bytes. Of many files a part is chosen by lot, most of it from those that begin with random bytes, and the counts
are projected.
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
from analysis.file_formats import LEAST, SLICE, begins_random, extension, known_extension, sample
from analysis.tripwire import RANDOM, Before, Figures, Look, turned, unreadable
from contracts.text import escape

MOST = 1000
"""So many changed and so many new files that begin with random bytes are looked at."""
MOST_PLAIN = 100
"""And so many others."""
_SLICES = 4
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


class Lot:
    """Files chosen by lot, each with the same chance (a reservoir): `weight` is how many of all that were seen each stands for."""

    def __init__(self, most: int, dice: random.Random) -> None:
        self._most, self._dice = most, dice
        self._paths: list[bytes] = []
        self.seen = 0
        self.kept: dict[bytes, Kept] = {}

    @property
    def weight(self) -> float:
        """Files seen for each that is kept."""
        return self.seen / max(1, len(self.kept))

    def takes(self, path: bytes) -> bool:
        """Whether a file is chosen, in the place of another when there is no room."""
        self.seen += 1
        if len(self._paths) < self._most:
            self._paths.append(path)
            return True
        at = self._dice.randrange(self.seen)
        if at >= self._most:
            return False
        del self.kept[self._paths[at]]
        self._paths[at] = path
        return True


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
        self._changed = (Lot(MOST_PLAIN, self._dice), Lot(MOST, self._dice))
        self._new = (Lot(MOST_PLAIN, self._dice), Lot(MOST, self._dice))
        self._gone: list[tuple[str, ...]] = []
        self._renames = 0.0
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
            self._keep(self._changed, path, node, before)
            return
        self._counts["new"] += 1
        self._counts["new_bytes"] += node.size
        if len(content) == 1 and content[0] in self._canaries:
            self.canaries_seen[content[0]] = escape(path)
        if passed or (self._known and node.size):
            self._counts["moved"] += not passed
            return
        self._keep(self._new, path, node, None)

    def directory(self, path: bytes, before: Mapping[bytes, Node], nodes: Sequence[Node]) -> None:
        """Pair files that went with files that came: the same stem, or a name with an extension that was not there."""
        if not before:
            return
        left = {node.name for node in nodes}
        gone = {name: node for name, node in before.items() if node.name not in left and node.type == "file"}
        if not gone:
            return
        names = {node.raw_name: node for node in nodes}
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
        changed, new = self._looks(index, self._changed), self._looks(index, self._new)
        bad = [(look, weight) for look, weight in (*changed, *new) if turned(look)]
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
            turned=round(sum(weight for _, weight in bad)),
            opaque_changed=round(sum(weight for look, weight in changed if _random(look))),
            lost_random=self._lost_random(index),
            sealed_bytes=round(sum(look.size * weight for look, weight in new if unreadable(look))),
            renamed=round(self._renames),
            extensions=tuple(f".{name}" for name, _ in self._extensions.most_common(_NAMED)),
            same_choices=totals.same_choices,
        )
        return figures, [look for look, _ in bad]

    def _looks(self, index: Index, lots: tuple[Lot, ...]) -> list[tuple[Look, float]]:
        return [(self._finished(index, kept), lot.weight) for lot in lots for kept in lot.kept.values()]

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

    def _keep(self, lots: tuple[Lot, Lot], path: bytes, node: Node, before: Node | None) -> None:
        """Keep a look at the file that was just read, if the lot falls on it."""
        lot = lots[begins_random(self._head)]
        if not lot.takes(path):
            return
        tail = self._tail if len(self._tail) >= LEAST else b""
        look = Look(path=escape(path), size=node.size, sample=sample(self._head, self._middle, tail))
        old = tuple((before.content or ())[:_MOST_BLOBS]) if before is not None else ()
        if before is not None:
            look = Look(path=look.path, size=look.size, sample=look.sample, before=Before(size=before.size))
        lot.kept[path] = Kept(look, tuple((node.content or ())[:_MOST_BLOBS]), old)

    def _renamed(self, path: bytes, old: bytes, before: Node) -> None:
        lot = next((lot for lot in self._new if path in lot.kept), None)
        if lot is None:
            return
        kept = lot.kept[path]
        look = kept.look
        if not known_extension(look.path):
            self._renames += lot.weight
            self._extensions[extension(look.path)] += 1
        made = Look(
            path=look.path,
            size=look.size,
            sample=look.sample,
            before=Before(size=before.size),
            renamed=True,
            was=escape(old),
        )
        lot.kept[path] = kept._replace(look=made, before=tuple((before.content or ())[:_MOST_BLOBS]))

    def _stranger(self, path: bytes) -> None:
        lot = next((lot for lot in self._new if path in lot.kept), None)
        if lot is not None:
            look = lot.kept[path].look
            made = Look(path=look.path, size=look.size, sample=look.sample, stranger=True)
            lot.kept[path] = lot.kept[path]._replace(look=made)

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
