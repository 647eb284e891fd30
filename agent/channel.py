"""A worker's way to the core: any thread may speak, one frame at a time; and how every thread learns that the end has come."""

import os
import select
import socket
import threading

from agent.framing import core_codec, read_frame, worker_codec, write_frame
from contracts.frames import FromCore, FromWorker


class Ending:
    """Set once when it is time to end; a `contracts.host.Stop` for watchers."""

    def __init__(self) -> None:
        self._set = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def set(self) -> None:
        """Say that it is time; from any thread, also from a signal handler (so without a lock)."""
        self._set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        """Say whether to stop."""
        return self._set

    def wait(self, timeout_s: float) -> bool:
        """Sleep for at most `timeout_s`; return whether to stop."""
        return bool(select.select([self._fd], [], [], max(0.0, timeout_s))[0])

    def fileno(self) -> int:
        """Return a descriptor that becomes readable, and stays so, when it is time to stop."""
        return self._fd


class CoreGone(BaseException):
    """The core has closed its side: there is nobody left to work for, and no plug-in's `except Exception` may hide that."""


class Channel:
    """Frames to and from the core over one connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._encoder = worker_codec()
        self._decoder = core_codec()
        self._lock = threading.Lock()

    def send(self, frame: FromWorker) -> None:
        """Send `frame`; raises `Malformed` or `TooLarge` if it cannot travel, `CoreGone` if nobody takes it."""
        body = self._encoder.encode(frame)
        try:
            with self._lock:
                write_frame(self._sock, body)
        except OSError as error:
            raise CoreGone(str(error)) from error

    def receive(self, timeout_s: float | None, ending: Ending) -> FromCore | None:
        """Return the core's next frame, or None after `timeout_s` or when `ending` is set.

        Raises `CoreGone` at the end of the stream and `Malformed` for what is no frame.
        """
        incoming = self._sock.fileno()
        readable, _, _ = select.select([incoming, ending.fileno()], [], [], timeout_s)
        if incoming not in readable or ending.is_set():
            return None
        try:
            body = read_frame(self._sock)
        except OSError as error:
            raise CoreGone(str(error)) from error
        if body is None:
            raise CoreGone("end of stream")
        return self._decoder.decode(body)
