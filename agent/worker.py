"""The worker process: hosts collectors, watchers and actions that need the same privileges, and does what the core asks.

Looks run one at a time in the main thread, watchers and commands in threads of their own. A reader thread takes the core's
frames: it answers pings while a look is at work, and ends the process when the core is gone, whatever the main thread does.
"""

import faulthandler
import gc
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from agent import kernel, privileges, seccomp
from agent.channel import Channel, CoreGone, Ending
from agent.deeds import Deeds
from agent.execute import Found, look
from agent.eyes import CAPABILITY, Eyes, FarSighted
from agent.hosting import Hosting, make
from agent.paging import report_pages
from agent.privileges import WorkerPrivileges
from agent.sdnotify import Notifier
from agent.snapshot_cache import SnapshotCache
from agent.thrift import Thrift
from agent.watching import Watch
from contracts.collector import Collector
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Malformed, Why
from contracts.frames import (
    PROTOCOL,
    Collect,
    Do,
    Done,
    FromCore,
    Goodbye,
    Hello,
    Material,
    NeedSnapshot,
    Ping,
    Pong,
    Ready,
    Retune,
    SnapshotPage,
    Stored,
    Watching,
)
from contracts.host import Host
from contracts.outcome import Cost, Failed, Ok, Outcome, Unavailable

HELLO_S = 20.0
SWITCH_S = 0.0005
"""How long a look that computes may keep a command (a ban) waiting each time that command has asked the kernel something."""
FLUSH_S = 4.0
"""How long the end waits for watchers that hand over what they hold; less than the core and the service manager wait."""
GRACE_S = 2.0
"""How long the end waits for a look or command at work."""
HELD_S = 4.0
"""How long past its deadline a look may keep the interpreter to itself: less than the core waits, more than a machine that stands still."""
BIG_RUN = 500
"""Rows after which free memory is given back at once."""
PSS_EVERY_S = 60.0


def run_worker(sock: socket.socket, name: str, hosting: Hosting, expected: WorkerPrivileges) -> int:
    """Serve the core over `sock` until it says goodbye or is gone, or SIGTERM comes; return the exit code."""
    privileges.bound(expected)
    kernel.spare_memory()
    if expected.bulk:
        kernel.reuse_memory()
        kernel.give_way()
    threading.stack_size(expected.stack_bytes)
    sys.setswitchinterval(SWITCH_S)
    channel, ending = Channel(sock), Ending()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the core ends its workers in order
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    host, seen_elsewhere = _make_host(sock, hosting, expected)
    try:
        hello = channel.receive(HELLO_S, ending)
        if ending.is_set():
            return 0
        if not isinstance(hello, Hello):
            raise Malformed("the core did not begin with Hello")
        channel.send(_ready(name, expected, seen_elsewhere))
        if hello.protocol != PROTOCOL:
            raise HoldfastError(
                f"the core speaks protocol {hello.protocol}, this worker {PROTOCOL}", advice="Restart the agent."
            )
        return Worker(channel, ending, hosting, host, hello).run(expected.confined)
    except CoreGone:
        return 0


def _make_host(sock: socket.socket, hosting: Hosting, expected: WorkerPrivileges) -> tuple[Host, frozenset[str]]:
    """Return the host, and the capabilities that only its eyes hold. Nothing hostile has been read until here."""
    if privileges.held().no_new_privileges:
        seccomp.harden()
    host = hosting.make_host()
    if not expected.eyes or CAPABILITY not in privileges.held().capabilities:
        return host, frozenset()
    # A collection after the fork would write to every object, and so copy all the memory that both processes share.
    gc.collect()
    gc.freeze()
    eyes = Eyes.open(host, sock)
    privileges.give_up(CAPABILITY)
    return FarSighted(host, eyes), frozenset({CAPABILITY})


def _ready(name: str, expected: WorkerPrivileges, seen_elsewhere: frozenset[str]) -> Ready:
    held = privileges.held()
    return Ready(
        protocol=PROTOCOL,
        worker=name,
        pid=os.getpid(),
        uid=held.uid,
        capabilities=tuple(sorted(held.capabilities)),
        lost=privileges.lost(name, expected, seen_elsewhere),
    )


