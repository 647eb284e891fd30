"""Watchers in a worker: a thread each, tried again with back-off, and what they may say and ask for while they watch."""

import queue
import random
import threading
import time

import msgspec

from agent.channel import Channel, CoreGone, Ending
from agent.execute import no_room, settle
from agent.stamping import check_kinds, stamp
from contracts.collector import Fetched, Piece, Watcher
from contracts.coverage import Blind
from contracts.event import Event
from contracts.frames import PAGE_BYTES, Changed, Emitted, Fetch, Gap, Keep, Material, Retune, Watching
from contracts.host import ReadOnlyHost
from contracts.options import CollectorOptions
from contracts.outcome import Failed, Ok, Outcome

SETTLE_S = 0.5
"""A watcher that has neither ended nor spoken for so long is watching."""
RETRY_S = 1.0
MAX_RETRY_S = 300.0
ROOM_RETRY_S = 30.0
"""The longest pause while the disk is full: that ends by somebody's hand, who waits for it."""
COLLAPSE_S = 0.1
"""Requests for the same look within this time are one."""


class Watch:
    """Keeps one watcher watching until the end."""

    def __init__(self, name: str, watcher: Watcher, host: ReadOnlyHost, channel: Channel, ending: Ending) -> None:
        self.name = name
        self._watcher = watcher
        self._host = host
        self._channel = channel
        self._ending = ending
        self._lock = threading.Lock()
        self._stated: tuple[Outcome, tuple[Blind, ...]] | None = None
        self._lacks_room = False
        self._lost_at: float | None = None
        """Since when it has not watched, although it should."""
        self._blind: tuple[Blind, ...] = ()
        self._asked: dict[str, float] = {}
        self._nonce = random.randbytes(8).hex()
        self._count = 0
        self._coming: dict[str, list[Material]] = {}
        self._come: dict[str, Fetched] = {}
        self._tuned: queue.SimpleQueue[CollectorOptions] = queue.SimpleQueue()
        self._asked_again = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        """Watch in a thread of its own."""
        self._thread.start()

    def hand_over(self, until_s: float) -> None:
        """Wait for the end of a watcher that has things kept for it, no longer than until then: it hands over what it still holds."""
        if hasattr(self._watcher, "keeps") and self._thread.is_alive():
            self._thread.join(max(0.0, until_s - time.monotonic()))

    def _run(self) -> None:
        try:
            self._keep()
        except CoreGone:
            self._ending.set()

    def _keep(self) -> None:
        delay = RETRY_S
        while not self._ending.is_set():
            started = time.monotonic()
            settling = threading.Timer(SETTLE_S, self._settled)
            settling.daemon = True
            settling.start()
            self._lacks_room = False
            outcome, _ = settle(self._watch, None)
            settling.cancel()
            if self._ending.is_set():
                return
            if isinstance(outcome, Ok):
                outcome = Failed(error="it stopped watching by itself")
            self._state(outcome)
            if time.monotonic() - started > MAX_RETRY_S:
                delay = RETRY_S
            if self._rest(delay * random.uniform(0.5, 1.0)):
                delay = RETRY_S
            else:
                delay = min(ROOM_RETRY_S if self._lacks_room else MAX_RETRY_S, delay * 2)

    def _watch(self) -> None:
        try:
            self._watcher.watch(self._host, self, self._ending)
        except Exception as error:
            self._lacks_room = no_room(error) or no_room(error.__cause__)
            raise

    def _rest(self, delay_s: float) -> bool:
        """Wait before the next try, no longer than until other settings come; returns whether they did."""
        until = time.monotonic() + delay_s
        while not self._ending.is_set() and (left := until - time.monotonic()) > 0:
            if self._asked_again.wait(min(0.5, left)):
                self._asked_again.clear()
                return True
        return False

    def _settled(self) -> None:
        try:
            self._state(Ok())
        except CoreGone:
            self._ending.set()

    def _state(self, outcome: Outcome) -> None:
        """Tell the core how it stands, if that is new; and of the gap that has ended, once it watches again."""
        is_watching = isinstance(outcome, Ok)
        with self._lock:
            now = (outcome, self._blind if is_watching else ())
            if now == self._stated:
                return
            self._stated = now
            lost_at = self._lost_at
            self._lost_at = None if is_watching else lost_at or time.monotonic()
        self._channel.send(Watching(watcher=self.name, outcome=now[0], blind=now[1]))
        if is_watching and lost_at is not None:
            self.gap("the watcher had to start again", time.monotonic() - lost_at)

    def event(self, event: Event) -> None:
        """State a fact (`contracts.collector.Emit`)."""
        check_kinds([event], self._watcher.kinds)
        self._state(Ok())
        self._count += 1
        # A stream never repeats itself: the key is unique to this watch of this process.
        unique = stamp([event], f"{self.name}/{self._nonce}", self._count, int(self._host.now().timestamp() * 1000))
        self._channel.send(Emitted(watcher=self.name, event=unique[0]))

    def changed(self, subject: str) -> None:
        """Ask for a look at `subject`; bursts collapse, and none is lost: the core looks after the last request it hears."""
        self._state(Ok())
        now = time.monotonic()
        with self._lock:
            due = self._asked.get(subject, 0.0)
            if due > now:
                return
            wait = due + COLLAPSE_S - now
            self._asked[subject] = now + max(0.0, wait)
        if wait <= 0:
            self._channel.send(Changed(watcher=self.name, subject=subject))
            return
        later = threading.Timer(wait, self._ask, [subject])
        later.daemon = True
        later.start()

    def _ask(self, subject: str) -> None:
        try:
            self._channel.send(Changed(watcher=self.name, subject=subject))
        except CoreGone:
            self._ending.set()

    def gap(self, reason: str, seconds: float) -> None:
        """State that something may have passed unseen."""
        self._channel.send(Gap(watcher=self.name, reason=reason, seconds=seconds))

    def blind(self, spots: tuple[Blind, ...]) -> None:
        """State what cannot be seen from now on."""
        self._blind = spots
        if self._stated is None or isinstance(self._stated[0], Ok):
            self._state(Ok())
        # Else it is not proved to watch again: a part of it may speak before the rest has started.

    def fetch(self, name: str, have: str = "") -> None:
        """Ask the core for what it holds for this watcher under `name`."""
        with self._lock:
            self._coming[name] = []
            self._come.pop(name, None)
        self._channel.send(Fetch(watcher=self.name, name=name, have=have))

    def fetched(self, name: str) -> Fetched | None:
        """Return the answer to the last `fetch` of `name` and forget it, None while it has not come."""
        with self._lock:
            return self._come.pop(name, None)

    def keep(self, what: str, name: str, data: bytes) -> None:
        """Hand over what the core is to keep, piece by piece."""
        for at in range(0, max(1, len(data)), PAGE_BYTES):
            end = at + PAGE_BYTES
            piece = Keep(watcher=self.name, what=what, name=name, data=data[at:end], last=end >= len(data))
            self._channel.send(piece)

    def retuned(self) -> CollectorOptions | None:
        """Return the newest settings that came since the last time, None when none did."""
        newest: CollectorOptions | None = None
        while not self._tuned.empty():
            newest = self._tuned.get()
        return newest

    def take(self, frame: Material | Retune) -> None:
        """Take what the core sends to this watcher; for the thread that reads its frames."""
        if isinstance(frame, Retune):
            self._tuned.put(msgspec.msgpack.decode(frame.options, type=self._watcher.options))
            self._asked_again.set()
            return
        with self._lock:
            coming = self._coming.get(frame.name)
            if coming is None:
                return
            coming.append(frame)
            if frame.last:
                self._come[frame.name] = _joined(self._coming.pop(frame.name))


def _joined(pages: list[Material]) -> Fetched:
    """Return the answer that these pages make: pages of one file that follow each other are one piece."""
    pieces: list[Piece] = []
    data: list[bytes] = []
    for at, page in enumerate(pages):
        data.append(page.data)
        following = pages[at + 1] if at + 1 < len(pages) else None
        if following is not None and (following.role, following.path) == (page.role, page.path) and page.path:
            continue
        if page.role:
            pieces.append(Piece(role=page.role, path=page.path, data=b"".join(data), problem=page.problem))
        data = []
    return Fetched(signature=pages[-1].signature, pieces=None if pages[-1].unchanged else tuple(pieces))
