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
from host.file_digest import Reader, why
from host.turns import Turns

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
AHEAD = 64
"""Folders waiting for each thread."""
TOGETHER = 32
"""So many folders a thread hands over at once: each hand-over makes two threads change places."""
HELD_S = 0.02
"""No longer than this a folder waits for others."""
MORE = 4
"""So many times as many threads look while disks are waited for."""
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
        self._threads: list[threading.Thread] = []

    def left(self) -> list[Place]:
        """Return the folders that were not yielded yet."""
        return [*self._waiting, *self._out.values()]

    def __iter__(self) -> Iterator[Directory]:
        """Yield every folder."""
        self._start(self._plan.threads)
        try:
            while self._waiting or self._out:
                while self._waiting and len(self._out) < AHEAD * self._plan.threads:
                    place = self._waiting.pop()
                    self._out[place.path] = place
                    self._work.put(_Task(place, self._known(place.path)))
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                if self._turns.is_slow():
                    self._start(MORE * self._plan.threads)
                self._turns.begin()  # whoever iterates needs the interpreter, too
                try:
                    for place, directory in found:
                        del self._out[directory.path]
                        self._waiting.extend(_below(place, directory, self._plan))
                        yield directory
                finally:
                    self._turns.end()
        finally:
            for _ in self._threads:
                self._work.put(None)
            for thread in self._threads:
                thread.join()

    def _start(self, count: int) -> None:
        """Have so many threads at work; those that others do not need end by themselves."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for number in range(len(self._threads), count):
            looker = _Looker(self._work, self._done, self._plan, self._turns, number >= self._plan.threads)
            thread = threading.Thread(target=looker.run, name=f"tree-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()


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

    def __init__(self, work: _Work, done: _Done, plan: TreePlan, turns: Turns, is_spare: bool) -> None:
        self._work, self._done, self._plan, self._turns, self._is_spare = work, done, plan, turns, is_spare
        self._reader = Reader(plan, turns, before_huge=self._hand_over)
        self._found: _Found = []

    def run(self) -> None:
        """Look at folders until there is no task, or no need for one more thread."""
        while (task := self._work.get()) is not None:
            blocks = _blocks()
            if self._turns.is_slow():
                _warm(task.place)
            self._turns.begin()
            try:
                self._look(task, blocks)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)
            finally:
                self._turns.end()
                self._hand_over()
            if self._is_spare and not self._turns.is_slow():
                return

    def _look(self, first: _Task, blocks: int) -> None:
        """Look at a folder, and at others that wait, as long as that takes next to no time."""
        began = time.monotonic()
        task: _Task | None = first
        while task is not None:
            seen = _look(task, self._reader, self._plan)  # which may hand over what was found so far
            self._found.append(seen)
            before, blocks = blocks, _blocks()
            self._turns.looked(blocks != before)
            if len(self._found) >= TOGETHER or time.monotonic() - began > HELD_S or self._turns.is_slow():
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


def _warm(place: Place) -> None:
    """Have the kernel read a folder and the inodes of all names in it; nothing of it is believed."""
    try:
        descriptor = os.open(place.path, _FOLDER)
    except OSError:
        return  # the look says why
    try:
        opened = os.fstat(descriptor)
        if (opened.st_ino, opened.st_dev) != (place.inode, place.device):
            return
        with os.scandir(descriptor) as listing:
            for entry in listing:
                entry.stat(follow_symlinks=False)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _look(task: _Task, reader: Reader, plan: TreePlan) -> tuple[Place, Directory]:
    place = task.place
    try:
        descriptor = os.open(place.path, _FOLDER) if place.inode else open_folder(place.path)
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
