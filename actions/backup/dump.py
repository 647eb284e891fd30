"""Dump: one file of a snapshot to a stream, or a directory as a tar archive, every blob verified on the way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.tar_stream import BLOCK, Extent, Sink, TarStream, can_hold
from actions.backup.walk import Entry, NoSuchEntry, Trouble, entry_at, go_text, walk

_LEAST_HOLE = 1 << 20
"""Files with fewer bytes of zeros in whole blobs are written in full."""


@dataclass(slots=True)
class Dumped:
    """How much was written: entries (1 for a file) and bytes of content."""

    entries: int = 0
    bytes: int = 0


def dump(repository: Repository, tree: str, path: bytes, sink: Sink, *, trouble: Trouble | None = None) -> Dumped:
    """Write the file at `path` of a snapshot (`tree` is the snapshot's), or the directory there ("/" for all) as a tar archive.

    NoSuchEntry when it is neither. Damaged or NoSuchBlob when something is not what was saved: what was written is then cut off, an archive
    without its end mark. With `trouble`, entries of which that is known before they begin are told, left out, and the rest is written.
    """
    if not path.strip(b"/"):
        return _Dumper(repository, sink, trouble).tree(None, tree)
    entry = entry_at(repository, tree, path)
    if entry.node.type == "dir" and entry.node.subtree:
        return _Dumper(repository, sink, trouble).tree(entry, entry.node.subtree)
    if entry.node.type != "file":
        raise NoSuchEntry(f"{entry.text} is a {entry.node.type}", advice="dump a file or a directory")
    dumped = Dumped(1)
    for part in content(repository, entry.node):
        sink.write(part)
        dumped.bytes += len(part)
    return dumped


def content(repository: Repository, node: Node) -> Iterator[bytes]:
    """The content of a file in parts, verified; Damaged when they are not as long as the file is said to be."""
    total = 0
    for id in node.content or ():
        data = repository.load_blob(BlobType.DATA, bytes.fromhex(id))
        total += len(data)
        if total > node.size:
            break
        yield data
    if total != node.size:
        raise Damaged(f"the file {node.name}", f"its blobs have {total} bytes, it is said to have {node.size}")


class _Dumper:
    """One archive in the making."""

    def __init__(self, repository: Repository, sink: Sink, trouble: Trouble | None) -> None:
        self._repository = repository
        self._tar = TarStream(sink)
        self._trouble = trouble
        self._links: dict[tuple[int, int], bytes] = {}
        self._zeros: dict[str, bool] = {}
        self._dumped = Dumped()

    def tree(self, top: Entry | None, tree: str) -> Dumped:
        if top is not None:
            self._begin(top)
        for entry in walk(self._repository, tree, below=top.path if top else b"", trouble=self._trouble):
            self._entry(entry)
        self._tar.end()
        return self._dumped

    def _entry(self, entry: Entry) -> None:
        node = entry.node
        if not can_hold(node):
            return
        inode = (node.device_id, node.inode)
        linked = node.links > 1 and node.inode != 0 and node.type != "dir"
        if linked and inode in self._links:
            self._begin(entry, link=self._links[inode])
            return
        if node.type == "file":
            if not self._file(entry):
                return
        else:
            self._begin(entry)
        if linked:
            self._links[inode] = entry.path.strip(b"/")

    def _begin(self, entry: Entry, link: bytes | None = None, extents: list[Extent] | None = None) -> None:
        self._tar.begin(entry.path.strip(b"/"), entry.node, link=link, extents=extents)
        self._dumped.entries += 1

    def _file(self, entry: Entry) -> bool:
        """Write a file; False when it was left out because it cannot be had."""
        node = entry.node
        try:
            lengths = self._lengths(node)
            extents = self._extents(node, lengths)
        except (Damaged, NoSuchBlob) as error:
            if self._trouble is None:
                raise
            self._trouble(entry.path, error)
            return False
        self._begin(entry, extents=extents)
        run = 0
        for id, length in zip(node.content or (), lengths, strict=True):
            self._dumped.bytes += length
            if extents is None or not self._zeros.get(id):
                self._tar.data(self._repository.load_blob(BlobType.DATA, bytes.fromhex(id)))
                run += length
            else:
                self._tar.data(bytes(-run % BLOCK))
                run = 0
        return True

    def _lengths(self, node: Node) -> list[int]:
        lengths = []
        for id in node.content or ():
            length = self._repository.index.plain_length(BlobType.DATA, bytes.fromhex(id))
            if length is None:
                raise NoSuchBlob(f"data blob {id} is in no index")
            lengths.append(length)
        if sum(lengths) != node.size:
            raise Damaged(
                f"the file {go_text(node.raw_name)}",
                f"its blobs have {sum(lengths)} bytes, it is said to have {node.size}",
            )
        return lengths

    def _extents(self, node: Node, lengths: list[int]) -> list[Extent] | None:
        """What of a file is not zeros, by whole blobs; None for a file without holes worth the name.

        GNU tar reads each extent from a block of its own, so all but the last are whole blocks long, at the cost of the hole behind.
        """
        extents: list[Extent] = []
        position = holes = 0
        seen = Counter(node.content or ())
        for id, length in zip(node.content or (), lengths, strict=True):
            if self._is_zero(id, length, seen):
                holes += length
                if extents and sum(extents[-1]) == position:
                    extents[-1] = Extent(extents[-1].offset, extents[-1].length + -extents[-1].length % BLOCK)
            elif extents and sum(extents[-1]) == position:
                extents[-1] = Extent(extents[-1].offset, extents[-1].length + length)
            else:
                extents.append(Extent(position, length))
            position += length
        if holes < _LEAST_HOLE:
            return None
        if not extents or sum(extents[-1]) != position:
            extents.append(Extent(position, 0))
        return extents

    def _is_zero(self, id: str, length: int, seen: Counter[str]) -> bool:
        """Whether a blob is nothing but zeros; only one that shrank to next to nothing, or (uncompressed) that repeats, is read to see."""
        if id not in self._zeros:
            place = self._repository.index.find(BlobType.DATA, bytes.fromhex(id))[0]
            thin = place.length <= length // 1000 + 100 if place.uncompressed_length else seen[id] > 1
            if length < 1 << 14 or not thin:
                return False
            self._zeros[id] = not any(self._repository.load_blob(BlobType.DATA, bytes.fromhex(id)))
        return self._zeros[id]
