"""Giving events their place: envelope, sequence, chain and row, without touching the file."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from hashlib import sha256

import msgspec

from agent.clock import Clock, Ids
from agent.spool.schema import ROW_OVERHEAD, LaneBook
from contracts.errors import Malformed, TooLarge
from contracts.event import Envelope, Event, Lane

MAX_EVENT_BYTES = 1 << 20
"""The largest encoded envelope; what a worker's frame can carry fits."""

MAX_BUNDLE = 256
"""How many records one row holds at most."""
MAX_BUNDLE_BYTES = 256 << 10

_UNENCODABLE = (UnicodeEncodeError, OverflowError, TypeError)

Row = tuple[int, int, int, bytes, bytes]
"""A bundle as in the table: last seq, count, time of the newest event, chain, body."""


class Batch(msgspec.Struct):
    """Sealed events on their way to the file: bundles by lane, their dedup keys, their size in bytes."""

    envelopes: list[Envelope] = msgspec.field(default_factory=list)
    rows: dict[Lane, list[Row]] = msgspec.field(default_factory=dict)
    keys: set[bytes] = msgspec.field(default_factory=set)
    size: int = 0


class Sealer:
    """Makes envelopes of one agent; ids go on after `last`."""

    def __init__(self, agent: str, clock: Clock, last: str = "") -> None:
        self._agent = agent
        self._clock = clock
        self._ids = Ids(clock, last)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Envelope).decode

    def seal(
        self, events: Sequence[Event], heads: Mapping[Lane, tuple[int, bytes]], seen: tuple[Set[bytes], Set[bytes]]
    ) -> Batch:
        """Seal `events` after `heads` (last seq and chain per lane), leaving out those whose dedup key is in `seen` or came before.

        Raises `TooLarge` for an event that could never be delivered and `Malformed` for one that cannot be encoded.
        """
        batch = Batch()
        recent, former = seen
        now = self._clock.now_ms()
        by_lane: dict[Lane, list[Event]] = {}
        for event in events:
            key = dedup_bytes(event.dedup)
            if key is not None:
                if key in recent or key in former or key in batch.keys:
                    continue
                batch.keys.add(key)
            if not event.observed_ms:
                event = msgspec.structs.replace(event, observed_ms=now)
            lane = event.lane
            if lane in by_lane:
                by_lane[lane].append(event)
            else:
                by_lane[lane] = [event]
        for lane, chosen in by_lane.items():
            seq, chain = heads[lane]
            names = self._ids.take(len(chosen))
            envelopes = [
                Envelope(id=name, agent=self._agent, lane=lane, seq=place, event=event)
                for place, (name, event) in enumerate(zip(names, chosen, strict=True), start=seq + 1)
            ]
            batch.envelopes += envelopes
            batch.rows[lane] = rows = self._bundles(envelopes, chain)
            for row in rows:
                batch.size += len(row[4]) + ROW_OVERHEAD
        return batch

    def seal_one(self, event: Event, head: int, chain: bytes) -> tuple[Envelope, Row]:
        """Seal a single event after `head`: what `seal` does, without its detours."""
        if not event.observed_ms:
            event = msgspec.structs.replace(event, observed_ms=self._clock.now_ms())
        seq = head + 1
        envelope = Envelope(id=self._ids.one(), agent=self._agent, lane=event.lane, seq=seq, event=event)
        try:
            body = self._encode(envelope)
        except _UNENCODABLE as error:
            raise _malformed(envelope, error) from error
        if len(body) > MAX_EVENT_BYTES:
            raise _too_large(envelope, len(body))
        return envelope, (seq, 1, event.observed_ms, sha256(chain + body).digest(), self._encode((body,)))

    def seal_again(self, bodies: Iterable[bytes], lane: Lane, head: int, chain: bytes) -> list[Row]:
        """Give the envelopes in `bodies` new places after `head`; their ids stay."""
        envelopes = [
            Envelope(id=old.id, agent=self._agent, lane=lane, seq=seq, event=old.event)
            for seq, old in enumerate(map(self._decode, bodies), start=head + 1)
        ]
        return self._bundles(envelopes, chain)

    def _bundles(self, envelopes: Sequence[Envelope], chain: bytes) -> list[Row]:
        encode = self._encode
        rows: list[Row] = []
        bodies: list[bytes] = []
        size = at_ms = 0
        for envelope in envelopes:
            try:
                body = encode(envelope)
            except _UNENCODABLE as error:
                raise _malformed(envelope, error) from error
            length = len(body)
            if size + length > MAX_BUNDLE_BYTES or len(bodies) == MAX_BUNDLE:
                if length > MAX_EVENT_BYTES:
                    raise _too_large(envelope, length)
                if bodies:
                    rows.append((envelope.seq - 1, len(bodies), at_ms, chain, encode(bodies)))
                    bodies, size, at_ms = [], 0, 0
            chain = sha256(chain + body).digest()
            bodies.append(body)
            size += length
            if envelope.event.observed_ms > at_ms:
                at_ms = envelope.event.observed_ms
        rows.append((envelopes[-1].seq, len(bodies), at_ms, chain, encode(bodies)))
        return rows


def _malformed(envelope: Envelope, error: Exception) -> Malformed:
    return Malformed(f"an event of kind {envelope.event.kind!a} cannot be encoded: {error}")


def _too_large(envelope: Envelope, length: int) -> TooLarge:
    return TooLarge(f"an event of kind {envelope.event.kind} takes {length} bytes; the limit is {MAX_EVENT_BYTES}")


def dedup_bytes(dedup: str) -> bytes | None:
    """Return the short form of a dedup key, None when the event has none."""
    if not dedup:
        return None
    if len(dedup) == 32:
        try:
            return bytes.fromhex(dedup)
        except ValueError:
            pass  # not one of ours; as it is, then
    return dedup.encode("utf-8", "surrogatepass")


def count_in(book: LaneBook, rows: Sequence[Row]) -> None:
    """Note in `book` that `rows` are in the file."""
    for last, count, _, chain, body in rows:
        book.head, book.chain = last, chain
        book.waiting += count
        book.waiting_bytes += len(body) + ROW_OVERHEAD
    book.commitment = 0


def pages(bodies: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Cut `bodies` into lists of a bearable length."""
    while page := list(itertools.islice(bodies, MAX_BUNDLE)):
        yield page
