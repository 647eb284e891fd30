"""Who a certificate is for, and who may speak."""

import asyncio
from typing import Any

from console.peers import MAX_PER_AGENT, Peer, Peers, peer_of
from console.store.records import Identity

A = "a" * 32


class Identities:
    """A store that knows who may connect."""

    def __init__(self) -> None:
        self.version, self.found = 1, (Identity(agent=A, serials=frozenset({"01"}), revoked=False),)

    async def identities(self) -> Any:
        return self.version, self.found

    async def identities_version(self) -> int:
        return self.version


class Dropped:
    """A connection that remembers being ended."""

    dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_a_certificate_is_for_one_agent_id() -> None:
    def subject(*names: str) -> Any:
        parts = tuple((("commonName", name),) for name in names)
        return {"subject": parts, "serialNumber": "01", "notAfter": "Jan  1 00:00:10 1970 GMT"}

    assert peer_of(subject(A)) == Peer(agent=A, serial="01", ends_s=10.0)
    for certificate in (None, {}, subject(), subject(A, A), subject("root"), subject(A.upper()), {"subject": ()}):
        assert peer_of(certificate) is None


def test_a_revocation_ends_connections_and_is_told() -> None:
    async def run() -> None:
        store, told = Identities(), []  # type: ignore[var-annotated]
        peers = Peers(store)  # type: ignore[arg-type]
        peers.on_revoked = told.append
        await peers.refresh()
        peer, connection = Peer(agent=A, serial="01"), Dropped()
        assert peers.refusal(peer) == ""
        assert "not known" in peers.refusal(Peer(agent="b" * 32, serial="01"))
        assert "not issued" in peers.refusal(Peer(agent=A, serial="02"))
        assert "ended" in peers.refusal(Peer(agent=A, serial="01", ends_s=5.0))
        assert peers.connected(peer, connection)
        store.version, store.found = 2, (Identity(agent=A, serials=frozenset(), revoked=True),)
        await peers.refresh()
        await peers.refresh()
        assert connection.dropped
        assert told == [A]
        assert "revoked" in peers.refusal(peer)

    asyncio.run(run())


def test_one_agent_has_a_few_connections_only() -> None:
    peers, peer = Peers(Identities()), Peer(agent=A, serial="01")  # type: ignore[arg-type]
    connections = [Dropped() for _ in range(MAX_PER_AGENT)]
    assert all(peers.connected(peer, one) for one in connections)
    assert not peers.connected(peer, Dropped())
    for one in connections:
        peers.gone(peer, one)
    assert peers.connected(peer, Dropped())
