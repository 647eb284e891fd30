"""Large files that wait open to be hashed: out of turn, in the order in which they came, while small ones go on.

Hashing fills a processor or two, looking at small files another, and neither comes in even parts. So many large files may wait: they
cost a descriptor each. They are read past the page cache (`host.direct_read`) by more threads than there is work for, some of which wait
for the disk; where that cannot be, the disk is asked ahead for those whose turn is near.
"""

import os
import queue
import resource
import threading
from collections import deque
from collections.abc import Callable

from contracts.trees import Directory, Node, Place, TreePlan
from host.direct_read import Direct
from host.file_digest import Reader, ask
from host.tree_folders import Done

APART = 1 << 17
"""Files of more bytes than this wait here: 2 % of those of a system hold 85 % of its bytes, so that much of its hashing can wait."""
WAITING = 4
"""So many threads more than the plan has, at most twice as many in all: while some hash, the others wait for the disk."""
MOST_LARGE = 2048
"""So many wait open, at most; no more than half of what the process may have open."""
MOST_ASKED = 64 << 20
"""So many bytes of them, at most, are asked for, but at least one file."""


class Listed:
    """A folder some of whose files wait to be hashed."""

    def __init__(self, place: Place) -> None:
        self.has_large = False
        self._place = place
        self._nodes: list[Node] = []
        self._flaw = ""
        self._left = 1  # the listing itself

    def expect(self, count: int = 1) -> None:
        """So many more nodes will come."""
        self._left += count

    def add(self, node: Node) -> None:
        """Here is one that nobody waits for."""
        self._nodes.append(node)

    def fail(self, flaw: str) -> None:
        """Nothing can be said of its nodes."""
        self._flaw = flaw

    def come(self, *nodes: Node) -> bool:
        """Here are some that were expected, or (without any) the end of the listing; returns whether that was the last."""
        self._nodes += nodes
        self._left -= len(nodes) or 1
        return not self._left

    def found(self) -> tuple[Place, Directory]:
        """Return the folder, with its nodes by name."""
        if self._flaw:
            return self._place, Directory(self._place.path, (), self._flaw)
        return self._place, Directory(self._place.path, tuple(sorted(self._nodes, key=_name)))


class LargeFile:
    """One that waits open; `asked` bytes of it are to be asked for, 0 where it is read past the page cache."""

    __slots__ = ("asked", "descriptor", "folder", "found", "is_asked", "is_taken", "name")

    def __init__(self, folder: Listed, name: bytes, found: os.stat_result, descriptor: int, asked: int) -> None:
        self.folder, self.name, self.found, self.descriptor, self.asked = folder, name, found, descriptor, asked
        self.is_asked = self.is_taken = False


class Large:
    """Hashes large files in threads of its own; whole folders go to `done`.

    `lock` guards what counts folders and files; `freed` is called with it held when a file does not wait any more.
    """

    def __init__(self, done: Done, plan: TreePlan, lock: threading.Lock, freed: Callable[[], None]) -> None:
        self.folders = 0
        """Folders that wait for large files, or did so a moment ago."""
        self._done, self._plan, self._lock, self._freed = done, plan, lock, freed
        self._waiting: queue.SimpleQueue[LargeFile | None] = queue.SimpleQueue()
        self._unasked: deque[LargeFile] = deque()
        self._asking = threading.Lock()
        self._held = self._asked = 0
        self._most = max(1, min(MOST_LARGE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for number in range(self._plan.threads + min(self._plan.threads, WAITING)):
            thread = threading.Thread(target=self._run, name=f"hash-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def is_full(self) -> bool:
        """Say whether no more may wait."""
        return self._held >= self._most

    def has_room(self) -> bool:
        """Say whether there is room for more than one or two."""
        return self._held * 8 <= self._most * 7

    def put(self, file: LargeFile) -> None:
        """Have a file hashed and closed."""
        with self._lock:
            self._held += 1
            file.folder.expect()
            if not file.folder.has_large:
                file.folder.has_large = True
                self.folders += 1
        self._unasked.append(file)
        self._waiting.put(file)

    def ended(self, folder: Listed) -> None:
        """A folder is whole. With the lock held."""
        self.folders -= folder.has_large

    def stop(self) -> None:
        """End, without the files that were not begun; nobody may put one meanwhile."""
        while True:
            try:
                file = self._waiting.get_nowait()
            except queue.Empty:
                break
            if file is not None:
                with self._asking:
                    file.is_taken = True
                os.close(file.descriptor)
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            # To read everything again is to find what metadata does not tell of: then what programs are given counts, not the disk.
            direct = None if self._plan.read_again else Direct()
            reader = Reader(self._plan, is_slow=lambda: True, direct=direct)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
            self._done.put(error)
            return
        while (file := self._waiting.get()) is not None:
            try:
                self._ask(file)
                self._finish(file, reader)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)

    def _ask(self, file: LargeFile) -> None:
        """Ask the disk for a file whose turn has come, and for those after it, as far as there is room.

        None of those is closed meanwhile: whoever takes it comes by here first.
        """
        with self._asking:
            file.is_taken = True
            if not file.is_asked:
                self._ask_one(file)
            while self._unasked and self._asked < MOST_ASKED:
                following = self._unasked.popleft()
                if not following.is_taken:
                    self._ask_one(following)

    def _ask_one(self, file: LargeFile) -> None:
        file.is_asked = True
        if file.asked:
            self._asked += file.asked
            ask(file.descriptor, 0, file.asked)

    def _finish(self, file: LargeFile, reader: Reader) -> None:
        node = reader.finish(file.name, file.found, file.descriptor)
        with self._asking:
            self._asked -= file.asked
        with self._lock:
            self._held -= 1
            is_whole = file.folder.come(node)
            if is_whole:
                self.ended(file.folder)
            self._freed()
        if is_whole:
            self._done.put([file.folder.found()])


def _name(node: Node) -> bytes:
    return node.name
