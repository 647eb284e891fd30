"""Walks trees of files: several folders are looked at together by threads, which let go of the interpreter while they read and hash.

What a thread opens is compared with what its parent listed (device and inode), so that a folder swapped for a link on the way is a flaw,
not a way out.
"""

import errno
import os
import queue
import resource
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from contracts.trees import GONE, SWAPPED, Directory, Node, Place, TreePlan
from host.file_digest import FILE, Reader, why
from host.turns import Turns

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
AHEAD = 64
"""Folders waiting for each thread."""
TOGETHER = 32
"""So many folders a thread hands over at once: each hand-over makes two threads change places."""
HELD_S = 0.02
"""No longer than this a folder waits for others."""
READ_AHEAD = 1 << 20
"""So much of a file is asked for before its turn comes; the kernel reads on by itself."""
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_FIRST = itemgetter(0)
_FOLDERS, _KIND = stat.S_IFDIR, 0o170000
Known = Callable[[bytes], tuple[Node, ...]]
_Found = list[tuple[Place, Directory]]


class _Task(NamedTuple):
    """One folder to look at."""

    place: Place
    before: tuple[Node, ...]


_Work = queue.SimpleQueue[_Task | None]
_Done = queue.SimpleQueue[_Found | BaseException]


class LinuxWalk:
    """Implements `contracts.trees.Walk`. For one thread, which iterates once."""

    def __init__(self, places: Sequence[Place], known: Known, plan: TreePlan) -> None:
        self._known = known
        self._plan = plan
        self._waiting = list(places)
        self._out: dict[bytes, Place] = {}
        self._work: _Work = queue.SimpleQueue()
        self._done: _Done = queue.SimpleQueue()
        self._turns = Turns()

    def left(self) -> list[Place]:
        """Return the folders that were not yielded yet."""
        return [*self._waiting, *self._out.values()]

    def __iter__(self) -> Iterator[Directory]:
        """Yield every folder."""
        threads = [
            threading.Thread(
                target=_Looker(self._work, self._done, self._plan, self._turns).run, name=f"tree-{number}", daemon=True
            )
            for number in range(self._plan.threads)
        ]
        for thread in threads:
            thread.start()
        self._turns.begin()  # whoever iterates needs the interpreter, too
        try:
            while self._waiting or self._out:
                self._hand_out()
                for place, directory in self._found():
                    del self._out[directory.path]
                    self._waiting.extend(_below(place, directory, self._plan))
                    yield directory
        finally:
            self._turns.end()
            for _ in threads:
                self._work.put(None)
            for thread in threads:
                thread.join()

    def _hand_out(self) -> None:
        """Have folders that wait looked at, as many as may be under way."""
        while self._waiting and len(self._out) < AHEAD * self._plan.threads:
            place = self._waiting.pop()
            self._out[place.path] = place
            task = _Task(place, self._known(place.path))
            if self._turns.is_slow():
                self._turns.looked(_read_ahead(task, self._plan))
            self._work.put(task)

    def _found(self) -> _Found:
        """Wait for what a thread has found, while others have the turn."""
        self._turns.end()
        try:
            found = self._done.get()
        finally:
            self._turns.begin()
        if isinstance(found, BaseException):
            raise found
        return found


def open_folder(path: bytes) -> int:
    """Open a folder name by name, so that no link on the way is followed; raises `OSError`."""
    descriptor = os.open(b"/", FOLDER)
    for name in path.split(b"/"):
        if name in (b"", b"."):
            continue
        try:
            below = os.open(name, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def flaw_of(error: OSError) -> str:
    """Return the flaw of a folder that could not be opened."""
    return GONE if error.errno == errno.ENOENT else why(error)


def _below(place: Place, directory: Directory, plan: TreePlan) -> Iterator[Place]:
    base = directory.path if directory.path.endswith(b"/") else directory.path + b"/"
    for node in directory.nodes:
        if node.mode & _KIND != _FOLDERS or (plan.one_filesystem and node.device != place.device):
            continue
        path = base + node.name
        if path not in plan.stops:
            yield Place(path, node.device, node.inode)


class _Looker:
    """One of the threads that look."""

    def __init__(self, work: _Work, done: _Done, plan: TreePlan, turns: Turns) -> None:
        self._work, self._done, self._plan, self._turns = work, done, plan, turns
        self._reader = Reader(plan, turns, before_huge=self._hand_over)
        self._found: _Found = []

    def run(self) -> None:
        """Look at folders until there is no task."""
        while (task := self._work.get()) is not None:
            self._turns.begin()
            try:
                self._look(task)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)
            finally:
                self._turns.end()
                self._hand_over()

    def _look(self, first: _Task) -> None:
        """Look at a folder, and at others that wait, as long as that takes next to no time."""
        began, blocks = time.monotonic(), _blocks()
        task: _Task | None = first
        while task is not None:
            seen = _look(task, self._reader, self._plan)  # which may hand over what was found so far
            self._found.append(seen)
            if not self._turns.is_slow():
                before, blocks = blocks, _blocks()
                self._turns.looked(blocks != before)
            if len(self._found) >= TOGETHER or time.monotonic() - began > HELD_S:
                return
            try:
                task = self._work.get_nowait()
            except queue.Empty:
                return
        self._work.put(None)  # it was the word to end, which `run` waits for

    def _hand_over(self) -> None:
        if self._found:
            self._done.put(self._found)
            self._found = []


def _blocks() -> int:
    """Return how many blocks this thread has had read from disks so far (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


def _read_ahead(task: _Task, plan: TreePlan) -> bool:
    """Have the kernel begin to read what a look at a folder is going to ask for; returns whether any of it was not in memory.

    Nothing of what is seen here is believed.
    """
    blocks = _blocks()
    try:
        descriptor = os.open(task.place.path, FOLDER)
    except OSError:
        return False  # the look says why
    try:
        opened = os.fstat(descriptor)
        if (opened.st_ino, opened.st_dev) == (task.place.inode, task.place.device):
            _read_files_ahead(task, descriptor, plan)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return _blocks() != blocks


def _read_files_ahead(task: _Task, folder: int, plan: TreePlan) -> None:
    base = task.place.path.rstrip(b"/") + b"/"
    known = frozenset[bytes]() if plan.read_again else frozenset(node.name for node in task.before)
    most = plan.hash_below if plan.hash_name else -1
    with os.scandir(folder) as listing:
        entries = [(entry.inode(), entry) for entry in listing]
    entries.sort(key=_FIRST)  # as they lie on the disk
    for _, entry in entries:
        name = os.fsencode(entry.name)
        try:
            found = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= most or name in known:
                continue
            if plan.excluded is not None and plan.excluded(base + name, False):
                continue
            descriptor = os.open(name, FILE, dir_fd=folder)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, READ_AHEAD, os.POSIX_FADV_WILLNEED)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _look(task: _Task, reader: Reader, plan: TreePlan) -> tuple[Place, Directory]:
    place = task.place
    try:
        descriptor = os.open(place.path, FOLDER) if place.inode else open_folder(place.path)
    except OSError as error:
        return place, Directory(place.path, (), flaw_of(error))
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
        yield node_of(reader, descriptor, name, found, before.get(name))


def node_of(reader: Reader, folder: int, name: bytes, found: os.stat_result, before: Node | None) -> Node:
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
