"""Looks at trees of files: every folder once, by descriptor, never following a link, never waiting for a FIFO or a device.

Several folders are looked at together by threads: reading and hashing let go of the interpreter. What a thread opens is compared with what
its parent listed (device and inode), so that a folder swapped for a link on the way is a flaw, not a way out.
"""

import errno
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterable, Iterator

from contracts.errors import Unavailable, Why
from contracts.trees import Directory, Node, TreePlan
from host.file_digest import Reader, why

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
AHEAD = 16
"""Folders waiting for each thread."""
GONE = "gone"
"""The flaw of a folder that vanished between being listed and being looked at."""

Known = Callable[[bytes], tuple[Node, ...]]


class _Task:
    """One folder to look at: `device` and `inode` as its parent listed them, 0 when nobody did."""

    __slots__ = ("before", "device", "inode", "path")

    def __init__(self, path: bytes, device: int, inode: int, before: tuple[Node, ...]) -> None:
        self.path = path
        self.device = device
        self.inode = inode
        self.before = before


class LinuxTrees:
    """Implements `contracts.trees.Trees`."""

    def walk(self, roots: Iterable[bytes], known: Known, plan: TreePlan) -> Iterator[Directory]:
        """Yield every folder below the roots; see `contracts.trees.Trees.walk`."""
        for root in roots:
            try:
                found = os.lstat(root)
            except OSError as error:
                yield Directory(root, (), GONE if error.errno == errno.ENOENT else why(error))
                continue
            if not stat.S_ISDIR(found.st_mode):
                parent, _, name = root.rpartition(b"/")
                before = next((node for node in known(parent or b"/") if node.name == name), None)
                node = self.node(root, plan, before)
                if node is not None:
                    yield Directory(parent or b"/", (node,))
                continue
            yield from _walk(root, found, known, plan)

    def node(self, path: bytes, plan: TreePlan, before: Node | None = None) -> Node | None:
        """Look at one name; None when there is none; raises `Unavailable` when it cannot be looked at."""
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
        try:
            descriptor = os.open(parent or b"/", _FOLDER)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise Unavailable(Why.PERMISSION, why(error)) from error
        try:
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return None
            return _node(Reader(plan), descriptor, name, found, before)
        finally:
            os.close(descriptor)


def _walk(root: bytes, found: os.stat_result, known: Known, plan: TreePlan) -> Iterator[Directory]:
    work: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Directory | BaseException] = queue.SimpleQueue()
    device = found.st_dev if plan.one_filesystem else 0
    threads = [
        threading.Thread(target=_serve, args=(work, done, plan), name=f"tree-{n}", daemon=True)
        for n in range(plan.threads)
    ]
    for thread in threads:
        thread.start()
    waiting = [(root, found.st_dev, found.st_ino)]
    out = 0
    try:
        while waiting or out:
            while waiting and out < AHEAD * plan.threads:
                path, parent_device, inode = waiting.pop()
                work.put(_Task(path, parent_device, inode, known(path)))
                out += 1
            directory = done.get()
            out -= 1
            if isinstance(directory, BaseException):
                raise directory
            waiting.extend(_below(directory, device))
            yield directory
    finally:
        for _ in threads:
            work.put(None)
        for thread in threads:
            thread.join()


def _below(directory: Directory, device: int) -> Iterator[tuple[bytes, int, int]]:
    base = directory.path if directory.path.endswith(b"/") else directory.path + b"/"
    for node in directory.nodes:
        if node.mode & 0o170000 == stat.S_IFDIR and device in (0, node.device):
            yield base + node.name, node.device, node.inode


def _serve(
    work: "queue.SimpleQueue[_Task | None]",
    done: "queue.SimpleQueue[Directory | BaseException]",
    plan: TreePlan,
) -> None:
    reader = Reader(plan)
    while (task := work.get()) is not None:
        try:
            done.put(_look(task, reader, plan))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
            done.put(error)


def _look(task: _Task, reader: Reader, plan: TreePlan) -> Directory:
    try:
        descriptor = os.open(task.path, _FOLDER)
    except OSError as error:
        return Directory(task.path, (), GONE if error.errno == errno.ENOENT else why(error))
    try:
        opened = os.fstat(descriptor)
        if task.inode and (opened.st_ino, opened.st_dev) != (task.inode, task.device):
            return Directory(task.path, (), "another folder stands there now than was listed")
        return Directory(task.path, tuple(_nodes(task, descriptor, reader, plan)))
    except OSError as error:
        return Directory(task.path, (), why(error))
    finally:
        os.close(descriptor)


def _nodes(task: _Task, descriptor: int, reader: Reader, plan: TreePlan) -> Iterator[Node]:
    before = {node.name: node for node in task.before}
    base = task.path if task.path.endswith(b"/") else task.path + b"/"
    excluded = plan.excluded
    with os.scandir(descriptor) as listing:
        entries = [(os.fsencode(entry.name), entry) for entry in listing]
    entries.sort(key=_first)
    for name, entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
            continue
        yield _node(reader, descriptor, name, found, before.get(name))


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]


def _node(reader: Reader, folder: int, name: bytes, found: os.stat_result, before: Node | None) -> Node:
    mode = found.st_mode
    seen = Node(
        name,
        mode,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_dev,
        found.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0,
    )
    if before is None or reader.plan.read_again or before.flaw or not before.same_metadata(seen):
        return reader.complete(seen, folder)
    if not before.content and reader.wanted(mode, found.st_size):  # hashing was switched on meanwhile
        return reader.complete(seen, folder)
    return before if before.links == seen.links else _with_links(before, seen.links)


def _with_links(node: Node, links: int) -> Node:
    fields = [getattr(node, name) for name in Node.__struct_fields__]
    fields[Node.__struct_fields__.index("links")] = links
    return Node(*fields)
