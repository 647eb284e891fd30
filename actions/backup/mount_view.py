"""Mount view: a repository as a tree of files that can only be read: paths to attributes, names, links and bytes, without FUSE.

Errors are those of the repository (Damaged, NoSuchBlob, StoreError), for what they hurt; FileNotFoundError and its kin for the rest.
"""

import errno
import hashlib
import os
import stat
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.mount_ahead import Ahead
from actions.backup.mount_cache import Cache
from actions.backup.mount_layout import Folder, Link, Root, layout, step
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.rubbish import load_what_reads
from actions.backup.selection import Selection, select
from actions.backup.times import parse_time
from contracts.errors import HoldfastError

T = TypeVar("T")

REFRESH_S = 60.0
"""How old the list of snapshots may be."""

MAX_NODES = 50_000
"""Entries of directories that are held."""

MAX_OPEN = 4096
"""Layouts of files that are held."""

_BLOCK = 512
_TYPES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


class Attributes(NamedTuple):
    """What `lstat` shows; times in Unix nanoseconds, `blocks` of 512 bytes."""

    mode: int
    inode: int
    links: int
    uid: int
    gid: int
    size: int
    blocks: int
    device: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int


class Inside(NamedTuple):
    """An entry within a snapshot; `path` is its own from the snapshot's root on."""

    root: Root
    path: bytes
    node: Node


class _File(NamedTuple):
    """Where the blobs of a file begin: `starts[i]` is the first byte of blob i, the last is the file's size."""

    ids: tuple[bytes, ...]
    starts: tuple[int, ...]


Found = Folder | Link | Root | Inside
Trouble = Callable[[bytes, HoldfastError], None]
"""Told of what cannot be read: the path as mounted, and why."""


