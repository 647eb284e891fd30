"""Storing what agents report: append once, chains verified, heartbeats coalesced."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from console.chains import MAX_SEQ, Accepted, Head, NewRecord, Rejected, examine
from console.liveness import period_s, summarise
from console.store.database import Database, Held, clean, upsert, upsert_adding, upsert_bits
from console.store.findings import add_finding, close_gaps
from console.store.interface import RefusedReport, Stored
from console.store.records import FindingKind
from console.store.schema import (
    LANES,
    agents,
    event_counts,
    events,
    lanes,
    losses,
    presence,
)
from console.store.subject_parts import apply_part, mismatch
from console.store.writer import Group
from contracts.event import Event, Lane, Loss
from contracts.wire import Batch, Heartbeat, SubjectPart

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
EVENTS_LOST = "agent.events_lost"
CHAINS_AT_ONCE = 500
_HEARTBEATS = msgspec.msgpack.Encoder()


class _Pending:
    """What the jobs of one group leave to be written at once at its end."""

    def __init__(self) -> None:
        self.heartbeats: dict[int, dict[str, Any]] = {}
        self.presence: dict[tuple[int, int], int] = {}
        self.events: list[dict[str, Any]] = []
        self.counts: dict[tuple[int, int, int], int] = {}
        self.heads: dict[tuple[int, int], Head] = {}
        self.losses: list[dict[str, Any]] = []
        self.explained: list[dict[str, Any]] = []

    def write(self, connection: Connection) -> None:
        """Write everything with one statement per table."""
        if self.heartbeats:
            connection.execute(_BEAT, list(self.heartbeats.values()))
        self._write_events(connection)
        if self.presence:
            bits = [{"agent": a, "hour_ms": hour, "minutes": m} for (a, hour), m in self.presence.items()]
            upsert_bits(connection, presence, "minutes", bits)

    def _write_events(self, connection: Connection) -> None:
        if self.events:
            connection.execute(insert(events), self.events)
            counts = [
                {"agent": a, "hour_ms": hour, "severity": s, "count": n} for (a, hour, s), n in self.counts.items()
            ]
            upsert_adding(connection, event_counts, "count", counts)
        if self.losses:
            connection.execute(insert(losses), self.losses)
            lost = [{"who": row["agent"], "more": row["count"]} for row in self.losses]
            connection.execute(_LOST, lost)
        if self.explained:
            connection.execute(_EXPLAINED, self.explained)
        if self.heads:
            heads = [{"agent": a, "lane": n, "seq": h.seq, "chain": h.chain} for (a, n), h in self.heads.items()]
            upsert(connection, lanes, ("agent", "lane"), heads)
        self.events, self.counts, self.losses, self.heads, self.explained = [], {}, [], {}, []


_BEAT = (
    update(agents)
    .where(agents.c.number == bindparam("who"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "hostname",
                "version",
                "os_name",
                "kernel",
                "heartbeat_ms",
                "skew_ms",
                "every_s",
                "uptime_s",
                "seen",
                "partial",
                "unseen",
                "unknown",
                "blind",
                "workers_down",
                "heartbeat",
            )
        }
    )
)
_LOST = update(agents).where(agents.c.number == bindparam("who")).values(lost=agents.c.lost + bindparam("more"))
_EXPLAINED = (
    update(losses)
    .where(
        (losses.c.agent == bindparam("who"))
        & (losses.c.lane == bindparam("where"))
        & (losses.c.last <= bindparam("until"))
        & ((losses.c.last == bindparam("until")) | (losses.c.first >= bindparam("since")))
    )
    .values(explained=1)
)


class SqlReports(Database):
    """The part of the store that the receiver of reports uses."""

    async def append(self, agent: str, batch: Batch, received_ms: int) -> Stored | RefusedReport:
        """Store a report once; see `console.store.interface.ReportStore`."""
        return await self.write(lambda group: self._append(group, agent, batch, received_ms))

    async def note(
        self, agent: str, kind: FindingKind, detail: str, at_ms: int, lane: Lane | None = None, seq: int = 0
    ) -> None:
        """Record a finding about an agent."""

        def work(group: Group) -> None:
            known = self._known.get(agent)
            if known is not None:
                add_finding(group.connection, known.number, kind, detail, at_ms, lane, seq)

        await self.write(work)

    async def mark_duplicate(self, agent: str, at_ms: int) -> None:
        """Remember that two running agents used this identity."""
        await self.write(
            lambda group: group.connection.execute(
                update(agents).where(agents.c.id == agent).values(duplicate_ms=at_ms)
            )
        )

    def _append(self, group: Group, agent: str, batch: Batch, now_ms: int) -> Stored | RefusedReport:
        known = self._known.get(agent)
        if known is None or known.revoked:
            return _stranger(revoked=known is not None)
        held = self._holding(group, known.number)
        pending: _Pending = group.later.setdefault("reports", _Pending())
        accepted = self._examine(group.connection, pending, known.number, agent, batch, held)
        if not isinstance(accepted, Rejected):
            accepted = mismatch(batch.subjects, held.subjects) or accepted
        if not isinstance(accepted, Rejected) or accepted.status == 409:
            _beat(pending, known.number, batch.heartbeat, held, now_ms)  # a broken chain does not make a host silent
        if isinstance(accepted, Rejected):
            return _refuse(group.connection, known.number, accepted, held, now_ms)
        return self._store(group, pending, known.number, accepted, batch.subjects, held, now_ms)

    def _examine(
        self, connection: Connection, pending: _Pending, number: int, agent: str, batch: Batch, held: Held
    ) -> list[tuple[Lane, Accepted]] | Rejected:
        heads = dict(held.lanes)
        result: list[tuple[Lane, Accepted]] = []
        for part in batch.lanes:

            def chains(seqs: Sequence[int], lane: Lane = part.lane) -> Mapping[int, bytes]:
                pending._write_events(connection)
                return _chains(connection, number, lane, seqs)

            verdict = examine(agent, part, heads.get(part.lane, Head()), chains)
            if isinstance(verdict, Rejected):
                return msgspec.structs.replace(verdict, error=f"{part.lane}: {verdict.error}", lane=part.lane)
            heads[part.lane] = verdict.head
            result.append((part.lane, verdict))
        return result

    def _store(
        self,
        group: Group,
        pending: _Pending,
        number: int,
        accepted: list[tuple[Lane, Accepted]],
        parts: Sequence[SubjectPart],
        held: Held,
        now_ms: int,
    ) -> Stored:
        new: list[FindingKind] = []
        count = 0
        for lane, verdict in accepted:
            if verdict.epoch:
                before = held.lanes.get(lane, Head()).seq
                seq = verdict.records[0].sealed.seq
                detail = (
                    f"the agent set its spool aside; what it held after record {before} and before {seq} is unknown"
                )
                add_finding(group.connection, number, FindingKind.NEW_EPOCH, detail, now_ms, lane, seq)
                new.append(FindingKind.NEW_EPOCH)
            _take(pending, number, lane, verdict, now_ms)
            held.lanes[lane] = verdict.head
            if lane in held.gaps and (verdict.records or verdict.losses):
                close_gaps(group.connection, number, lane, now_ms)
                held.gaps.discard(lane)
            count += len(verdict.records)
        changed = [part.subject for part in parts if apply_part(group.connection, number, part, held.subjects)]
        return Stored(
            lanes=held.sequences(),
            subjects=held.revisions(),
            new_events=count,
            changed_subjects=tuple(dict.fromkeys(changed)),
            new_findings=tuple(new),
        )


def _stranger(*, revoked: bool) -> RefusedReport:
    error = "this agent is revoked" if revoked else "this agent is not known here"
    return RefusedReport(
        status=403,
        error=error,
        advice="enrol it again with a new token",
        permanent=True,
        lanes={},
        subjects={},
    )


def _refuse(connection: Connection, number: int, why: Rejected, held: Held, now_ms: int) -> RefusedReport:
    if why.finding is not None:
        add_finding(connection, number, why.finding, why.error, now_ms, why.lane, why.seq)
    if why.finding is FindingKind.GAP and why.lane is not None:
        held.gaps.add(why.lane)
    return RefusedReport(
        status=why.status,
        error=why.error,
        advice=why.advice,
        permanent=why.permanent,
        lanes=held.sequences(),
        subjects=held.revisions(),
        finding=why.finding,
    )


def _chains(connection: Connection, number: int, lane: Lane, seqs: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = (events.c.agent == number) & (events.c.lane == LANES[lane])
    for start in range(0, len(seqs), CHAINS_AT_ONCE):
        wanted = seqs[start : start + CHAINS_AT_ONCE]
        rows = connection.execute(select(events.c.seq, events.c.chain).where(place & events.c.seq.in_(wanted)))
        found.update({row.seq: row.chain for row in rows})
        gone = (losses.c.agent == number) & (losses.c.lane == LANES[lane]) & losses.c.last.in_(wanted)
        found.update(
            {row.last: row.chain for row in connection.execute(select(losses.c.last, losses.c.chain).where(gone))}
        )
    return found


def _beat(pending: _Pending, number: int, beat: Heartbeat | None, held: Held, now_ms: int) -> None:
    """Keep the latest heartbeat, and set the bit of this minute once."""
    minute = now_ms // MINUTE_MS
    if beat is None:
        return
    sights = summarise(beat)
    pending.heartbeats[number] = {
        "who": number,
        "new_hostname": clean(beat.facts.hostname),
        "new_version": clean(beat.version),
        "new_os_name": clean(beat.facts.os_name),
        "new_kernel": clean(beat.facts.kernel),
        "new_heartbeat_ms": now_ms,
        "new_skew_ms": max(-(2**62), min(2**62, beat.sent_ms - now_ms)),
        "new_every_s": period_s(beat.every_s),
        "new_uptime_s": beat.uptime_s if math.isfinite(beat.uptime_s) else 0.0,
        "new_seen": sights.seen,
        "new_partial": sights.partial,
        "new_unseen": sights.unseen,
        "new_unknown": sights.unknown,
        "new_blind": sights.blind,
        "new_workers_down": sights.workers_down,
        "new_heartbeat": _HEARTBEATS.encode(beat),
    }
    if held.minute != minute:
        held.minute = minute
        hour = now_ms - now_ms % HOUR_MS
        bit = 1 << (minute % 60)
        pending.presence[number, hour] = pending.presence.get((number, hour), 0) | bit


def _take(pending: _Pending, number: int, lane: Lane, verdict: Accepted, now_ms: int) -> None:
    """Leave new records, losses and the new head to be written."""
    code = LANES[lane]
    for record in verdict.records:
        pending.events.append(_row(number, code, record, now_ms))
        observed = min(record.envelope.event.observed_ms, now_ms)
        key = (number, observed - observed % HOUR_MS, int(record.envelope.event.severity))
        pending.counts[key] = pending.counts.get(key, 0) + 1
        if record.envelope.event.kind == EVENTS_LOST:
            _explain(pending, number, code, record.envelope.event)
    for loss in verdict.losses:
        pending.losses.append(_loss_row(number, code, loss, now_ms))
    if verdict.records or verdict.losses:
        pending.heads[number, code] = verdict.head


def _explain(pending: _Pending, number: int, lane: int, event: Event) -> None:
    """Mark the losses that an `agent.events_lost` event commits to."""
    first, last = event.fields.get("first"), event.fields.get("last")
    if isinstance(first, int) and isinstance(last, int) and 0 <= first <= last <= MAX_SEQ:
        pending.explained.append({"who": number, "where": lane, "since": first, "until": last})


def _row(number: int, lane: int, record: NewRecord, now_ms: int) -> dict[str, Any]:
    event = record.envelope.event
    return {
        "agent": number,
        "lane": lane,
        "seq": record.sealed.seq,
        "chain": record.sealed.chain,
        "observed_ms": event.observed_ms,
        "received_ms": now_ms,
        "kind": clean(event.kind),
        "severity": int(event.severity),
        "text": searchable(event),
        "body": record.sealed.body,
    }


def searchable(event: Event) -> str:
    """Return what the text filter looks through: kind, key and field values, in lower case."""
    words = [event.kind, event.key]
    words += [" ".join(value) if isinstance(value, list) else str(value) for value in event.fields.values()]
    return clean(" ".join(words)).lower()


def _loss_row(number: int, lane: int, loss: Loss, now_ms: int) -> dict[str, Any]:
    return {
        "agent": number,
        "lane": lane,
        "first": loss.first,
        "last": loss.last,
        "count": loss.count,
        "chain": loss.chain,
        "explained": 0,
        "received_ms": now_ms,
    }
