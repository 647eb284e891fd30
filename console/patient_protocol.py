"""Uvicorn's HTTP connection with bounds on what a client may make it wait for and keep: both listeners stand on it."""

import asyncio
from typing import cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from contracts.record import Record

MAX_HEAD = 16 << 10


class Patience(Record):
    """How long, in seconds, a connection may take, and how many there may be."""

    handshake_s: float = 15.0
    first_request_s: float = 60.0
    """From the handshake to the first byte of a request."""
    request_s: float = 60.0
    """From the first byte of a request to its last."""
    idle_s: float = 900.0
    """Between two requests; longer than the longest usual period of heartbeats."""
    max_connections: int = 20000


class PatientProtocol(HttpToolsProtocol):
    """One connection; `overdue` says when it has taken too long, and a head beyond `MAX_HEAD` ends it."""

    def __init__(
        self, patience: Patience, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state={}, _loop=loop)
        self.patience = patience
        self._since = 0.0
        self._head_bytes = 0
        self._fed_bytes = 0
        self._progress = False
        self._busy = False
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to count the time."""
        self._since = self.loop.time()
        super().connection_made(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        """Parse, unless the head of the request grows beyond its limit."""
        if self.transport.is_closing():
            return
        if not self._busy:
            self._begin()
        self._progress = False
        super().data_received(data)
        if not self._progress:  # the parser keeps an unfinished line to itself, so what it was fed is counted, too
            self._fed_bytes += len(data)
        if max(self._head_bytes, self._fed_bytes) > MAX_HEAD:
            self.drop()

    def on_message_begin(self) -> None:
        """Begin a request; one may follow another in the same bytes."""
        self._begin()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the head."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of the head."""
        self._head_bytes += len(name) + len(value)
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Part of a body is not part of a head."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; from now on the console is at work and the client may wait."""
        self._progress = True
        super().on_message_complete()
        self._busy = False
        self._since = self.loop.time()

    def overdue(self, now: float) -> bool:
        """Say whether a started request or the first one is too long in coming; `now` on the loop's clock."""
        if self._busy:
            return now - self._since > self.patience.request_s
        return not self._asked and now - self._since > self.patience.first_request_s

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _begin(self) -> None:
        self._busy = self._asked = True
        self._head_bytes = self._fed_bytes = 0
        self._since = self.loop.time()
