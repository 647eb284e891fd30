"""What agents send, from bytes to the store: decompressed within bounds, decoded strictly, checked, appended, acknowledged.

A plain ASGI application behind `console.peer_protocol`. Whatever arrives is answered; nothing in a body is believed about who sent it.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import zstandard

from console.challenge_book import ChallengeBook
from console.challenges import Challenges
from console.enrolment import Answer, Enrolment, problem
from console.fleet_signatures import FleetSignatures
from console.hub import Change, Hub, Topic
from console.instances import Instances
from console.metrics import Metrics
from console.peer_protocol import EXTENSION
from console.peers import Peer, Peers
from console.pulse import Pulse
from console.settings import ChallengeSettings
from console.store.interface import RefusedReport, Store, Stored
from console.store.records import FindingKind
from contracts.codec import UNDECODABLE, Codec
from contracts.errors import HoldfastError, Malformed, TooLarge
from contracts.wire import (
    CHALLENGES,
    CONTENT_TYPE,
    MAX_BATCH_BYTES,
    MAX_BATCH_RAW_BYTES,
    MAX_ENROL_BYTES,
    MAX_SUBJECT_ROW_BYTES,
    UNDERSTANDS,
    Ack,
    Batch,
    Heartbeat,
    Problem,
    SubjectPart,
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_IN_FLIGHT = 128 << 20
"""Bytes of bodies being received or decoded at one time; more is asked to come later."""
INLINE_BYTES = 64 << 10
"""Larger bodies are decoded on a thread, so that they do not hold up the heartbeats of others."""
MAX_WINDOW = 8 << 20
MAX_NUMBER = 2**62
MAX_KEY = 4096
MAX_ANSWERED = 8
MAX_PROOFS = 64
DUPLICATE_EVERY_MS = 60_000
_SUBJECT = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
_BATCHES: Codec[Batch] = Codec(Batch, MAX_BATCH_RAW_BYTES, tolerant=True)
_ENCODER = msgspec.msgpack.Encoder()


class Ingest:
    """Answers `POST /v1/report` and `POST /v1/renew` of agents that the listener has let in."""

    def __init__(
        self,
        store: Store,
        peers: Peers,
        enrolment: Enrolment,
        hub: Hub,
        metrics: Metrics,
        pulse: Pulse,
        interval_s: float,
        now_ms: Callable[[], int],
        challenges: ChallengeBook,
        challenge_settings: ChallengeSettings,
    ) -> None:
        self._store = store
        self._peers = peers
        self._enrolment = enrolment
        self._hub = hub
        self._metrics = metrics
        self._interval_s = interval_s
        self._now_ms = now_ms
        self._pulse = pulse
        self._instances = Instances()
        self._duplicates: dict[str, int] = {}
        self._in_flight = 0
        self._signatures = FleetSignatures()
        self.challenges = Challenges(store, challenges, challenge_settings, self._found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.monotonic()
        if scope["type"] != "http":
            return
        peer: Peer = scope["extensions"][EXTENSION]["peer"]
        answer = await self._route(scope, peer, receive)
        if answer is None:
            return  # the client went away before its request was whole
        self._metrics.reports.labels(str(answer.status)).inc()
        self._metrics.seconds.observe(time.monotonic() - started)
        await _respond(send, answer)

    async def _route(self, scope: Scope, peer: Peer, receive: Receive) -> Answer | None:
        refusal = self._peers.refusal(peer)
        if refusal:
            return problem(403, refusal, "enrol it again with a new token", permanent=True)
        path = scope["path"]
        if path not in ("/v1/report", "/v1/renew"):
            return problem(404, "there is nothing at this address", permanent=True)
        if scope["method"] != "POST":
            return problem(405, "only POST is answered here", permanent=True)
        limit = MAX_BATCH_BYTES if path == "/v1/report" else MAX_ENROL_BYTES
        try:
            return await self._with_body(scope, peer, receive, limit)
        except TooLarge as error:
            return problem(413, error.message, permanent=True)
        except HoldfastError as error:
            return problem(503, error.message, error.advice, permanent=False)

    async def _with_body(self, scope: Scope, peer: Peer, receive: Receive, limit: int) -> Answer | None:
        announced = _announced(scope)
        if announced > limit:
            raise TooLarge(f"{announced} bytes, more than the limit of {limit}")
        if self._in_flight + announced > MAX_IN_FLIGHT:
            return problem(503, "too many large reports at once", "try again in a few seconds")
        body = bytearray()
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                chunk = message.get("body", b"")
                body += chunk
                self._in_flight += len(chunk)
                if len(body) > limit:
                    raise TooLarge(f"more than the limit of {limit} bytes")
                if self._in_flight > MAX_IN_FLIGHT:
                    return problem(503, "too many large reports at once", "try again in a few seconds")
                if not message.get("more_body", False):
                    break
            if scope["path"] == "/v1/renew":
                return await self._enrolment.renew(bytes(body), peer)
            return await self._report(bytes(body), peer, _understands(scope))
        finally:
            self._in_flight -= len(body)

    async def _report(self, body: bytes, peer: Peer, understood: frozenset[str]) -> Answer:
        now = self._now_ms()
        try:
            if len(body) <= INLINE_BYTES:
                batch = open_report(body)
            else:
                batch = await asyncio.to_thread(open_report, body)
        except TooLarge:
            raise
        except Malformed as error:
            await self._found(peer.agent, FindingKind.MALFORMED, f"a report {error.message}", now)
            return problem(400, f"the report {error.message}", permanent=True)
        if batch.agent != peer.agent:
            detail = f"a report names {batch.agent[:64]!r}"
            await self._found(peer.agent, FindingKind.IMPERSONATION, detail, now)
            return problem(403, "the report names another agent than the certificate", permanent=True)
        result = await self._store.append(peer.agent, batch, now)
        if batch.heartbeat is not None and (isinstance(result, Stored) or result.status == 409):
            await self._alive(peer.agent, batch.heartbeat, now)
        if isinstance(result, RefusedReport):
            return self._refused(peer.agent, result, now)
        self._announce(peer.agent, batch, result, now)
        self._signatures.take(batch.subjects)
        challenges = await self.challenges.report(peer.agent, batch, CHALLENGES in understood, now)
        return Answer(
            status=200,
            body=_ENCODER.encode(
                Ack(
                    lanes=result.lanes,
                    subjects=result.subjects,
                    now_ms=now,
                    interval_s=self._interval_s,
                    newest=self._signatures.newest,
                    challenges=challenges,
                )
            ),
        )

    async def _alive(self, agent: str, beat: Heartbeat, now: int) -> None:
        """Pass a heartbeat on, and notice a second agent with the same identity."""
        self._pulse.heard(agent, beat, now)
        if not self._instances.is_duplicate(agent, beat.instance):
            return
        if now - self._duplicates.get(agent, 0) < DUPLICATE_EVERY_MS:
            return
        self._duplicates[agent] = now
        self._pulse.duplicate(agent, now)
        await self._store.mark_duplicate(agent, now)
        detail = f"two running agents use this identity; one of them on {beat.facts.hostname}"
        await self._found(agent, FindingKind.DUPLICATE, detail, now)
        await self._store.audit(now, "console", "agent.duplicate", f"agent:{agent}", detail)

    async def _found(self, agent: str, kind: FindingKind, detail: str, now: int) -> None:
        await self._store.note(agent, kind, detail, now)
        self._publish_finding(agent, kind, now)

    def _publish_finding(self, agent: str, kind: FindingKind, now: int) -> None:
        self._metrics.findings.labels(kind.value).inc()
        self._hub.publish(Change(topic=Topic.FINDING, agent=agent, at_ms=now))

    def _refused(self, agent: str, why: RefusedReport, now: int) -> Answer:
        if why.finding is not None:
            self._publish_finding(agent, why.finding, now)
        body = Problem(
            error=why.error, advice=why.advice, permanent=why.permanent, lanes=why.lanes, subjects=why.subjects
        )
        return Answer(status=why.status, body=_ENCODER.encode(body))

    def _announce(self, agent: str, batch: Batch, stored: Stored, now: int) -> None:
        if batch.heartbeat is not None:
            self._hub.publish(Change(topic=Topic.AGENT, agent=agent, at_ms=now))
        for subject in stored.changed_subjects:
            self._hub.publish(Change(topic=Topic.SUBJECT, agent=agent, subject=subject, at_ms=now))
        if stored.new_events:
            self._metrics.events.inc(stored.new_events)
            self._hub.publish(Change(topic=Topic.EVENTS, agent=agent, count=stored.new_events, at_ms=now))
        for kind in stored.new_findings:
            self._publish_finding(agent, kind, now)


def open_report(body: bytes) -> Batch:
    """Return the report in `body`; raises `Malformed` or `TooLarge`, and never holds more than the limit allows."""
    batch = _BATCHES.decode(decompress(body))
    for part in batch.subjects:
        _check_subject(part)
    if batch.heartbeat is not None:
        _check_heartbeat(batch.heartbeat)
    if len(batch.answered) > MAX_ANSWERED or any(len(each.proofs) > MAX_PROOFS for each in batch.answered):
        raise Malformed("answers more than anybody asks")
    return batch


def decompress(body: bytes) -> bytes:
    """Return what a zstd frame holds; a frame that would unpack to more than `MAX_BATCH_RAW_BYTES` is not unpacked."""
    try:
        size = zstandard.frame_content_size(body)
        if size > MAX_BATCH_RAW_BYTES:
            raise TooLarge(f"unpacks to {size} bytes, more than the limit of {MAX_BATCH_RAW_BYTES}")
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        if size > 0:
            return unpacker.decompress(body, max_output_size=size, allow_extra_data=False)
        with unpacker.stream_reader(body, read_size=64 << 10) as stream:
            plain = stream.read(MAX_BATCH_RAW_BYTES + 1)
    except (zstandard.ZstdError, ValueError) as error:
        raise Malformed("is not a zstd frame") from error
    if len(plain) > MAX_BATCH_RAW_BYTES:
        raise TooLarge(f"unpacks to more than the limit of {MAX_BATCH_RAW_BYTES} bytes")
    return plain


def _check_subject(part: SubjectPart) -> None:
    """Check what the type does not say: names, sizes, that rows are JSON, that numbers fit a database."""
    if not _SUBJECT.fullmatch(part.subject):
        raise Malformed("names a subject in a way no agent does")
    if not 0 <= part.base <= part.revision <= MAX_NUMBER or not 0 <= part.at_ms <= MAX_NUMBER:
        raise Malformed(f"has impossible numbers for {part.subject}")
    for key in (*part.put, *part.removed):
        if len(key) > MAX_KEY or "\0" in key:
            raise Malformed(f"has an impossible key in {part.subject}")
    for row in part.put.values():
        if len(row) > MAX_SUBJECT_ROW_BYTES:
            raise Malformed(f"has a row of {len(row)} bytes in {part.subject}")
        try:
            msgspec.json.decode(row)
        except UNDECODABLE as error:
            raise Malformed(f"has a row in {part.subject} that is not JSON") from error


def _check_heartbeat(beat: Heartbeat) -> None:
    if not -MAX_NUMBER <= beat.sent_ms <= MAX_NUMBER or len(beat.instance) > 128:
        raise Malformed("has an impossible heartbeat")


def _announced(scope: Scope) -> int:
    """Return the length that the head announces, 0 when it does not say."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _understands(scope: Scope) -> frozenset[str]:
    """Return what the sender says it understands (`contracts.wire.UNDERSTANDS`)."""
    said = [value.decode("latin-1") for name, value in scope["headers"] if name == UNDERSTANDS.encode()]
    return frozenset(" ".join(said)[:1000].split())


async def _respond(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
