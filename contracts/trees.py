"""What a look at a tree of files yields: one `Node` a name, one `Directory` a folder, and how to ask for them."""

from collections.abc import Callable, Iterable, Iterator
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

    def same_metadata(self, other: "Node") -> bool:
        """Say whether nothing that the kernel changes with the content or the metadata differs."""
        return (
            self.ctime_ns == other.ctime_ns
            and self.mtime_ns == other.mtime_ns
            and self.size == other.size
            and self.inode == other.inode
            and self.mode == other.mode
            and self.device == other.device
            and self.uid == other.uid
            and self.gid == other.gid
        )


class Directory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A folder by its raw path, and the names in it, sorted; `flaw` when it could not be listed, and then `nodes` says nothing."""

    path: bytes
    nodes: tuple[Node, ...] = ()
    flaw: str = ""


class TreePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to look.

    `hash_name` is `sha256`, `blake3` or "" for metadata alone; files over `hash_below` bytes are not read. `excluded` is asked with a whole
    path and whether it is a folder, and says whether it is passed over. With `read_again` contents are read even where the metadata is
    as known. `one_filesystem` keeps to the root's. `threads` is how many folders are looked at together.
    """

    hash_name: str = "sha256"
    hash_below: int = 1 << 40
    excluded: Callable[[bytes, bool], bool] | None = None
    read_again: bool = False
    one_filesystem: bool = True
    threads: int = 2


class Trees(Protocol):
    """Looking at trees of files without ever following a link or waiting for a device."""

    def walk(
        self, roots: Iterable[bytes], known: Callable[[bytes], tuple[Node, ...]], plan: TreePlan
    ) -> Iterator[Directory]:
        """Yield every folder below the roots, parents before their children, in no other order.

        `known` gives the nodes of a folder as last seen (empty for none): the content of a node whose metadata is the same is taken over
        instead of being read. A root that is no folder yields its parent's `Directory` with that one node. What cannot be looked at is a
        `flaw`, never an absence.
        """

    def node(self, path: bytes, plan: TreePlan, before: Node | None = None) -> Node | None:
        """Look at one name; None when there is none."""
