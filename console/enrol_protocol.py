"""The only thing a client without a certificate may do: one `POST /v1/enrol` with a small body, soon.

A parser of our own that accepts exactly that and closes on everything else; the general HTTP machinery never sees such a client.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import cast

from console.enrolment import Answer
from console.limits import source_of
from console.metrics import Metrics
from contracts.record import Record
from contracts.wire import CONTENT_TYPE, MAX_ENROL_BYTES

REQUEST_LINE = b"POST /v1/enrol HTTP/1.1\r\n"
MAX_HEAD = 4096
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\x20-\x7e\t]{0,1024})")
_LENGTH = re.compile(rb"[0-9]{1,6}")


class EnrolLimits(Record):
    """How long and how many, for clients without a certificate."""

    whole_s: float = 15.0
    """From the handshake to the last byte of the request."""
    max_connections: int = 256
    max_per_source: int = 64


class Gateway:
    """What all connections without a certificate share."""

    def __init__(
        self,
        enrol: Callable[[bytes, str], Awaitable[Answer]],
        metrics: Metrics,
        limits: EnrolLimits | None = None,
    ) -> None:
        self.enrol = enrol
        self.metrics = metrics
        self.limits = limits or EnrolLimits()
        self.protocols: set[EnrolProtocol] = set()
        self._by_source: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, protocol: "EnrolProtocol") -> bool:
        """Note a connection; False when there are too many."""
        if len(self.protocols) >= self.limits.max_connections:
            return False
        if self._by_source[protocol.source] >= self.limits.max_per_source:
            return False
        self.protocols.add(protocol)
        self._by_source[protocol.source] += 1
        return True

    def forget(self, protocol: "EnrolProtocol") -> None:
        """Forget a connection."""
        if protocol in self.protocols:
            self.protocols.discard(protocol)
            self._by_source[protocol.source] -= 1
            if not self._by_source[protocol.source]:
                del self._by_source[protocol.source]

    def run(self, work: Awaitable[None]) -> None:
        """Run `work` and keep hold of it until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def sweep(self, now: float) -> None:
        """End the connections that take too long."""
        for protocol in [one for one in self.protocols if now - one.since > self.limits.whole_s and not one.answering]:
            self.metrics.refused.labels("slow").inc()
            protocol.drop()


class EnrolProtocol(asyncio.Protocol):
    """Collects one request, strictly, and answers it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._wanted = -1
        self.source = ""
        self.since = 0.0
        self.answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.source = source_of(str(address[0])) if address else ""
        self.since = asyncio.get_running_loop().time()
        if not self._gateway.admit(self):
            self._gateway.metrics.refused.labels("too_many").inc()
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Collect; close as soon as it cannot become the one request that is allowed."""
        if self.answering or self._transport is None or self._transport.is_closing():
            return
        self._received += data
        if not self._may_become_request():
            self._gateway.metrics.refused.labels("not_enrolment").inc()
            self.drop()
            return
        if self._wanted >= 0 and len(self._received) == self._wanted:
            self.answering = True
            self._gateway.run(self._answer(bytes(self._received)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        """Forget the connection."""
        self._gateway.forget(self)

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _may_become_request(self) -> bool:
        if self._wanted >= 0:
            return len(self._received) <= self._wanted
        begun = bytes(self._received[: len(REQUEST_LINE)])
        if not REQUEST_LINE.startswith(begun):
            return False
        head, end, _rest = bytes(self._received[: MAX_HEAD + 4]).partition(b"\r\n\r\n")
        if not end:
            return len(self._received) <= MAX_HEAD
        length = _body_length(head)
        if length is None:
            return False
        del self._received[: len(head) + len(end)]
        self._wanted = length
        return len(self._received) <= self._wanted

    async def _answer(self, body: bytes) -> None:
        answer = await self._gateway.enrol(body, self.source)
        self._gateway.metrics.enrolments.labels(str(answer.status)).inc()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer_bytes(answer.status, answer.body))
            self._transport.close()


def answer_bytes(status: int, body: bytes) -> bytes:
    """Return a whole HTTP answer that closes the connection."""
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\ncontent-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _body_length(head: bytes) -> int | None:
    """Return the length of the body that a request's head announces, or None when the head is not acceptable."""
    lengths = []
    for line in head.split(b"\r\n")[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        if name in (b"transfer-encoding", b"upgrade", b"expect"):
            return None
        if name == b"content-length":
            lengths.append(match[2].strip())
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        return None
    length = int(lengths[0])
    return length if length <= MAX_ENROL_BYTES else None
