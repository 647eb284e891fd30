"""A tiny HTTP answer for Prometheus on a Unix socket or a loopback address, hosted by the core's loop.

One request per connection, `GET /metrics` and nothing else; bounded in size, time and number, so that whoever may connect cannot
hold up the core.
"""

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent.outputs.prometheus import CONTENT_TYPE
from contracts.errors import HoldfastError

MAX_REQUEST = 8 << 10
MAX_CONNECTIONS = 16
TIMEOUT_S = 5.0
SOCKET_MODE = 0o660


class AddressRefused(HoldfastError):
    """The metrics address cannot be used."""

    exit_code = 78


class Loop(Protocol):
    """What of the core's loop is needed."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back when readable."""

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back when writable."""

    def remove(self, fd: int) -> None:
        """Forget a descriptor."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        """Call back later; the answer has `cancel`."""


class MetricsServer:
    """Serves what `render` returns at `address` (`unix:/path`, `127.0.0.1:port` or `[::1]:port`) until `close`."""

    def __init__(self, loop: Loop, address: str, render: Callable[[], bytes]) -> None:
        self._loop, self._render = loop, render
        self._open: dict[int, _Connection] = {}
        self._path = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
        self._socket = _listen(address)
        loop.add_reader(self._socket.fileno(), self._accept)

    @property
    def port(self) -> int:
        """The TCP port, 0 on a Unix socket."""
        return 0 if self._path else int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening and drop what is open."""
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        for connection in list(self._open.values()):
            connection.close()
        if self._path:
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            peer, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):  # it went away before we came to it
            return
        if len(self._open) >= MAX_CONNECTIONS:
            peer.close()
            return
        peer.setblocking(False)
        fd = peer.fileno()
        self._open[fd] = _Connection(self._loop, peer, self._render, lambda: self._open.pop(fd, None))


class _Connection:
    """One request and its answer."""

    def __init__(
        self, loop: Loop, peer: socket.socket, render: Callable[[], bytes], closed: Callable[[], object]
    ) -> None:
        self._loop, self._peer, self._render, self._closed = loop, peer, render, closed
        self._request = b""
        self._answer = b""
        self._timer = loop.call_later(TIMEOUT_S, self.close)
        loop.add_reader(peer.fileno(), self._read)

    def close(self) -> None:
        """End it, whatever its state."""
        if self._peer.fileno() < 0:
            return
        self._timer.cancel()
        self._loop.remove(self._peer.fileno())
        self._closed()
        self._peer.close()

    def _read(self) -> None:
        try:
            data = self._peer.recv(MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:  # the peer broke the connection; there is nobody left to tell
            self.close()
            return
        self._request += data
        if not data or len(self._request) > MAX_REQUEST:
            self.close()
        elif b"\r\n\r\n" in self._request or b"\n\n" in self._request:
            self._answer = _answer(self._request, self._render)
            self._loop.remove(self._peer.fileno())
            self._loop.add_writer(self._peer.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = self._peer.send(self._answer)
        except BlockingIOError:
            return
        except OSError:  # as above
            self.close()
            return
        self._answer = self._answer[sent:]
        if not self._answer:
            self.close()


def _answer(request: bytes, render: Callable[[], bytes]) -> bytes:
    words = request.split(b"\r\n", 1)[0].split(b"\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return _response("400 Bad Request", b"this is not HTTP/1\n")
    if words[0] not in {b"GET", b"HEAD"}:
        return _response("405 Method Not Allowed", b"only GET\n", "Allow: GET, HEAD\r\n")
    if words[1].split(b"?")[0] != b"/metrics":
        return _response("404 Not Found", b"metrics are at /metrics\n")
    body = render()
    answer = _response("200 OK", body, content_type=CONTENT_TYPE)
    return answer[: len(answer) - len(body)] if words[0] == b"HEAD" else answer


def _response(status: str, body: bytes, more: str = "", content_type: str = "text/plain; charset=utf-8") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + body


def _listen(address: str) -> socket.socket:
    try:
        return _unix(Path(address.removeprefix("unix:"))) if address.startswith("unix:") else _loopback(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        taken = error.errno == errno.EADDRINUSE
        advice = "choose another port in outputs.prometheus.listen" if taken else "check outputs.prometheus.listen"
        raise AddressRefused(f"metrics cannot be served at {address}: {reason}", advice=advice) from error


def _unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if path.is_socket():  # left behind by a former run
            path.unlink()
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        listener.listen(MAX_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener


def _loopback(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host not in {"127.0.0.1", "::1"} or not port.isdecimal() or int(port) > 65535:
        raise AddressRefused(
            f'"{address}" is not a loopback address', advice="write unix:/path, 127.0.0.1:port or [::1]:port"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(MAX_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener
