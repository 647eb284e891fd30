"""Who may connect, and who is connected: asked before a byte of an agent is parsed, and again for every request."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from console.store.interface import IdentityStore
from console.store.records import Identity
from contracts.record import Record

MAX_PER_AGENT = 8
_AGENT = re.compile(r"[0-9a-f]{32}")


class Peer(Record):
    """The other end of a connection, by its certificate, which TLS has verified."""

    agent: str
    serial: str
    ends_s: float = float("inf")
    """When its certificate ends (Unix time): TLS checks that when the connection begins, not while it stays open."""


class Connection(Protocol):
    """A live connection that can be ended."""

    def drop(self) -> None:
        """End it at once."""


def peer_of(certificate: Mapping[str, Any] | None) -> Peer | None:
    """Return whom a verified certificate (as `ssl` decodes it) is for, or None when it is not an agent's."""
    if not certificate:
        return None
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    serial = certificate.get("serialNumber", "")
    if len(names) != 1 or not _AGENT.fullmatch(names[0]) or not serial:
        return None
    ends = certificate.get("notAfter", "")
    return Peer(agent=names[0], serial=serial, ends_s=ssl.cert_time_to_seconds(ends) if ends else 0.0)


class Peers:
    """The identities of the store in memory, kept in step by `refresh`, and the connections of each agent."""

    def __init__(self, store: IdentityStore, now_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now_s = now_s
        self._version = -1
        self._identities: dict[str, Identity] = {}
        self._connections: dict[str, set[Connection]] = {}
        self._refreshing = asyncio.Lock()
        self.on_revoked: Callable[[str], None] = lambda _agent: None

    async def refresh(self) -> None:
        """Read who may connect if that has changed, and end the connections of who may no more."""
        async with self._refreshing:
            if await self._store.identities_version() == self._version:
                return
            version, found = await self._store.identities()
            before = self._identities
            self._identities = {identity.agent: identity for identity in found}
            self._version = version
        for identity in found:
            former = before.get(identity.agent)
            if identity.revoked and (former is None or not former.revoked):
                self.disconnect(identity.agent)
                self.on_revoked(identity.agent)

    def refusal(self, peer: Peer) -> str:
        """Say why `peer` may not speak, or "" when it may."""
        identity = self._identities.get(peer.agent)
        if peer.ends_s < self._now_s():
            return "this certificate has ended"
        if identity is None:
            return "this agent is not known here"
        if identity.revoked:
            return "this agent is revoked"
        if peer.serial not in identity.serials:
            return "this certificate was not issued here or is revoked"
        return ""

    def connected(self, peer: Peer, connection: Connection) -> bool:
        """Note a connection; False when this agent has too many."""
        mine = self._connections.setdefault(peer.agent, set())
        if len(mine) >= MAX_PER_AGENT:
            return False
        mine.add(connection)
        return True

    def gone(self, peer: Peer, connection: Connection) -> None:
        """Forget a connection."""
        mine = self._connections.get(peer.agent)
        if mine is not None:
            mine.discard(connection)
            if not mine:
                del self._connections[peer.agent]

    def disconnect(self, agent: str) -> None:
        """End every connection of an agent."""
        for connection in list(self._connections.get(agent, ())):
            connection.drop()
