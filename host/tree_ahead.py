"""Keeps a slow disk busy: folders are listed, and files opened and asked of the disk, some time before their turn to be hashed comes.

A file is opened once: its descriptor waits, and what is hashed is what it leads to, as ever. So to ask costs one call of the kernel
more for each file. Waiting for a folder's names and for its inodes is done out of turn, everything else in turn (`host.turns`).
"""

import os
import queue
import resource
import stat
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from contracts.trees import Directory, Node, TreePlan
from host.direct_read import Devices
from host.file_digest import READ_AHEAD, Reader, ask, why
from host.tree_folders import FIRST, Done, Found, Task, below, encoded, enter, node_of
from host.tree_large import APART, Large, LargeFile, Listed
from host.turns import Turns, blocks

OPENERS = 6
"""Threads that list and ask: mostly they wait for the disk."""
MOST_OPEN = 192
"""So many small files wait open, at most; no more than a quarter of what the process may have open."""
BUNCH = 16
"""So many of them are passed on together: each time makes two threads change places."""
NEIGHBOURS = 6
"""Inodes whose numbers are the same but for so many bits come from the disk together, on any common file system."""


class File(NamedTuple):
    """A small file that waits open, its content on its way."""

    name: bytes
    found: os.stat_result
    descriptor: int


class Bunch(NamedTuple):
    """Files of one folder."""

    folder: Listed
    files: list[File]


Work = queue.SimpleQueue[Task | Bunch | None]


