"""A small TCP proxy between client and server: it cuts the line, holds bytes back, or lets few through.

`python -m tests.actions.backup.stores.proxy PORT DELAY_S` runs one as a process of its own and prints its port.
"""

import socket
import struct
import sys
import threading
import time
from collections import deque

CHUNK = 256 << 10


class Proxy:
    """Listens on a loopback port and carries every connection to `port`.

    `delay_s` holds each byte back for so long, in each direction. `rate` is bytes a second in each direction. `cut_after` cuts a connection
    hard (RST to both ends) after so many bytes of it, counted in both directions; `cut` says whether that happened.
    """

    def __init__(self, port: int, *, delay_s: float = 0.0, rate: float = 0.0, cut_after: int | None = None) -> None:
        self._to = port
        self.delay_s = delay_s
        self.rate = rate
        self.cut_after = cut_after
        self.cuts = 0
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        # Closed while a thread waits on it, the number may be another proxy's by the time that a signal lets the thread begin anew.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.cut_all()

    def cut_all(self) -> None:
        """Cut every connection now."""
        for sock in list(self._sockets):
            _reset(sock)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.add(sock)
            line = _Line(self, client, server)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=line.carry, args=(one, other), daemon=True).start()

    def forget(self, *sockets: socket.socket) -> None:
        self._sockets.difference_update(sockets)


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = (client, server)
        self._left = proxy.cut_after
        self._lock = threading.Lock()

    def carry(self, source: socket.socket, sink: socket.socket) -> None:
        if not self._proxy.delay_s:
            self._pump(source, sink.sendall)
            self._end(sink)
            return
        waiting: deque[tuple[float, bytes]] = deque()
        some = threading.Condition()

        def keep(data: bytes) -> None:
            with some:
                waiting.append((time.monotonic() + self._proxy.delay_s, bytes(data)))
                some.notify()

        def deliver() -> None:
            while True:
                with some:
                    while not waiting:
                        some.wait()
                    due, data = waiting.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    self._end(sink)
                    return
                try:
                    sink.sendall(data)
                except OSError:
                    return

        threading.Thread(target=deliver, daemon=True).start()
        self._pump(source, keep)
        keep(b"")

    def _pump(self, source: socket.socket, give) -> None:  # type: ignore[no-untyped-def]
        size = max(1, min(CHUNK, int(self._proxy.rate / 50))) if self._proxy.rate else CHUNK
        try:
            while data := source.recv(size):
                data, cut = self._allowed(data)
                if data:
                    give(data)
                if cut:
                    self._proxy.cuts += 1
                    for end in self._ends:
                        _reset(end)
                    return
                if self._proxy.rate:
                    time.sleep(len(data) / self._proxy.rate)
        except OSError:
            return

    def _allowed(self, data: bytes) -> tuple[bytes, bool]:
        """What may still pass of `data`, and whether the line is cut after it."""
        with self._lock:
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            self._proxy.carried += len(data)
            return data, self._left == 0

    def _end(self, sink: socket.socket) -> None:
        self._proxy.forget(*self._ends)
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def _reset(sock: socket.socket) -> None:
    """Close at once with a reset, so that nobody takes it for an orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


if __name__ == "__main__":
    with Proxy(int(sys.argv[1]), delay_s=float(sys.argv[2])) as running:
        print(running.port, flush=True)
        sys.stdin.read()
