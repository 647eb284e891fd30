"""One full look at the watched trees, in a thread of its own: folders come out one by one, with where it would go on after them.

It does not look on while what it handed over is compared: both need the interpreter, and two threads that do change places all the time.
"""

import queue
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from collectors.integrity import giving_way
from collectors.integrity.book import Book
from collectors.integrity.pace import Pacer
from collectors.integrity.rules import Rules
from contracts.trees import Directory, Node, Place, TreePlan, Trees

TOGETHER = 64
"""So many folders are handed over at once: each hand-over makes two threads change places."""
HELD_S = 0.05
"""No longer than this a folder waits for others."""
AHEAD = 4
"""Hand-overs that may wait for being compared."""
YIELD_S = 0.05
"""No longer than this it stands still for them: whoever compares may have other work, too."""
MARK_EVERY_S = 5.0

Entering = Callable[[Place, int], None]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a scan would go on: the roots it has still to begin, and of the one under way its name and the folders left."""

    roots: tuple[bytes, ...]
    root: bytes = b""
    left: tuple[Place, ...] = ()


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One folder of a scan: as it is, as it was known when its look began, and that time on the monotonic clock.

    `same` when nothing in it differs; `read_bytes` how much of the contents had to be read.
    """

    directory: Directory
    known: tuple[Node, ...]
    at: float
    root: bytes
    same: bool
    read_bytes: int


class RootSeen(msgspec.Struct, frozen=True, gc=False):
    """A root was looked at to its end."""

    root: bytes


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The scan has ended; `error` is why it broke off, None when it did not."""

    error: BaseException | None = None


Item = Seen | Mark | RootSeen | Ended


class Scan:
    """A scan under way. `items` gives what it found so far, without waiting."""

    def __init__(
        self,
        book: Path,
        rules: Rules,
        trees: Trees,
        mark: Mark,
        *,
        why: str,
        read_again: bool = False,
        pacer: Pacer | None = None,
        threads: int = 2,
        entering: Mapping[bytes, Entering] | None = None,
        strip: Callable[[bytes, tuple[Node, ...]], tuple[Node, ...]] | None = None,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self.why, self.read_again = why, read_again
        self.mark = mark
        self.started = time.monotonic()
        self.folders = self.files = self.flaws = self.read_bytes = self.changes = 0
        self._book, self._rules, self._trees, self._pacer = book, rules, trees, pacer
        self._threads, self._entering, self._strip = threads, entering or {}, strip or (lambda _, nodes: nodes)
        self._arrived = arrived
        self._stop = threading.Event()
        self._queue: queue.Queue[list[Item]] = queue.Queue(AHEAD)
        self._compared = threading.Event()
        self._held: list[Item] = []
        self._held_since = 0.0
        self._taken: list[Item] = []
        self._is_first = self._is_blank = False
        self._thread = threading.Thread(target=self._run, name=f"scan-{why}", daemon=True)

    def start(self) -> None:
        """Begin."""
        giving_way.begin(self._book)
        self._is_first = True
        self._thread.start()

    def stop(self) -> None:
        """End it soon; nothing more is asked of it."""
        self._stop.set()
        if self._pacer is not None:
            self._pacer.end()
        self.over()

    def over(self) -> None:
        """All of it is taken in, or it is given up: what gives way to it goes on. By the thread that began it."""
        if self._is_first:
            self._is_first = False
            giving_way.end(self._book)

    def seconds(self) -> float:
        """Return how long it has been at work."""
        return time.monotonic() - self.started

    def items(self, seconds: float) -> Iterator[Item]:
        """Yield what it has found, for at most so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self._taken:
                try:
                    self._taken = self._queue.get_nowait()[::-1]
                except queue.Empty:
                    self._compared.set()
                    return
            yield self._taken.pop()

    def count(self, seen: Seen) -> None:
        """Take a folder into the figures."""
        self.folders += 1
        self.read_bytes += seen.read_bytes
        self.flaws += bool(seen.directory.flaw)
        for node in seen.directory.nodes:
            if not stat.S_ISDIR(node.mode):
                self.files += 1
            if node.flaw:
                self.flaws += 1

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            book = Book(self._book)
            try:
                self._is_blank = book.is_blank()
                self._roots(book)
            finally:
                book.close()
        except Exception as caught:  # noqa: BLE001  # told by the engine, whose thread waits for it
            error = caught
        finally:
            self._put(Ended(error))

    def _roots(self, book: Book) -> None:
        waiting = list(self.mark.roots)
        if self.mark.root:
            self._root(book, self.mark.root, list(self.mark.left), waiting)
        while waiting and not self._stop.is_set():
            root = waiting.pop(0)
            self._root(book, root, [Place(root)], waiting)

    def _root(self, book: Book, root: bytes, places: list[Place], waiting: list[bytes]) -> None:
        rule = self._rules.by_root.get(root)
        if rule is None:
            return
        node = self._trees.node(root, TreePlan(hash_name=""))
        if node is not None and stat.S_ISDIR(node.mode):
            self._walk(book, root, places, waiting)
        if not self._stop.is_set():
            self._put(RootSeen(root))

    def _walk(self, book: Book, root: bytes, places: list[Place], waiting: list[bytes]) -> None:
        begun: dict[bytes, tuple[tuple[Node, ...], float]] = {}

        def known(path: bytes) -> tuple[Node, ...]:
            at = time.monotonic()
            nodes = self._strip(path, () if self._is_blank else book.known(path))
            begun[path] = (nodes, at)
            return nodes

        plan = self._rules.by_root[root].plan(self._rules.stops, read_again=self.read_again, threads=self._threads)
        plan = msgspec.structs.replace(plan, entering=self._entering.get(root))
        walk = self._trees.walk(places, known, plan)
        marked = time.monotonic()
        for directory in walk:
            nodes, at = begun.pop(directory.path)
            seen = _seen(directory, nodes, at, root)
            self._hold(seen)
            if self._stop.is_set():
                return
            if self._pacer is not None:
                self._pacer.read(seen.read_bytes, self._hand_over)
            if time.monotonic() - marked > MARK_EVERY_S:
                marked = time.monotonic()
                self._put(Mark(tuple(waiting), root, tuple(walk.left())))

    def _hold(self, item: Seen) -> None:
        """Hand over a folder, with others."""
        if not self._held:
            self._held_since = time.monotonic()
        self._held.append(item)
        if len(self._held) >= TOGETHER or time.monotonic() - self._held_since > HELD_S:
            self._hand_over()

    def _put(self, item: Item) -> None:
        """Hand over what is no folder, at once."""
        self._held.append(item)
        self._hand_over()

    def _hand_over(self) -> None:
        items, self._held = self._held, []
        self._compared.clear()
        while items and not self._stop.is_set():
            try:
                self._queue.put(items, timeout=0.5)
            except queue.Full:
                continue
            self._arrived()
            self._compared.wait(YIELD_S)
            return


def _seen(directory: Directory, known: tuple[Node, ...], at: float, root: bytes) -> Seen:
    """A walk gives back the very nodes that it was given where nothing differs."""
    held = {id(node) for node in known}
    new = [node for node in directory.nodes if id(node) not in held]
    read = sum(node.size for node in new if node.content)
    same = not new and len(known) == len(directory.nodes) and not directory.flaw
    return Seen(directory, known, at, root, same, read)
