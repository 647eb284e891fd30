"""Looks at trees of files: every folder once, by descriptor, never following a link, never waiting for a FIFO or a device.

Several folders are looked at together by threads: reading and hashing let go of the interpreter. What a thread opens is compared with what
its parent listed (device and inode), so that a folder swapped for a link on the way is a flaw, not a way out.
"""

import errno
import os
import queue
import stat
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from operator import itemgetter

from contracts.errors import Unavailable, Why
from contracts.trees import GONE, SWAPPED, Directory, Node, Notices, Place, TreePlan
from host.file_digest import CHUNK, Reader, why

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
AHEAD = 16
"""Folders waiting for each thread."""
TOGETHER = 8
"""So many folders a thread hands over at once: each hand-over makes two threads change places."""
HELD_S = 0.02
"""No longer than this a folder waits for others."""
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_FIRST = itemgetter(0)
Known = Callable[[bytes], tuple[Node, ...]]


_Found = list[tuple[Place, Directory]]


class _Task:
    """One folder to look at."""

    __slots__ = ("before", "place")

    def __init__(self, place: Place, before: tuple[Node, ...]) -> None:
        self.place = place
        self.before = before


class LinuxTrees:
    """Implements `contracts.trees.Trees`."""

    def __init__(self) -> None:
        self._own = threading.local()

    def walk(self, places: Sequence[Place], known: Known, plan: TreePlan) -> "LinuxWalk":
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
            return _node(self._reader(plan), descriptor, name or b"/", found, before)
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
            return Directory(place.path, (), _flaw(error))
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
            descriptor = os.open(path, _FILE)
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
            descriptor = os.open(name, _FILE, dir_fd=folder)
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


class LinuxWalk:
    """Implements `contracts.trees.Walk`. For one thread, which iterates once."""

    def __init__(self, places: Sequence[Place], known: Known, plan: TreePlan) -> None:
        self._known = known
        self._plan = plan
        self._waiting = list(places)
        self._out: dict[bytes, Place] = {}
        self._work: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Found | BaseException] = queue.SimpleQueue()

    def left(self) -> list[Place]:
        """Return the folders that were not yielded yet."""
        return [*self._waiting, *self._out.values()]

    def __iter__(self) -> Iterator[Directory]:
        """Yield every folder."""
        threads = [
            threading.Thread(target=_serve, args=(self._work, self._done, self._plan), name=f"tree-{n}", daemon=True)
            for n in range(self._plan.threads)
        ]
        for thread in threads:
            thread.start()
        try:
            while self._waiting or self._out:
                while self._waiting and len(self._out) < AHEAD * self._plan.threads:
                    place = self._waiting.pop()
                    self._out[place.path] = place
                    self._work.put(_Task(place, self._known(place.path)))
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                for place, directory in found:
                    del self._out[directory.path]
                    self._waiting.extend(_below(place, directory, self._plan))
                    yield directory
        finally:
            for _ in threads:
                self._work.put(None)
            for thread in threads:
                thread.join()


def open_folder(path: bytes) -> int:
    """Open a folder name by name, so that no link on the way is followed; raises `OSError`."""
    descriptor = os.open(b"/", _FOLDER)
    for name in path.split(b"/"):
        if name in (b"", b"."):
            continue
        try:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


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
        yield _node(reader, folder, name, found, before.get(name))


def _below(place: Place, directory: Directory, plan: TreePlan) -> Iterator[Place]:
    base = directory.path if directory.path.endswith(b"/") else directory.path + b"/"
    for node in directory.nodes:
        if node.mode & 0o170000 != stat.S_IFDIR or (plan.one_filesystem and node.device != place.device):
            continue
        path = base + node.name
        if path not in plan.stops:
            yield Place(path, node.device, node.inode)


def _serve(
    work: "queue.SimpleQueue[_Task | None]", done: "queue.SimpleQueue[_Found | BaseException]", plan: TreePlan
) -> None:
    """Look at folders and hand over what was found of several together, but hold nothing back while waiting or reading for long."""
    found: _Found = []
    began = 0.0

    def hand_over() -> None:
        if found:
            done.put(found.copy())
            found.clear()

    reader = Reader(plan, before_large=hand_over)
    while True:
        try:
            task = work.get_nowait()
        except queue.Empty:
            hand_over()
            task = work.get()
        if task is None:
            return
        began = began if found else time.monotonic()
        try:
            found.append(_look(task, reader, plan))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
            done.put(error)
        if len(found) >= TOGETHER or time.monotonic() - began > HELD_S:
            hand_over()


def _look(task: _Task, reader: Reader, plan: TreePlan) -> tuple[Place, Directory]:
    place = task.place
    try:
        descriptor = os.open(place.path, _FOLDER) if place.inode else open_folder(place.path)
    except OSError as error:
        return place, Directory(place.path, (), _flaw(error))
    try:
        opened = os.fstat(descriptor)
        if place.inode and (opened.st_ino, opened.st_dev) != (place.inode, place.device):
            return place, Directory(place.path, (), SWAPPED)
        place = Place(place.path, opened.st_dev, opened.st_ino)
        if plan.entering is not None:
            plan.entering(place, descriptor)
        return place, Directory(place.path, tuple(_nodes(task, descriptor, reader, plan)))
    except OSError as error:
        return place, Directory(place.path, (), why(error))
    finally:
        os.close(descriptor)


def _flaw(error: OSError) -> str:
    return GONE if error.errno == errno.ENOENT else why(error)


def _nodes(task: _Task, descriptor: int, reader: Reader, plan: TreePlan) -> Iterator[Node]:
    before = {node.name: node for node in task.before}
    path = task.place.path
    base = path if path.endswith(b"/") else path + b"/"
    excluded = plan.excluded
    with os.scandir(descriptor) as listing:
        entries = [
            (entry.name.encode(_ENCODING, _ERRORS), entry) for entry in listing
        ]  # as os.fsencode, in half the time
    entries.sort(key=_FIRST)
    for name, entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
            continue
        yield _node(reader, descriptor, name, found, before.get(name))


def _node(reader: Reader, folder: int, name: bytes, found: os.stat_result, before: Node | None) -> Node:
    """Return what is known of a name where nothing about it differs, else what is there now."""
    if (
        before is None
        or reader.plan.read_again
        or before.flaw
        or before.ctime_ns != found.st_ctime_ns
        or before.mtime_ns != found.st_mtime_ns
        or before.size != found.st_size
        or before.inode != found.st_ino
        or before.mode != found.st_mode
        or before.device != found.st_dev
        or before.uid != found.st_uid
        or before.gid != found.st_gid
    ):
        return reader.complete(name, found, folder)
    if not before.content and reader.wanted(found.st_mode, found.st_size):  # hashing was switched on meanwhile
        return reader.complete(name, found, folder)
    return before if before.links == found.st_nlink else _with_links(before, found.st_nlink)


def _with_links(node: Node, links: int) -> Node:
    fields = [getattr(node, name) for name in Node.__struct_fields__]
    fields[Node.__struct_fields__.index("links")] = links
    return Node(*fields)
