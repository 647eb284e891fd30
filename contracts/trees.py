"""What a look at a tree of files yields: one `Node` a name, one `Directory` a folder, and how to ask for them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One name in a directory, as `lstat` and the content say; times in nanoseconds, sizes in bytes.

    `name` is the raw name. `mode` holds the kind, too (`stat.S_IFMT`). `target` is what a symbolic link holds. `attributes` is a digest of
    the extended attributes (POSIX ACLs, file capabilities, SELinux label), empty when there are none; `capabilities` the raw value of
    `security.capability`. `content` is the content's hash, empty where there is none: not a regular file, not asked for, not readable
    (`flaw` says why, "" for nothing), or larger than asked for.
    """

    name: bytes
    mode: int
    uid: int
    gid: int
    links: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    special: int = 0
    target: bytes = b""
    attributes: bytes = b""
    capabilities: bytes = b""
    content: bytes = b""
    flaw: str = ""


class Directory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A folder by its raw path, and the names in it, sorted; `flaw` when it could not be listed, and then `nodes` says nothing."""

    path: bytes
    nodes: tuple[Node, ...] = ()
    flaw: str = ""


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A folder that is known to be there: its raw path, and device and inode, 0 where nobody has seen them yet."""

    path: bytes
    device: int = 0
    inode: int = 0


class TreePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to look.

    `hash_name` is `sha256`, `blake3` or "" for metadata alone; files over `hash_below` bytes are not read. `excluded` is asked with a whole
    path and whether it is a folder, and says whether it is passed over. Folders in `stops` are named but not gone into. With `read_again`
    contents are read even where the metadata is as known. `one_filesystem` keeps to the root's. `threads` is how many folders are looked at
    together. `entering` is told of each folder before it is listed, with an open descriptor of it, from any of these threads.
    """

    hash_name: str = "sha256"
    hash_below: int = 1 << 40
    excluded: Callable[[bytes, bool], bool] | None = None
    stops: frozenset[bytes] = frozenset()
    read_again: bool = False
    one_filesystem: bool = True
    threads: int = 2
    entering: Callable[[Place, int], None] | None = None


GONE = "gone"
"""The flaw of a folder that vanished between being listed and being looked at."""
SWAPPED = "another folder stands there now than was listed"
CHANGED = "changed while it was read"
"""A file whose content could not be told, since somebody was writing it."""


class Walk(Protocol):
    """A look at a tree under way; iterating yields its folders."""

    def __iter__(self) -> Iterator[Directory]:
        """Yield every folder, parents before their children, in no other order; closing the iterator ends the look."""

    def left(self) -> list[Place]:
        """Return the folders from which another walk goes on: those that were not yielded yet, without what is below them."""


class Trees(Protocol):
    """Looking at trees of files without ever following a link or waiting for a device."""

    def walk(self, places: Sequence[Place], known: Callable[[bytes], tuple[Node, ...]], plan: TreePlan) -> Walk:
        """Look at every folder at and below `places`.

        `known` gives the nodes of a folder as last seen (empty for none): the content of a node whose metadata is the same is taken over
        instead of being read. What cannot be looked at is a `flaw`, never an absence.
        """

    def node(self, path: bytes, plan: TreePlan, before: Node | None = None) -> Node | None:
        """Look at one name; None when there is none. Raises `Unavailable` when it cannot be looked at."""

    def names(
        self, place: Place, names: Collection[bytes] | None, before: Mapping[bytes, Node], plan: TreePlan
    ) -> Directory:
        """Look at some names of one folder, or at all (None); those that are not there are missing from the answer."""

    def content(self, path: bytes, node: Node, max_bytes: int) -> bytes | None:
        """Return the content of the file that `node` describes; None when it is larger, another one by now, or cannot be read."""

    def proof(self, path: bytes, nonce: bytes) -> bytes | None:
        """Return SHA-256 over the nonce and the file's present content; None where there is no regular file that can be read."""

    def notices(self) -> "Notices":
        """Begin to hear of changes; raises `Unavailable` where the kernel gives no more instances."""


class Stopping(Protocol):
    """What tells when to stop (`contracts.host.Stop`)."""

    def fileno(self) -> int:
        """Return a descriptor that becomes readable then."""


Notice = tuple[bytes, bytes, int, int]
"""Folder, name in it (empty for the folder itself), what happened (bits of inotify(7)), and a number that both sides of a rename have."""

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF, UNMOUNT = 0x100, 0x200, 0x400, 0x800, 0x2000
IS_FOLDER = 0x40000000


class Notices(Protocol):
    """What the kernel tells of changes in watched folders. One thread reads; any thread may watch and drop."""

    def watch(self, place: Place, descriptor: int) -> bool:
        """Hear of changes in the folder behind an open descriptor; False when the kernel's limit is reached."""

    def drop(self, prefixes: Collection[bytes]) -> None:
        """Hear no more of these folders and of all below them."""

    def move(self, former: bytes, path: bytes) -> None:
        """Call a folder, and all below it, by its new path from now on."""

    def place(self, path: bytes) -> Place | None:
        """Return a watched folder as it was when the watch began, None when it is not watched."""

    def wait(self, stop: Stopping, timeout_s: float) -> None:
        """Wait until there are notices, or until told to stop, without taking any."""

    def read(self, stop: Stopping, timeout_s: float) -> tuple[list[Notice], bool]:
        """Wait for notices; returns them, and whether the kernel had to drop some."""

    def waits(self) -> bool:
        """Say whether the kernel holds notices that were not read."""

    def count(self) -> int:
        """Return how many folders are watched."""

    def limit(self) -> int:
        """Return how many this user may watch in all, 0 where the kernel does not say."""

    def close(self) -> None:
        """End."""
