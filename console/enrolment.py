"""Admitting agents: a one-time token and a signing request for a certificate; renewals; guesses limited and noted."""

import datetime as dt
from collections.abc import Callable

import msgspec

from console import tokens
from console.authority import Authority, BadRequest, Issued, inspect_request, key_digest
from console.hub import Change, Hub, Topic
from console.limits import Limiter
from console.peers import Peer, Peers
from console.store.interface import Store
from console.store.records import Certificate, Token
from contracts.codec import Codec
from contracts.errors import Malformed
from contracts.record import Record
from contracts.wire import MAX_ENROL_BYTES, Enrolled, EnrolRequest, Problem, RenewRequest

RENEW_SHARE = 0.5
"""A certificate is to be renewed after this share of its life: under two thirds, so a long outage still leaves time."""
_NEW_TOKEN = "make a new one with holdfast console token create"


class Answer(Record):
    """An HTTP status and a MessagePack body."""

    status: int
    body: bytes


class _Refused(Exception):
    """Ends an enrolment with `status`; `guess` when it counts as an attempt to get in."""

    def __init__(self, status: int, error: str, advice: str = "", *, guess: bool = True) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.advice = advice
        self.guess = guess


class Enrolment:
    """Answers `POST /v1/enrol` and `POST /v1/renew`."""

    def __init__(
        self,
        store: Store,
        authority: Callable[[], Authority],
        peers: Peers,
        hub: Hub,
        lifetime_s: float,
        now_ms: Callable[[], int],
        limiter: Limiter | None = None,
    ) -> None:
        self._store = store
        self._authority = authority
        self._peers = peers
        self._hub = hub
        self._lifetime = dt.timedelta(seconds=lifetime_s)
        self._now_ms = now_ms
        self._guesses = limiter or Limiter(burst=10, refill_s=6.0, overall_burst=200, overall_refill_s=0.3)
        self._renewals = Limiter(burst=20, refill_s=120.0, overall_burst=10_000, overall_refill_s=0.01)
        self._requests: Codec[EnrolRequest] = Codec(EnrolRequest, MAX_ENROL_BYTES, tolerant=True)
        self._renew_requests: Codec[RenewRequest] = Codec(RenewRequest, MAX_ENROL_BYTES, tolerant=True)

    async def enrol(self, body: bytes, source: str) -> Answer:
        """Answer an enrolment from the address `source`."""
        if not self._guesses.allows(source):
            return problem(429, "too many failed enrolments from this address", "wait a minute and try again")
        try:
            request = self._requests.decode(body)
            enrolled = await self._admit(request, source)
        except Malformed as error:
            self._guesses.count(source)
            return problem(400, f"the enrolment request {error.message}", permanent=True)
        except _Refused as refused:
            if refused.guess:
                self._guesses.count(source)
            await self._note("console", "enrol.refused", "", refused.error, source)
            return problem(refused.status, refused.error, refused.advice, permanent=True)
        return Answer(status=200, body=msgspec.msgpack.encode(enrolled))

    async def renew(self, body: bytes, peer: Peer) -> Answer:
        """Answer an enrolled agent that asks for its next certificate."""
        if not self._renewals.allows(peer.agent):
            return problem(429, "too many renewals", "wait a few minutes and try again")
        self._renewals.count(peer.agent)
        try:
            request = self._renew_requests.decode(body)
            now = self._now()
            issued = self._authority().issue_agent(request.csr, peer.agent, self._lifetime, now)
        except Malformed as error:
            return problem(400, f"the renewal request {error.message}", permanent=True)
        except BadRequest as error:
            return problem(403, error.message, error.advice, permanent=True)
        if not await self._store.add_certificate(_certificate(peer.agent, issued)):
            return problem(403, "this agent is revoked", "enrol it again with a new token", permanent=True)
        await self._peers.refresh()
        await self._note(f"agent:{peer.agent}", "agent.renewed", f"agent:{peer.agent}", issued.serial, "")
        return Answer(status=200, body=msgspec.msgpack.encode(self._enrolled(peer.agent, issued.pem, issued)))

    async def _admit(self, request: EnrolRequest, source: str) -> Enrolled:
        token = await self._token(request.token)
        try:
            agent, public = inspect_request(request.csr)
        except BadRequest as error:
            raise _Refused(400, error.message, error.advice) from error
        key = key_digest(public)
        if token.used_ms:
            return await self._again(token, agent, key)
        if token.hostname and token.hostname != request.facts.hostname:
            raise _Refused(403, f"this token is for the host {token.hostname} only", _NEW_TOKEN)
        issued = self._authority().issue_agent(request.csr, agent, self._lifetime, self._now())
        certificate = _certificate(agent, issued)
        if not await self._store.enrol(token.id, certificate, request.facts, request.version, self._now_ms()):
            return await self._lost_race(request, agent, key)
        await self._peers.refresh()
        await self._note(f"agent:{agent}", "agent.enrolled", f"token:{token.id}", request.facts.hostname, source)
        self._hub.publish(Change(topic=Topic.AGENT, agent=agent, at_ms=self._now_ms()))
        return self._enrolled(agent, issued.pem, issued)

    async def _token(self, text: str) -> Token:
        """Return the token that `text` is the secret of, if it may be used."""
        try:
            secret, _pin = tokens.decode(text)
        except tokens.BadToken as error:
            raise _Refused(401, error.message, error.advice) from error
        token = await self._store.token(tokens.digest(secret))
        if token is None:
            raise _Refused(401, "this enrolment token is not known here", _NEW_TOKEN)
        if token.revoked_ms:
            raise _Refused(401, "this enrolment token was revoked", _NEW_TOKEN)
        if token.expires_ms <= self._now_ms():
            raise _Refused(401, "this enrolment token has expired", _NEW_TOKEN, guess=False)
        return token

    async def _again(self, token: Token, agent: str, key: bytes) -> Enrolled:
        """Answer a repeat: the same certificate for the same key, nothing for another."""
        if (token.agent, token.key) != (agent, key):
            raise _Refused(401, "this enrolment token has been used with another key", _NEW_TOKEN)
        for certificate in await self._store.certificates(agent):
            if certificate.serial == token.serial and not certificate.revoked_ms:
                return self._enrolled(agent, certificate.pem, certificate)
        raise _Refused(403, "this agent is revoked", _NEW_TOKEN)

    async def _lost_race(self, request: EnrolRequest, agent: str, key: bytes) -> Enrolled:
        """The store said no: the same request came twice at once, or this agent may not be admitted."""
        token = await self._token(request.token)
        if token.used_ms:
            return await self._again(token, agent, key)
        raise _Refused(
            403,
            "this agent id is enrolled with another key or revoked",
            "remove the agent's identity files and enrol it as a new agent",
        )

    def _enrolled(self, agent: str, pem: bytes, dates: Issued | Certificate) -> Enrolled:
        renew_ms = dates.issued_ms + int((dates.ends_ms - dates.issued_ms) * RENEW_SHARE)
        return Enrolled(agent=agent, certificate=pem, authority=self._authority().trusted(), renew_after_ms=renew_ms)

    async def _note(self, who: str, what: str, about: str, detail: str, source: str) -> None:
        await self._store.audit(self._now_ms(), who, what, about, detail, source)

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._now_ms() / 1000, dt.UTC)


def problem(status: int, error: str, advice: str = "", *, permanent: bool = False) -> Answer:
    """Return an answer that refuses."""
    return Answer(status=status, body=msgspec.msgpack.encode(Problem(error=error, advice=advice, permanent=permanent)))


def _certificate(agent: str, issued: Issued) -> Certificate:
    return Certificate(
        serial=issued.serial,
        agent=agent,
        key=issued.key,
        pem=issued.pem,
        issued_ms=issued.issued_ms,
        ends_ms=issued.ends_ms,
    )