class View:
    """Reading is safe in several threads. The index of `repository` is read by this. `cache_bytes` bounds what is held of files.

    `locked` says that the caller holds a lock, so that no prune moves anything.
    """

    def __init__(
        self,
        repository: Repository,
        chosen: Selection | None = None,
        *,
        cache_bytes: int = 64 << 20,
        locked: bool = True,
        trouble: Trouble = lambda _, __: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository, self._chosen, self._trouble, self._clock = repository, chosen, trouble, clock
        self._blobs: Cache[bytes, bytes] = Cache(cache_bytes, len)
        self._trees: Cache[str, Mapping[bytes, Node]] = Cache(MAX_NODES, lambda nodes: len(nodes) + 1)
        self._ahead = Ahead(self._blob, cache_bytes // 4)
        self._files: Cache[tuple[str, bytes], _File] = Cache(MAX_OPEN * 64, lambda file: 64 + len(file.ids))
        self._made_ns = time.time_ns()
        self._locked, self._reloaded_s = locked, 0.0
        self._refreshing = threading.Lock()
        self._ids: tuple[str, ...] | None = None
        self._looked_s = 0.0
        self._top = Folder()
        self.refresh()

    def refresh(self) -> None:
        """Read the list of snapshots anew, and the index when there are others than before; errors pass through."""
        with self._refreshing:
            self._looked_s = self._clock()
            found = select(self._repository, self._chosen, trouble=lambda error: self._trouble(b"/snapshots", error))
            ids = tuple(id for id, _ in found)
            if ids != self._ids:
                self._load_index()
                self._top, self._ids = layout(found), ids

    def find(self, path: bytes) -> Found:
        """What stands at an absolute path, links not followed; FileNotFoundError, NotADirectoryError."""
        self._refresh_if_old()
        at: Found = self._top
        for name in path.split(b"/"):
            if not name:
                continue
            below: Found | None
            match at:
                case Folder():
                    below = step(at, name)
                case Root():
                    below = self._inside(at, b"", at.tree, name)
                case Inside(node=node) if node.type == "dir":
                    below = self._inside(at.root, at.path, node.subtree, name)
                case _:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if below is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            at = below
        return at

    def names(self, found: Found) -> Iterator[tuple[bytes, int, int]]:
        """The entries of a directory: each name with the type bits of its mode and its inode number; NotADirectoryError."""
        match found:
            case Folder():
                for name, entry in found.entries.items():
                    yield name, stat.S_IFLNK if isinstance(entry, Link) else stat.S_IFDIR, self.attributes(entry).inode
                return
            case Root(tree=tree):
                root, path, nodes = found, b"", self._tree(tree)
            case Inside(root=root, path=path, node=node) if node.type == "dir":
                nodes = self._tree(node.subtree)
            case _:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        for name, node in nodes.items():
            if node.type in _TYPES:
                yield name, _TYPES[node.type], _inode(root, path + b"/" + name, node)

    def attributes(self, found: Found) -> Attributes:
        """What `lstat` shows of it. A directory has one link, as where nobody counts them."""
        match found:
            case Inside():
                return self._of_node(found)
            case Root():
                return self._made_up(stat.S_IFDIR | 0o555, found.id.encode(), found.time_ns)
            case Link():
                made = self._made_up(stat.S_IFLNK | 0o777, found.target, found.time_ns)
                return made._replace(size=len(found.target))
            case Folder():
                return self._made_up(stat.S_IFDIR | 0o555, found.path, self._made_ns)

    def target(self, found: Found) -> bytes:
        """Where a symbolic link leads; OSError for what is none."""
        if isinstance(found, Link):
            return found.target
        if isinstance(found, Inside) and found.node.type == "symlink":
            return found.node.raw_target
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def extended(self, found: Found) -> dict[str, bytes]:
        """The extended attributes."""
        if not isinstance(found, Inside):
            return {}
        return {each.name: each.value or b"" for each in found.node.extended_attributes}

    def open(self, found: Found) -> None:
        """Make sure that a file can be read: every blob of it is in an index, and together they are as long as it; else Damaged."""
        self._file(found)

    def read(self, found: Found, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` on, fewer only at the file's end; what cannot be read in full is an error."""
        file = self._file(found)
        end = min(offset + size, file.starts[-1])
        parts, at = [], offset
        number = bisect_right(file.starts, offset) - 1
        if isinstance(found, Inside) and at < end:
            last = bisect_right(file.starts, end - 1) - 1
            self._ahead.reads((found.root.id, found.path), file.ids, file.starts, (offset, end), last)
        while at < end:
            data = self._blob(file.ids[number])
            begin = at - file.starts[number]
            parts.append(data[begin : begin + end - at])
            at += len(parts[-1])
            number += 1
        return b"".join(parts)

    def close(self) -> None:
        """Nothing will be read any more."""
        self._ahead.close()

    def _refresh_if_old(self) -> None:
        if self._clock() - self._looked_s < REFRESH_S or self._refreshing.locked():
            return
        try:
            self.refresh()
        except HoldfastError as error:  # what is known stays; it is tried again in a minute
            self._trouble(b"/", error)

    def _inside(self, root: Root, path: bytes, tree: str | None, name: bytes) -> Inside | None:
        node = self._tree(tree).get(name)
        return None if node is None or node.type not in _TYPES else Inside(root, path + b"/" + name, node)

    def _tree(self, id: str | None) -> Mapping[bytes, Node]:
        if id is None:
            raise Damaged("tree", "the directory has no tree")
        return self._trees.get(id, lambda: dict(self._loaded(lambda: self._repository.load_tree(bytes.fromhex(id)))))

    def _blob(self, id: bytes) -> bytes:
        return self._blobs.get(id, lambda: self._loaded(lambda: self._repository.load_blob(BlobType.DATA, id)))

    def _loaded(self, load: Callable[[], T]) -> T:
        """What `load` gives. Without a lock a prune elsewhere may have moved it: then the index is read anew, now and then."""
        try:
            return load()
        except (Damaged, NoSuchBlob):
            with self._refreshing:
                if self._locked or self._clock() - self._reloaded_s < REFRESH_S:
                    raise
                self._reloaded_s = self._clock()
                self._load_index()
            return load()

    def _load_index(self) -> None:
        """Load the index as far as it reads."""
        for error in load_what_reads(self._repository):
            self._trouble(b"/", error)

    def _file(self, found: Found) -> _File:
        if not isinstance(found, Inside) or found.node.type != "file":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return self._files.get((found.root.id, found.path), lambda: self._placed(found.node))

    def _placed(self, node: Node) -> _File:
        ids = tuple(bytes.fromhex(id) for id in node.content or ())
        lengths = []
        for id in ids:
            length = self._repository.index.plain_length(BlobType.DATA, id)
            if length is None:
                raise NoSuchBlob(f"data blob {id.hex()} is in no index")
            lengths.append(length)
        if sum(lengths) != node.size:
            raise Damaged(
                f"the file {node.name}", f"its blobs have {sum(lengths)} bytes, it is said to have {node.size}"
            )
        return _File(ids, tuple(accumulate(lengths, initial=0)))

    def _of_node(self, found: Inside) -> Attributes:
        node = found.node
        size = {"file": node.size, "symlink": len(node.raw_target)}.get(node.type, 0)
        return Attributes(
            mode=_TYPES[node.type] | node.permissions,
            inode=_inode(found.root, found.path, node),
            links=1 if node.type == "dir" else max(1, node.links),
            uid=node.uid,
            gid=node.gid,
            size=size,
            blocks=self._blocks(node) if node.type == "file" else 0,
            device=node.device if node.type in {"dev", "chardev"} else 0,
            atime_ns=node.atime_ns,
            mtime_ns=node.mtime_ns,
            ctime_ns=parse_time(node.ctime),
        )

    def _blocks(self, node: Node) -> int:
        """Blocks that the file would take: blobs of zeros that repeat are holes."""
        size, content = node.size, node.content or []
        for id in {before for before, after in pairwise(content) if before == after}:
            length = self._repository.index.plain_length(BlobType.DATA, bytes.fromhex(id)) or 0
            if _zeros(length) == id:
                size -= length * content.count(id)
        return -(-max(size, 0) // _BLOCK)

    def _made_up(self, mode: int, seed: bytes, time_ns: int) -> Attributes:
        inode = _number(b"", seed)
        return Attributes(mode, inode, 1, os.getuid(), os.getgid(), 0, 0, 0, time_ns, time_ns, time_ns)


@cache
def _zeros(length: int) -> str:
    """The id of a blob of so many zeros; files are cut into few lengths of them."""
    return hashlib.sha256(bytes(length)).hexdigest()


def _inode(root: Root, path: bytes, node: Node) -> int:
    """The names of one file share a number, within one snapshot."""
    linked = node.links > 1 and node.inode != 0 and node.type != "dir"
    return _number(root.id.encode(), b"%d %d" % (node.device_id, node.inode) if linked else path)


def _number(space: bytes, seed: bytes) -> int:
    """An inode number that is the same whenever the same thing is looked at."""
    return int.from_bytes(hashlib.blake2b(seed, digest_size=8, key=space[:64]).digest(), "big") or 1