class Ahead:
    """Takes folders, and passes on their small files (`work`), and what is done (`done`). Its threads begin with the first folder."""

    def __init__(self, work: Work, done: Done, plan: TreePlan, turns: Turns) -> None:
        self._work, self._done, self._plan, self._turns = work, done, plan, turns
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._openers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._large = Large(done, plan, self._lock, self._freed)
        self._devices = Devices()
        self._open = 0
        self._most_open = max(1, min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._bunch = max(1, min(BUNCH, self._most_open // 8))
        self._room = threading.Event()
        self._is_over = False

    def put(self, task: Task) -> None:
        """Have a folder listed, and its files asked for."""
        if not self._openers:
            self._large.start()
            for number in range(OPENERS):
                thread = threading.Thread(target=self._run, name=f"ahead-{number}", daemon=True)
                thread.start()
                self._openers.append(thread)
        self._tasks.put(task)

    def aside(self) -> int:
        """Return how many folders wait for large files only, or nearly so."""
        return self._large.folders

    def finish(self, bunch: Bunch, reader: Reader) -> Found:
        """Hash and close files; returns their folder when that is done by this, else nothing."""
        nodes: list[Node] = []
        for name, found, descriptor in bunch.files:
            nodes.append(reader.finish(name, found, descriptor))
        with self._lock:
            self._open -= len(nodes)
            self._freed()
            is_whole = bunch.folder.come(*nodes)
            if is_whole:
                self._large.ended(bunch.folder)
        return [bunch.folder.found()] if is_whole else []

    def stop(self) -> None:
        """End, without what is not begun. Out of turn."""
        with self._lock:
            self._is_over = True
            self._room.set()
        for _ in self._openers:
            self._tasks.put(None)
        for thread in self._openers:
            thread.join()
        drop(self._work)
        self._large.stop()

    def _freed(self) -> None:
        """A file does not wait any more: there is room again when that is true of half of the small ones. With the lock held."""
        if not self._room.is_set() and self._open * 2 <= self._most_open and self._large.has_room():
            self._room.set()

    def _run(self) -> None:
        reader = Reader(self._plan)
        while (task := self._tasks.get()) is not None and not self._is_over:
            try:
                self._list(task, reader)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)

    def _list(self, task: Task, reader: Reader) -> None:
        before = blocks()
        entered = enter(task.place, self._plan)
        if isinstance(entered, Directory):
            self._done.put([(task.place, entered)])
            return
        place, descriptor = entered
        folder = Listed(place)
        try:
            with os.scandir(descriptor) as listing:
                first = next(listing, None)
                if first is not None:
                    _await(first)
                self._turns.begin()
                try:
                    has_waited = blocks() != before
                    self._turns.looked(has_waited)
                    if first is not None:
                        entries = _by_inode(first, listing)
                        if has_waited:
                            self._await_inodes(entries)
                        self._ask(task, folder, descriptor, entries, reader)
                finally:
                    self._turns.end()
        except OSError as error:
            folder.fail(why(error))
        finally:
            os.close(descriptor)
        with self._lock:
            is_whole = folder.come()
            if is_whole:
                self._large.ended(folder)
        if is_whole:
            self._done.put([folder.found()])

    def _await_inodes(self, entries: "list[tuple[int, os.DirEntry[str]]]") -> None:
        """Wait for the inodes of a folder that the disk does not bring along with others, and step aside for that."""
        heads = [entry for (before, _), (inode, entry) in pairwise(entries) if (before ^ inode) >> NEIGHBOURS]
        if not heads:
            return
        self._turns.end()
        try:
            for entry in heads:
                _await(entry)
        finally:
            self._turns.begin()

    def _ask(
        self,
        task: Task,
        folder: Listed,
        descriptor: int,
        entries: "list[tuple[int, os.DirEntry[str]]]",
        reader: Reader,
    ) -> None:
        known = {node.name: node for node in task.before}
        base, excluded = below(task.place.path), self._plan.excluded
        hashes, again = bool(self._plan.hash_name), self._plan.read_again
        bunch: list[File] = []
        try:
            for _, entry in entries:
                name, before = encoded(entry), None
                if known:
                    before = known.get(name)
                if hashes and (again or before is None) and entry.is_file(follow_symlinks=False):
                    if excluded is not None and excluded(base + name, False):
                        continue
                    if len(bunch) >= self._bunch or self._is_full(len(bunch)):
                        self._pass_on(folder, bunch)
                        bunch = []
                        self._wait_for_room()
                    if self._is_over:
                        return
                    if self._opened(folder, name, descriptor, reader, bunch):
                        continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
                    continue
                folder.add(node_of(reader, descriptor, name, found, before))
        finally:
            self._pass_on(folder, bunch)

    def _opened(self, folder: Listed, name: bytes, descriptor: int, reader: Reader, bunch: list[File]) -> bool:
        """Ask for a file and have it wait, a small one among `bunch`; returns whether it could be opened."""
        try:
            file = reader.open(name, descriptor)
        except OSError:
            return False  # to look at it says why
        try:
            found = os.fstat(file)
        except OSError:
            os.close(file)
            return False
        size = found.st_size
        if size and reader.wanted(found.st_mode, size):
            if size > APART:
                is_direct = not self._plan.read_again and self._devices.allow(file, found.st_dev)
                asked = 0 if is_direct else min(size, READ_AHEAD)
                self._large.put(LargeFile(folder, name, found, file, asked))
                return True
            ask(file, 0, size)
        bunch.append(File(name, found, file))
        return True

    def _pass_on(self, folder: Listed, bunch: list[File]) -> None:
        """Have files hashed that wait open."""
        if bunch:
            with self._lock:
                folder.expect(len(bunch))
                self._open += len(bunch)
            self._work.put(Bunch(folder, bunch))

    def _wait_for_room(self) -> None:
        """Step aside while too many wait."""
        while self._is_full():
            with self._lock:
                is_full = self._is_full() and not self._is_over
                if is_full:
                    self._room.clear()
            if not is_full:
                return
            self._turns.end()
            try:
                self._room.wait()
            finally:
                self._turns.begin()

    def _is_full(self, further: int = 0) -> bool:
        return self._open + further >= self._most_open or self._large.is_full()


def drop(items: Work) -> None:
    """Forget what waits, and close what is open of it."""
    while True:
        try:
            item = items.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, Bunch):
            for file in item.files:
                os.close(file.descriptor)


def _await(entry: "os.DirEntry[str]") -> None:
    """Have the kernel read the inode of an entry, and with it those around."""
    try:
        entry.stat(follow_symlinks=False)
    except OSError:
        return  # whoever asks next hears of it


def _by_inode(first: "os.DirEntry[str]", others: "Iterator[os.DirEntry[str]]") -> "list[tuple[int, os.DirEntry[str]]]":
    """Return entries as they lie on the disk, with the numbers of their inodes."""
    entries = [(first.inode(), first), *((entry.inode(), entry) for entry in others)]
    entries.sort(key=FIRST)
    return entries