class Worker:
    """One worker after the handshake."""

    def __init__(self, channel: Channel, ending: Ending, hosting: Hosting, host: Host, hello: Hello) -> None:
        self._channel = channel
        self._ending = ending
        self._hosting = hosting
        self._hello = hello
        self._host = host
        self._inbox: queue.SimpleQueue[Collect | SnapshotPage | Stored | None] = queue.SimpleQueue()
        self._collectors: dict[str, Collector[Any] | Outcome] = {}
        self._caches: dict[str, SnapshotCache] = {}
        self._waiting: dict[int, Collect] = {}
        self._deeds = Deeds(hosting.actions, hello.options, (self._host, hosting.make_dry(self._host)), channel, ending)
        self._watches: dict[str, Watch] = {}
        self._main_done = threading.Event()
        self._thrift = Thrift(time.monotonic)

    def run(self, confined: bool = False) -> int:
        """Work until the end; returns the exit code."""
        for name, kind in self._hosting.collectors.items():
            self._collectors[name] = _make(name, kind, self._hello.options)
            self._caches[name] = SnapshotCache(name, kind.row)
        reader = _Reader(self._channel, self._ending, self._inbox, self._deeds, self._main_done, self._watches)
        if confined:
            seccomp.confine()
        self._start_watchers()
        gc.collect()
        gc.freeze()
        kernel.trim_memory()
        reader.start()
        try:
            while (frame := self._inbox.get()) is not None:
                self._serve(frame)
        except CoreGone:
            self._ending.set()
        self._main_done.set()
        reader.join()
        return 0

    def _start_watchers(self) -> None:
        for name in self._hello.watch:
            kind = self._hosting.watchers.get(name)
            if kind is None:
                missing = Unavailable(why=Why.DISABLED, detail=f"this worker has no watcher {name}")
                self._channel.send(Watching(watcher=name, outcome=missing))
                continue
            watcher = _make(name, kind, self._hello.options)
            if isinstance(watcher, Failed):
                self._channel.send(Watching(watcher=name, outcome=watcher))
            else:
                self._watches[name] = Watch(name, watcher, self._host, self._channel, self._ending)
                self._watches[name].start()

    def _serve(self, frame: Collect | SnapshotPage | Stored) -> None:
        if isinstance(frame, Collect):
            self._collect(frame)
        elif isinstance(frame, SnapshotPage):
            self._take_page(frame)
        elif frame.subject in self._caches:
            self._caches[frame.subject].stored(frame.id, frame.revision)

    def _collect(self, order: Collect) -> None:
        collector = self._collectors.get(order.subject)
        if collector is None:
            self._end(order, Unavailable(why=Why.DISABLED, detail=f"this worker has no collector {order.subject}"))
        elif isinstance(collector, Failed):
            self._end(order, collector)
        elif self._caches[order.subject].holds(order.revision):
            self._look(order, collector)
        else:
            self._caches[order.subject].begin()
            self._waiting = {order.id: order}
            self._channel.send(NeedSnapshot(id=order.id, subject=order.subject))

    def _take_page(self, page: SnapshotPage) -> None:
        order = self._waiting.get(page.id)
        if order is None:
            return
        self._caches[order.subject].take(page.revision, page.rows, page.at_ms, page.last)
        if page.last:
            del self._waiting[page.id]
            self._look(order, self._collectors[order.subject])

    def _look(self, order: Collect, collector: Any) -> None:
        cache = self._caches[order.subject]
        # Should the look hold the interpreter itself, no Python code can end it: this watchdog is a thread in C.
        faulthandler.dump_traceback_later(order.deadline_s + HELD_S, exit=True)
        try:
            found = look(collector, self._host, cache.snapshot(), order.deadline_s)
        finally:
            faulthandler.cancel_dump_traceback_later()
        self._report(order, found, cache)
        if len(found.changes.put) + len(found.changes.removed) > BIG_RUN or found.cost.wall_s > 1:
            kernel.trim_memory()
        self._thrift.tick()

    def _report(self, order: Collect, found: Found, cache: SnapshotCache) -> None:
        """Send what was found, page by page; the core counts none of it should a later part not be encodable."""
        blind = found.blind
        removed = found.changes.removed
        if cache.unreadable and isinstance(found.outcome, Ok):
            removed += tuple(key for key in cache.unreadable if key not in found.changes.put)
            blind += (_unreadable(len(cache.unreadable)),)
        try:
            for page in report_pages(order.id, found.events, found.changes.put, removed):
                self._channel.send(page)
        except (Malformed, msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            self._end(order, Failed(error=f"what was found cannot be encoded: {error!s:.300}"), found.cost)
            return
        if isinstance(found.outcome, Ok):
            cache.propose(order.id, msgspec.structs.replace(found.changes, removed=removed), int(time.time() * 1000))
        self._end(order, found.outcome, found.cost, blind)

    def _end(self, order: Collect, outcome: Outcome, cost: Cost | None = None, blind: tuple[Blind, ...] = ()) -> None:
        cost = cost or Cost()
        try:
            self._channel.send(Done(id=order.id, outcome=outcome, cost=cost, blind=blind))
        except Malformed as error:
            self._channel.send(
                Done(
                    id=order.id, outcome=Failed(error=f"what was not seen cannot be encoded: {error!s:.300}"), cost=cost
                )
            )


class _Reader(threading.Thread):
    """Takes the core's frames off the socket, whatever the main thread does."""

    def __init__(
        self,
        channel: Channel,
        ending: Ending,
        inbox: "queue.SimpleQueue[Any]",
        deeds: Deeds,
        main_done: threading.Event,
        watches: Mapping[str, Watch],
    ) -> None:
        super().__init__(name="reader", daemon=True)
        self._watches = watches
        self._channel = channel
        self._ending = ending
        self._inbox = inbox
        self._deeds = deeds
        self._main_done = main_done
        # Opened now: a worker that is confined opens nothing later.
        self._notifier = Notifier()
        self._notifier.hold()
        self._table = _own_table()
        self._pss = (0, -PSS_EVERY_S)

    def run(self) -> None:
        self._notifier.ready()
        patience = self._notifier.watchdog_s / 3 or None
        code, flush_s = 0, FLUSH_S
        try:
            while not self._ending.is_set():
                frame = self._channel.receive(patience, self._ending)
                self._notifier.alive()
                if frame is not None:
                    self._take(frame)
        except CoreGone:
            flush_s = 0.0  # nobody to work for: the end is in order
        except Malformed as error:
            os.write(2, f"the core sent what is no frame: {error}\n".encode())
            code, flush_s = 1, 0.0
        self._finish(code, flush_s)

    def _take(self, frame: FromCore) -> None:
        if isinstance(frame, Ping):
            self._channel.send(Pong(nonce=frame.nonce, pss_bytes=self._pss_bytes(), cpu_s=time.process_time()))
        elif isinstance(frame, Do):
            self._deeds.begin(frame)
        elif isinstance(frame, Goodbye):
            self._ending.set()
        elif isinstance(frame, Material | Retune):
            if frame.watcher in self._watches:
                self._watches[frame.watcher].take(frame)
        elif isinstance(frame, Hello):
            raise Malformed("a second Hello")
        else:
            self._inbox.put(frame)

    def _finish(self, code: int, flush_s: float) -> None:
        """Let what is at work end, for a moment; then end the process from here, because the main thread may never answer."""
        self._ending.set()
        self._notifier.stopping()
        self._inbox.put(None)
        until, flushed_by = time.monotonic() + GRACE_S, time.monotonic() + flush_s
        for watch in self._watches.values():
            watch.hand_over(flushed_by)
        while self._deeds.busy() and time.monotonic() < until:
            time.sleep(0.02)
        if code or not self._main_done.wait(max(0.0, until - time.monotonic())):
            os._exit(code)

    def _pss_bytes(self) -> int:
        """Return the memory in use; asking the kernel is not free, so the answer is kept for a while."""
        value, at = self._pss
        if time.monotonic() - at >= PSS_EVERY_S:
            value = _read_pss(self._table)
            self._pss = (value, time.monotonic())
        return value


def _make(name: str, kind: type[Any], options: Mapping[str, bytes]) -> Any:
    """Return the instance, or `Failed` when its settings are not what it declares."""
    try:
        return make(kind, options.get(name))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Failed(error=f"the settings of {name} do not fit: {error}", permanent=True)


def _unreadable(count: int) -> Blind:
    return Blind(
        what=f"what changed since the last look in {count} rows",
        why=Why.MALFORMED,
        detail="they were stored by another version and do not fit any more; this look replaces them",
    )


def _own_table() -> int:
    """Return a descriptor of what the kernel says of this process's memory, -1 where it says nothing."""
    try:
        return os.open("/proc/self/smaps_rollup", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read_pss(table: int) -> int:
    """Return the memory in use, 0 for "not known", as `Pong` has it."""
    if table < 0:
        return 0
    for line in os.pread(table, 4096, 0).splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0
