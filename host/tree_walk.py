"""Walks trees of files: several folders are looked at together by threads, which let go of the interpreter while they read and hash.

Where most folders have to be read from a disk, they come to these threads by way of others, which keep it busy (`host.tree_ahead`).
"""

import queue
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from contracts.trees import Directory, Node, Place, TreePlan
from host.file_digest import Reader
from host.tree_ahead import Ahead, Bunch, Work
from host.tree_folders import Done, Found, Task, below, look
from host.turns import Turns, blocks

AHEAD = 64
"""Folders waiting for each thread."""
TOGETHER = 32
"""So many folders a thread hands over at once: each hand-over makes two threads change places."""
HELD_S = 0.02
"""No longer than this a folder waits for others."""
_FOLDERS, _KIND = stat.S_IFDIR, 0o170000
Known = Callable[[bytes], tuple[Node, ...]]


class LinuxWalk:
    """Implements `contracts.trees.Walk`. For one thread, which iterates once."""

    def __init__(self, places: Sequence[Place], known: Known, plan: TreePlan) -> None:
        self._known = known
        self._plan = plan
        self._waiting: tuple[list[Place], list[Place]] = (list(places), [])
        self._side = 0
        self._out: dict[bytes, tuple[Place, int]] = {}
        self._work: Work = queue.SimpleQueue()
        self._done: Done = queue.SimpleQueue()
        self._turns = Turns(suppose_slow=plan.threads > 1)  # with one, a folder that has just come is looked at
        self._ahead = Ahead(self._work, self._done, plan, self._turns)

    def left(self) -> list[Place]:
        """Return the folders that were not yielded yet."""
        return [*self._waiting[0], *self._waiting[1], *(place for place, _ in self._out.values())]

    def __iter__(self) -> Iterator[Directory]:
        """Yield every folder."""
        threads = [
            threading.Thread(
                target=_Looker(self._work, self._done, self._plan, self._turns, self._ahead).run,
                name=f"tree-{number}",
                daemon=True,
            )
            for number in range(self._plan.threads)
        ]
        for thread in threads:
            thread.start()
        self._turns.begin()  # whoever iterates needs the interpreter, too
        try:
            while any(self._waiting) or self._out:
                self._hand_out()
                for place, directory in self._found():
                    self._waiting[self._out.pop(directory.path)[1]].extend(_below(place, directory, self._plan))
                    yield directory
        finally:
            self._turns.end()
            self._ahead.stop()
            for _ in threads:
                self._work.put(None)
            for thread in threads:
                thread.join()

    def _hand_out(self) -> None:
        """Have folders that wait looked at, as many as may be under way."""
        while any(self._waiting) and len(self._out) - self._ahead.aside() < AHEAD * self._plan.threads:
            place = self._next()
            self._out[place.path] = place, self._side
            task = Task(place, self._known(place.path))
            if self._turns.is_slow():
                self._ahead.put(task)
            else:
                self._work.put(task)

    def _next(self) -> Place:
        """Take a folder from one of two places by turns: while there are many small files in one, there may be large ones in the other.

        Hashing large files takes one processor, and looking at small ones another.
        """
        self._side = 1 - self._side
        side, other = self._waiting[self._side], self._waiting[1 - self._side]
        return side.pop() if side else other.pop(0)

    def _found(self) -> Found:
        """Wait for what a thread has found, while others have the turn."""
        self._turns.end()
        try:
            found = self._done.get()
        finally:
            self._turns.begin()
        if isinstance(found, BaseException):
            raise found
        return found


def _below(place: Place, directory: Directory, plan: TreePlan) -> Iterator[Place]:
    base = below(directory.path)
    for node in directory.nodes:
        if node.mode & _KIND != _FOLDERS or (plan.one_filesystem and node.device != place.device):
            continue
        path = base + node.name
        if path not in plan.stops:
            yield Place(path, node.device, node.inode)


class _Looker:
    """One of the threads that look."""

    def __init__(self, work: Work, done: Done, plan: TreePlan, turns: Turns, ahead: Ahead) -> None:
        self._work, self._done, self._turns, self._ahead = work, done, turns, ahead
        self._reader = Reader(plan, turns, before_huge=self._hand_over)
        self._found: Found = []

    def run(self) -> None:
        """Look at folders, and at files that wait open, until there is none."""
        while (item := self._work.get()) is not None:
            self._turns.begin()
            try:
                self._look(item)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits for it
                self._done.put(error)
            finally:
                self._turns.end()
                self._hand_over()

    def _look(self, first: Task | Bunch) -> None:
        """Look at one, and at others that wait, as long as that takes next to no time."""
        began = time.monotonic()
        item: Task | Bunch | None = first
        while item is not None:
            if isinstance(item, Bunch):
                found = self._ahead.finish(item, self._reader)  # which may hand over what was found so far
                self._found += found
            else:
                self._folder(item)
            if len(self._found) >= TOGETHER or time.monotonic() - began > HELD_S:
                return
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return
        self._work.put(None)  # it was the word to end, which `run` waits for

    def _folder(self, task: Task) -> None:
        before = blocks()
        seen = look(task, self._reader)  # which may hand over what was found so far
        self._found.append(seen)
        self._turns.looked(blocks() != before)

    def _hand_over(self) -> None:
        if self._found:
            self._done.put(self._found)
            self._found = []
