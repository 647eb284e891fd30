"""Looks at trees of files: every folder once, by descriptor, never following a link, never waiting for a FIFO or a device."""

import errno
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from contracts.errors import Unavailable, Why
from contracts.trees import SWAPPED, Directory, Node, Notices, Place, TreePlan
from host.file_digest import CHUNK, FILE, Reader, why
from host.tree_folders import flaw_of, node_of, open_folder
from host.tree_walk import Known, LinuxWalk


class LinuxTrees:
    """Implements `contracts.trees.Trees`."""

    def __init__(self) -> None:
        self._own = threading.local()

    def walk(self, places: Sequence[Place], known: Known, plan: TreePlan) -> LinuxWalk:
        """Look at every folder at and below `places`; see `contracts.trees.Trees.walk`."""
        return LinuxWalk(places, known, plan)

    def node(self, path: bytes, plan: TreePlan, before: Node | None = None) -> Node | None:
        """Look at one name; None when there is none; raises `Unavailable` when it cannot be looked at."""
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
        try:
            descriptor = open_folder(parent or b"/")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise Unavailable(Why.PERMISSION, why(error)) from error
        try:
            found = os.stat(name or b"/", dir_fd=descriptor, follow_symlinks=False)
            node = node_of(self._reader(plan), descriptor, name or b"/", found, before)
            return node if not node.flaw or _is_there(descriptor, name or b"/") else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(Why.OTHER, why(error)) from error
        finally:
            os.close(descriptor)

    def names(
        self, place: Place, names: Collection[bytes] | None, before: Mapping[bytes, Node], plan: TreePlan
    ) -> Directory:
        """Look at some names of one folder; see `contracts.trees.Trees.names`."""
        try:
            descriptor = open_folder(place.path)
        except OSError as error:
            return Directory(place.path, (), flaw_of(error))
        try:
            opened = os.fstat(descriptor)
            if place.inode and (opened.st_dev, opened.st_ino) != (place.device, place.inode):
                return Directory(place.path, (), SWAPPED)
            if plan.entering is not None:
                plan.entering(Place(place.path, opened.st_dev, opened.st_ino), descriptor)
            wanted = names
            if wanted is None:
                wanted = [os.fsencode(name) for name in os.listdir(descriptor)]  # noqa: PTH208  # by descriptor
            found = _some(self._reader(plan), place.path, descriptor, sorted(wanted), before)
            return Directory(place.path, tuple(found))
        except OSError as error:
            return Directory(place.path, (), why(error))
        finally:
            os.close(descriptor)

    def content(self, path: bytes, node: Node, max_bytes: int) -> bytes | None:
        """Return the content of the file that `node` describes; see `contracts.trees.Trees.content`."""
        if not stat.S_ISREG(node.mode) or node.size > max_bytes:
            return None
        try:
            descriptor = os.open(path, FILE)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino, found.st_ctime_ns) != (node.device, node.inode, node.ctime_ns):
                return None
            content = os.read(descriptor, max_bytes + 1)
            return content if len(content) == found.st_size else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def proof(self, path: bytes, nonce: bytes) -> bytes | None:
        """Return SHA-256 over the nonce and the file's present content; see `contracts.trees.Trees.proof`."""
        parent, _, name = path.rpartition(b"/")
        try:
            folder = open_folder(parent or b"/")
        except OSError:
            return None
        try:
            descriptor = os.open(name, FILE, dir_fd=folder)
        except OSError:
            return None
        finally:
            os.close(folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            digest = sha256(nonce)
            while part := os.read(descriptor, CHUNK):
                digest.update(part)
            return digest.digest()
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def notices(self) -> Notices:
        """Begin to hear of changes; raises `Unavailable`."""
        from host.tree_notices import LinuxNotices  # here: whoever only looks pays nothing for it

        return LinuxNotices()

    def _reader(self, plan: TreePlan) -> Reader:
        """Return this thread's reader, which holds a buffer."""
        reader: Reader | None = getattr(self._own, "reader", None)
        if reader is None or reader.plan is not plan:
            reader = self._own.reader = Reader(plan)
        return reader


def _some(
    reader: Reader, path: bytes, folder: int, names: Iterable[bytes], before: Mapping[bytes, Node]
) -> Iterator[Node]:
    base, excluded = path.rstrip(b"/") + b"/", reader.plan.excluded
    for name in names:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
            continue
        node = node_of(reader, folder, name, found, before.get(name))
        if not node.flaw or _is_there(folder, name):
            yield node


def _is_there(folder: int, name: bytes) -> bool:
    """Say whether a name that could not be looked at is there still: one that went meanwhile has no flaw, it is gone."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
