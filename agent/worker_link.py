"""One connection to a worker: bytes in and out without blocking, the sender's user checked by the kernel, frames strictly decoded and
rate-limited. What a worker says is untrusted input; the first thing that is off ends the connection."""

import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator

from agent.framing import Splitter, core_codec, pack, worker_codec
from agent.loop import Loop
from contracts.errors import HoldfastError, Malformed
from contracts.frames import Emitted, Finished, FromCore, FromWorker, ReportPage

FRAMES_PER_S = 500.0
FRAMES_BURST = 5_000.0
EVENTS_PER_S = 500.0
EVENTS_BURST = 20_000.0
"""A first look or a flushed ruleset may state many facts at once; a stream of them is a flood."""
READ_BYTES = 64 << 10
MAX_UNREAD_BYTES = 8 << 20
"""What may wait for a worker that does not read, besides a snapshot (which is paged as it drains)."""

MAX_STREAMS = 8
"""A snapshot and what its watchers fetch; whoever asks for more does not wait for the answers."""

_CREDENTIALS = struct.Struct("3i")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size)


class Violation(HoldfastError):
    """The worker said something that it must not say."""


class Bucket:
    """A token bucket: so many at once, so many per second in the long run."""

    def __init__(self, per_s: float, burst: float, monotonic: Callable[[], float]) -> None:
        self._per_s, self._burst, self._monotonic = per_s, burst, monotonic
        self._level, self._at = burst, monotonic()

    def take(self, count: int = 1) -> bool:
        """Take `count`; False when there are not so many."""
        now = self._monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._per_s)
        self._at = now
        self._level -= count
        return self._level >= 0


class Link:
    """Frames to and from one worker. `frame` is called for each; `ended` once, with the reason and whether it was a violation.

    `pid` and `uid` are those of the process that last spoke, as the kernel says.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        uids: frozenset[int],
        frame: Callable[[FromWorker], None],
        ended: Callable[[str, bool], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.pid, self.uid = 0, -1
        self._loop, self._sock, self._uids = loop, sock, uids
        self._frame, self._ended = frame, ended
        self._splitter, self._decoder, self._encoder = Splitter(), worker_codec(), core_codec()
        self._frames = Bucket(FRAMES_PER_S, FRAMES_BURST, monotonic)
        self._events = Bucket(EVENTS_PER_S, EVENTS_BURST, monotonic)
        self._out = bytearray()
        self._streams: deque[Iterator[FromCore]] = deque()
        self._open = True
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, frame: FromCore) -> None:
        """Send `frame` as soon as the worker reads. Raises `TooLarge` or `Malformed` for one that cannot travel."""
        if not self._open:
            return
        self._out += pack(self._encoder.encode(frame))
        if len(self._out) > MAX_UNREAD_BYTES:
            self._end("it does not read what it is told", violation=False)
            return
        self._write()

    def stream(self, frames: Iterator[FromCore]) -> None:
        """Send `frames` one after the other, each made when the one before has left; streams wait for one another."""
        if len(self._streams) >= MAX_STREAMS:
            self._end("it asks for more than it reads", violation=False)
            return
        self._streams.append(frames)
        self._write()

    def close(self) -> None:
        """End the connection without a word to `ended`."""
        if self._open:
            self._open = False
            self._loop.remove(self._sock.fileno())
            self._sock.close()

    def _end(self, reason: str, *, violation: bool) -> None:
        if self._open:
            self.close()
            self._ended(reason, violation)

    def _readable(self) -> None:
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(READ_BYTES, _ANCILLARY)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"the connection broke: {error.strerror}", violation=False)
            return
        if not data:
            self._end("it ended" + (" inside a frame" if self._splitter.partial else ""), violation=False)
            return
        try:
            self._check_sender(ancillary, flags)
            for body in self._splitter.feed(data):
                self._take(body)
                if not self._open:
                    return
        except (Violation, Malformed) as error:
            self._end(error.message, violation=True)

    def _take(self, body: bytes) -> None:
        if not self._frames.take():
            raise Violation(f"more than {FRAMES_PER_S:g} frames per second")
        frame = self._decoder.decode(body)
        if isinstance(frame, ReportPage):
            count = len(frame.events)
        elif isinstance(frame, Finished):
            count = len(frame.result.events)
        else:
            count = int(isinstance(frame, Emitted))
        if count and not self._events.take(count):
            raise Violation(f"more than {EVENTS_PER_S:g} events per second")
        self._frame(frame)

    def _check_sender(self, ancillary: list[tuple[int, int, bytes]], flags: int) -> None:
        """Take the sender's process and user from the kernel; whoever else got hold of the socket is refused."""
        if flags & socket.MSG_CTRUNC:
            raise Violation("a message with descriptors")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                self.pid, self.uid, _ = _CREDENTIALS.unpack(data)
        if self.uid not in self._uids:
            raise Violation(f"user {self.uid} speaks on its socket")

    def _write(self) -> None:
        while self._open and (self._out or self._refill()):
            try:
                sent = self._sock.send(memoryview(self._out)[: 256 << 10], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._write)
                return
            except OSError:
                # Its last words may still wait to be read: the reading side sees the end.
                self._out.clear()
                self._streams.clear()
                break
            del self._out[:sent]
        if self._open:
            self._loop.remove_writer(self._sock.fileno())

    def _refill(self) -> bool:
        """Put the next frame of a stream into the empty buffer, if there is one."""
        while self._streams:
            frame = next(self._streams[0], None)
            if frame is not None:
                self._out += pack(self._encoder.encode(frame))
                return True
            self._streams.popleft()
        return False
