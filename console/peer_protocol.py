"""One connection on the agents' port: who is it, before a byte of it is parsed.

TLS has verified the certificate, if there was one. An agent that may speak gets the HTTP parser (uvicorn's, with the peer handed to the
application as an ASGI extension); one that may not gets a fixed refusal whatever it sends; a client without a certificate gets the
enrolment parser and nothing else. The `Gate` ends connections that are too slow, too many or no longer allowed.
"""

import asyncio
import ssl
from typing import Any, cast

import msgspec
from uvicorn.config import Config
from uvicorn.server import ServerState

from console.enrol_protocol import EnrolProtocol, Gateway, answer_bytes
from console.metrics import Metrics
from console.patient_protocol import Patience, PatientProtocol
from console.peers import Peer, Peers, peer_of
from contracts.wire import Problem

EXTENSION = "holdfast.peer"


class Gate:
    """What all connections of the listener share."""

    def __init__(
        self, config: Config, peers: Peers, gateway: Gateway, metrics: Metrics, patience: Patience | None = None
    ) -> None:
        self.config = config
        self.peers = peers
        self.gateway = gateway
        self.metrics = metrics
        self.patience = patience or Patience()
        self.state = ServerState()
        self.state.default_headers = config.encoded_headers
        self.protocols: set[PeerProtocol] = set()

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return PeerProtocol(self)

    def sweep(self, now: float) -> None:
        """End the connections that take too long; `now` on the loop's clock."""
        for protocol in [one for one in self.protocols if one.overdue(now)]:
            self.metrics.refused.labels("slow").inc()
            protocol.drop()
        self.gateway.sweep(now)
        self.metrics.connections.set(len(self.protocols))


class PeerProtocol(PatientProtocol):
    """An agent's connection; hands itself over to another protocol when it turns out to be something else."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.patience, gate.config, gate.state, None)
        self._gate = gate
        self._peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide what this connection may do."""
        certificate = transport.get_extra_info("peercert")
        if not certificate:
            self._hand_over(transport, EnrolProtocol(self._gate.gateway))
            return
        peer = peer_of(certificate)
        refusal = self._gate.peers.refusal(peer) if peer else "this certificate is not an agent's"
        if peer is None or refusal:
            self._gate.metrics.refused.labels("identity").inc()
            self._hand_over(transport, RefusedProtocol(refusal))
            return
        if len(self._gate.protocols) >= self._gate.patience.max_connections or not self._gate.peers.connected(
            peer, self
        ):
            self._gate.metrics.refused.labels("too_many").inc()
            cast(asyncio.Transport, transport).abort()
            return
        self._peer = peer
        self._gate.protocols.add(self)
        super().connection_made(cast(asyncio.Transport, Corked(cast(asyncio.Transport, transport), self.loop)))

    def data_received(self, data: bytes) -> None:
        """Parse, if this peer was let in."""
        if self._peer is not None:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request: tell the application who asks."""
        super().on_message_begin()
        self.scope["extensions"] = cast(Any, {EXTENSION: {"peer": self._peer}})

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._peer is None:
            return
        self._gate.protocols.discard(self)
        self._gate.peers.gone(self._peer, self)
        super().connection_lost(exc)

    def _hand_over(self, transport: asyncio.BaseTransport, protocol: asyncio.Protocol) -> None:
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class Corked:
    """A transport that puts what is written in one round of the loop into one TLS record: head and body of an answer go together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        """Write at the end of this round."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Write what waits, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


class RefusedProtocol(asyncio.Protocol):
    """Answers the first bytes, unread, with one sentence and closes, so that the agent can tell its admin why."""

    LINGER_S = 5.0

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._transport: asyncio.Transport | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request for a few seconds."""
        self._transport = cast(asyncio.Transport, transport)
        asyncio.get_running_loop().call_later(self.LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - never looked at
        """Answer once."""
        if self._transport is None or self._answered:
            return
        self._answered = True
        self._transport.write(answer_bytes(403, refusal_body(self._refusal)))
        self._transport.close()


def refusal_body(error: str) -> bytes:
    """Return the MessagePack of a refusal for good."""
    advice = "enrol it again with a new token"
    return msgspec.msgpack.encode(Problem(error=error, advice=advice, permanent=True))


def server_context(chain: str, key: str, trusted: bytes) -> ssl.SSLContext:
    """Return the TLS settings of the agents' port: TLS 1.3, client certificates checked where one is given.

    No session tickets: a resumed session would not be checked against its certificate's end.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chain, key)
    context.load_verify_locations(cadata=trusted.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0
    return context
