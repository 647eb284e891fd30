"""Keeps a slow disk busy: folders are listed, and files opened and asked of the disk, some time before their turn to be hashed comes.

A file is opened once: its descriptor waits, and what is hashed is what it leads to, as ever. So to ask costs one call of the kernel
more for each file. Waiting for a folder's names and for its inodes is done out of turn, everything else in turn (`host.turns`).
"""

import os
import queue
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from contracts.trees import Directory, Node, Place, TreePlan
from host.file_digest import READ_AHEAD, Reader, ask, why
from host.tree_folders import FIRST, Found, Task, below, encoded, enter, node_of
from host.turns import Turns

OPENERS = 2
"""Threads that list and ask: mostly they wait for the disk."""
MOST_OPEN = 192
"""So many files wait open, at most; no more than a quarter of what the process may have open."""
MOST_ASKED = 128 << 20
"""So many bytes of them, at most, are asked for."""


class Listed:
    """A folder some of whose files wait to be hashed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._nodes: list[Node] = []
        self._flaw = ""
        self._left = 1  # the listing itself

    def expect(self) -> None:
        """One more node will come."""
        self._left += 1

    def add(self, node: Node) -> None:
        """Here is one that nobody waits for."""
        self._nodes.append(node)

    def fail(self, flaw: str) -> None:
        """Nothing can be said of its nodes."""
        self._flaw = flaw

    def come(self, node: Node | None = None) -> bool:
        """Here is one that was expected, or the end of the listing; returns whether that was the last."""
        if node is not None:
            self._nodes.append(node)
        self._left -= 1
        return not self._left

    def found(self) -> tuple[Place, Directory]:
        """Return the folder, with its nodes by name."""
        if self._flaw:
            return self._place, Directory(self._place.path, (), self._flaw)
        return self._place, Directory(self._place.path, tuple(sorted(self._nodes, key=_name)))


class Opened(NamedTuple):
    """A file that waits open, its content on its way."""

    folder: Listed
    name: bytes
    found: os.stat_result
    descriptor: int
    asked: int


Work = queue.SimpleQueue[Task | Opened | None]
Done = queue.SimpleQueue[Found | BaseException]


class Ahead:
    """Takes folders, and passes on their small files (`work`), and what is done (`done`). Its threads begin with the first folder."""

    def __init__(self, work: Work, done: Done, plan: TreePlan, turns: Turns) -> None:
        self._work, self._done, self._plan, self._turns = work, done, plan, turns
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._large: queue.SimpleQueue[Opened | None] = queue.SimpleQueue()
        self._openers: list[threading.Thread] = []
        self._hashers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._open = self._asked = 0
        self._most_open = max(1, min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._room = threading.Event()
        self._is_over = False

    def put(self, task: Task) -> None:
        """Have a folder listed, and its files asked for."""
        if not self._openers:
            self._openers = [_thread(self._run, f"ahead-{number}") for number in range(OPENERS)]
            self._hashers = [_thread(self._hash_large, f"hash-{number}") for number in range(self._plan.threads)]
        self._tasks.put(task)

    def finish(self, file: Opened, reader: Reader) -> Found:
        """Hash and close a file; returns its folder when that is done by this, else nothing."""
        node = reader.finish(file.name, file.found, file.descriptor)
        with self._lock:
            self._open -= 1
            self._asked -= file.asked
            if self._open * 2 <= self._most_open and self._asked * 2 <= MOST_ASKED and not self._room.is_set():
                self._room.set()
            is_whole = file.folder.come(node)
        return [file.folder.found()] if is_whole else []

    def stop(self) -> None:
        """End, without what is not begun. Out of turn."""
        with self._lock:
            self._is_over = True
            self._room.set()
        for _ in self._openers:
            self._tasks.put(None)
        for thread in self._openers:
            thread.join()
        drop(self._large)
        drop(self._work)
        for _ in self._hashers:
            self._large.put(None)
        for thread in self._hashers:
            thread.join()

    def _hash_large(self) -> None:
        reader = Reader(self._plan, is_slow=lambda: True)
        while (file := self._large.get()) is not None:
            try:
                if found := self.finish(file, reader):
                    self._done.put(found)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)

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
                    self._turns.looked(blocks() != before)
                    if first is not None:
                        self._ask(task, folder, descriptor, _by_inode(first, listing), reader)
                finally:
                    self._turns.end()
        except OSError as error:
            folder.fail(why(error))
        finally:
            os.close(descriptor)
        with self._lock:
            is_whole = folder.come()
        if is_whole:
            self._done.put([folder.found()])

    def _ask(
        self, task: Task, folder: Listed, descriptor: int, entries: "list[os.DirEntry[str]]", reader: Reader
    ) -> None:
        known = {node.name: node for node in task.before}
        base, excluded = below(task.place.path), self._plan.excluded
        hashes, again = bool(self._plan.hash_name), self._plan.read_again
        for entry in entries:
            name, before = encoded(entry), None
            if known:
                before = known.get(name)
            if hashes and (again or before is None) and entry.is_file(follow_symlinks=False):
                if excluded is not None and excluded(base + name, False):
                    continue
                self._wait_for_room()
                if self._is_over:
                    return
                if self._opened(folder, name, descriptor, reader):
                    continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if excluded is not None and excluded(base + name, stat.S_ISDIR(found.st_mode)):
                continue
            folder.add(node_of(reader, descriptor, name, found, before))

    def _opened(self, folder: Listed, name: bytes, descriptor: int, reader: Reader) -> bool:
        """Ask for a file and pass it on; returns whether it could be opened."""
        try:
            file = reader.open(name, descriptor)
        except OSError:
            return False  # to look at it says why
        try:
            found = os.fstat(file)
        except OSError:
            os.close(file)
            return False
        asked = min(found.st_size, READ_AHEAD) if reader.wanted(found.st_mode, found.st_size) else 0
        if asked:
            ask(file, 0, asked)
        with self._lock:
            folder.expect()
            self._open += 1
            self._asked += asked
        (self._large if asked > reader.large else self._work).put(Opened(folder, name, found, file, asked))
        return True

    def _wait_for_room(self) -> None:
        """Step aside while too much is asked for."""
        while self._is_full():
            self._turns.end()
            try:
                self._room.wait()
            finally:
                self._turns.begin()

    def _is_full(self) -> bool:
        if self._open < self._most_open and self._asked < MOST_ASKED:
            return False
        with self._lock:
            is_full = (self._open >= self._most_open or self._asked >= MOST_ASKED) and not self._is_over
            if is_full:
                self._room.clear()
            return is_full


def drop(items: "queue.SimpleQueue[Opened | None] | Work") -> None:
    """Forget what waits, and close what is open of it."""
    while True:
        try:
            item = items.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, Opened):
            os.close(item.descriptor)


def _thread(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def blocks() -> int:
    """Return how many blocks this thread has had read from disks so far (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


def _await(entry: "os.DirEntry[str]") -> None:
    """Have the kernel read the inode of an entry, and with it those around."""
    try:
        entry.stat(follow_symlinks=False)
    except OSError:
        return  # whoever asks next hears of it


def _by_inode(first: "os.DirEntry[str]", others: "Iterator[os.DirEntry[str]]") -> "list[os.DirEntry[str]]":
    """Return entries as they lie on the disk."""
    entries = [(first.inode(), first), *((entry.inode(), entry) for entry in others)]
    entries.sort(key=FIRST)
    return [entry for _, entry in entries]


def _name(node: Node) -> bytes:
    return node.name
