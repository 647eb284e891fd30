"""Bans a source: decides whether it may, puts it into the kernel at once, cuts its flows, watches whether the ban holds.

A ban that must not be is no failure of this action: it is answered (`refused`) and an event, because whoever sends packets chooses how
often that happens.
"""

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace

from actions.block import elements, kinds, loaded, table
from actions.block.address import Network, canonical, overlap, parse
from actions.block.elements import Placed
from actions.block.escalation import counted, duration_s, widened
from actions.block.loaded import Mended
from actions.block.memory import Memory, of
from actions.block.options import Options
from actions.block.receipt import Receipt, Watch
from actions.block.saved import Entry, Saved, pruned
from contracts.action import Command, Progress, Result
from contracts.blocking import BANNED, LIMITED, UNBANNED
from contracts.errors import Unavailable, UsageError
from contracts.event import Event, Kind, Value
from contracts.host import Host
from contracts.proof import Proof, Verb
from contracts.record import Record

PROOF_VALID_S = 7 * 86400
MAX_SECONDS = 10 * 365 * 86400


class Wanted(Record):
    """What a command asks for. `seconds` 0: by the number of former bans; `until_ms` 0: for good."""

    network: Network
    entry: Entry
    seconds: float
    by_rule: bool
    asked_ms: float


class Stopped(Exception):
    """It is not to be banned: what is said instead, and how the command ends."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.summary)
        self.result = result


class Block:
    """Bans one address or network."""

    name: ClassVar[str] = "block"
    kinds: ClassVar[tuple[Kind, ...]] = (
        kinds.BLOCKED,
        kinds.INEFFECTIVE,
        kinds.REFUSED,
        kinds.SPOOFABLE,
        kinds.WOULD_BLOCK,
        kinds.CAPPED,
        kinds.RESTORED,
    )
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {
        "address": "str",
        "seconds": "float",
        "permanent": "bool",
        "reason": "str",
        "handshake": "bool",
    }
    """`seconds` 0 or absent: by `durations`. `handshake`: the event proves a completed handshake; without it a rule only limits."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it takes a second
        """Ban; the answer comes after the watch, the ban is in force at once. Raises `UsageError`, `Unavailable`."""
        started_ms = host.now().timestamp() * 1000
        memory = of(host)
        try:
            with memory.lock:
                saved = self._begin(host, memory, int(started_ms))
                former = memory.saved(host)
                wanted = self._decide(host, memory, saved, command, started_ms)
                handled = self._place(host, memory, saved, wanted, int(started_ms))
        except Stopped as stop:
            unsaved = memory.unsaved(host)
            return replace(stop.result, summary="; but ".join([stop.result.summary, *unsaved]))
        if host.dry:
            return Result(summary=f"would block {canonical(wanted.network)} {_how_long(wanted.entry)}")
        placed, milliseconds, watch = handled
        with memory.watch() as enough:
            unsaved = memory.unsaved(host)
            mended = _mend(host, memory, renew=(former.reject, former.limit) != (saved.reject, saved.limit))
            memory.interlocks.refresh(host)
            receipt = watch.over(self._options.watch, enough)
        receipt = replace(receipt, not_checked=(*receipt.not_checked, *unsaved))
        if placed.loaded and saved.holds_any:
            mended = Mended(wrong=("the table",), bans=len(saved.bans) + len(saved.limited), allowed=len(saved.allowed))
        return _told(host, wanted, placed, milliseconds, receipt, mended)

    def _begin(self, host: Host, memory: Memory, now_ms: int) -> Saved:
        saved = pruned(memory.saved(host), now_ms, int(self._options.forget_after * 1000))
        return replace(saved, begun_ms=saved.begun_ms or now_ms, reject=self._options.reject, limit=self._options.limit)

    def _decide(self, host: Host, memory: Memory, saved: Saved, command: Command, now: float) -> Wanted:
        """Return what to ban; raises `Stopped` when nothing is."""
        options, now_ms = self._options, int(now)
        wanted = _wanted(command, now)
        if wanted.by_rule:
            whole = widened(wanted.network, saved.bans, now_ms, options.window, options.addresses_per_64)
            if whole != wanted.network and not self._why_not(host, memory, saved, whole, True):
                wanted = replace(wanted, network=whole)
        reason = self._why_not(host, memory, saved, wanted.network, wanted.by_rule)
        if reason:
            raise Stopped(_refused(wanted, reason))
        seconds = wanted.seconds or duration_s(
            saved.offences.get(canonical(wanted.network)), options.durations, now_ms, options.forget_after
        )
        is_for_good = bool(command.arguments.get("permanent"))
        until_ms = 0 if is_for_good else now_ms + round(seconds * 1000)
        wanted = replace(wanted, seconds=seconds, entry=replace(wanted.entry, until_ms=until_ms))
        if wanted.by_rule:
            self._hold_back(host, memory, saved, wanted, command, now_ms)
        return wanted

    def _why_not(self, host: Host, memory: Memory, saved: Saved, network: Network, by_rule: bool) -> str:
        widest = self._options.widest4 if network.version == 4 else self._options.widest6
        if network.prefixlen < widest:
            return f"it is wider than /{widest}, and nothing so wide is ever banned"
        options = self._options
        kept = saved if by_rule else replace(saved, unbanned={})  # what a person bans was not meant to stay unbanned
        return memory.interlocks.why_not(host, network, options.never, kept, options.forgive_before, by_rule)

    def _hold_back(
        self, host: Host, memory: Memory, saved: Saved, wanted: Wanted, command: Command, now_ms: int
    ) -> None:
        """Raise `Stopped` where a rule's ban is only recorded, limited, or one too many."""
        is_proven = command.arguments.get("handshake") is True
        if now_ms < saved.begun_ms + self._options.shadow * 1000:
            if not host.dry and memory.saved(host).begun_ms != saved.begun_ms:
                memory.save(host, saved)
            raise Stopped(_would(wanted, is_proven))
        if not is_proven:
            raise Stopped(self._limit(host, memory, saved, wanted, now_ms))
        if not host.dry and not memory.may_ban(host.monotonic(), self._options.max_per_minute):
            raise Stopped(self._capped(host, memory, wanted))

    def _limit(self, host: Host, memory: Memory, saved: Saved, wanted: Wanted, now_ms: int) -> Result:
        name, entry = canonical(wanted.network), wanted.entry
        elements.place(host, saved, LIMITED, wanted.network, entry, now_ms)
        memory.save(host, replace(saved, limited={**saved.limited, name: entry}))
        event = kinds.SPOOFABLE.event(name, network=name, reason=entry.reason, cause=entry.cause, until=_until(entry))
        summary = f"limited {name} instead of banning it: its address may be forged"
        return Result(summary=summary, events=(event,))

    def _capped(self, host: Host, memory: Memory, wanted: Wanted) -> Result:
        most, name = self._options.max_per_minute, canonical(wanted.network)
        events: tuple[Event, ...] = ()
        if memory.may_tell(host.monotonic()):
            events = (kinds.CAPPED.event(name, network=name, max_per_minute=most, cause=wanted.entry.cause),)
        reason = f"more than {most} bans within a minute"
        answer: dict[str, Value] = {"network": name, "refused": reason}
        return Result(summary=f"{name} was not blocked: {reason}", events=events, answer=answer)

    def _place(
        self, host: Host, memory: Memory, saved: Saved, wanted: Wanted, now_ms: int
    ) -> tuple[Placed, float, Watch]:
        """Put the ban into the kernel, then see to all that can wait; returns how, after how many milliseconds, and the watch."""
        name, entry = canonical(wanted.network), wanted.entry
        lifted = [] if wanted.by_rule else self._forget_unbanned(host, saved, wanted.network)
        placed = elements.place(host, saved, BANNED, wanted.network, entry, now_ms)
        milliseconds = host.now().timestamp() * 1000 - wanted.asked_ms
        entry = replace(entry, until_ms=placed.until_ms)
        if not (placed.loaded or placed.replaced or placed.covered_by or lifted):
            memory.committed()
        watch = Watch(host, wanted.network, memory.hook)
        if placed.covered_by and placed.covered_by != name:
            return placed, milliseconds, watch
        offences = counted(saved.offences.get(name), now_ms, self._options.forget_after)
        if not placed.covered_by:
            saved = replace(
                saved,
                bans={**elements.without(saved.bans, placed.replaced), name: entry},
                unbanned=elements.without(saved.unbanned, lifted),
                offences={**saved.offences, name: offences},
            )
        memory.save(host, saved)
        return placed, milliseconds, watch

    def _forget_unbanned(self, host: Host, saved: Saved, network: Network) -> list[str]:
        """What a person bans is no longer unbanned, in whole or in part."""
        found = [parse(name) for name in saved.unbanned]
        return elements.remove(host, UNBANNED, [one for one in found if overlap(one, network)])


def _wanted(command: Command, now: float) -> Wanted:
    arguments = command.arguments
    seconds = arguments.get("seconds") or 0.0
    if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        advice = f"give a number from 1 to {MAX_SECONDS} (ten years), or ban it for good"
        raise UsageError(f"{seconds!r} seconds are no length of a ban", advice=advice)
    by_rule = bool(command.cause)
    event = command.event
    default = f"{event.kind}: {event.key}" if event is not None else ""
    entry = Entry(
        since_ms=int(now),
        who=command.who or "rule",
        reason=str(arguments.get("reason") or default),
        cause=command.cause,
    )
    asked_ms = float(event.observed_ms) if event is not None and event.observed_ms else now
    network = parse(str(arguments.get("address") or ""))
    return Wanted(network=network, entry=entry, seconds=float(seconds), by_rule=by_rule, asked_ms=asked_ms)


def _refused(wanted: Wanted, reason: str) -> Result:
    name, entry = canonical(wanted.network), wanted.entry
    event = kinds.REFUSED.event(name, network=name, detail=reason, who=entry.who, cause=entry.cause)
    summary = f"{name} was not blocked: {reason}"
    return Result(summary=summary, events=(event,), answer={"network": name, "refused": reason})


def _would(wanted: Wanted, is_proven: bool) -> Result:
    name, entry = canonical(wanted.network), wanted.entry
    detail = "a ban" if is_proven else "a limit, because its address may be forged"
    event = kinds.WOULD_BLOCK.event(
        name,
        network=name,
        detail=detail,
        reason=entry.reason,
        seconds=wanted.seconds,
        cause=entry.cause,
        until=_until(entry),
    )
    return Result(summary=f"would have blocked {name} ({detail}): the shadow time is not over", events=(event,))


def _mend(host: Host, memory: Memory, renew: bool) -> Mended:
    """Load our table again where a part of it is missing; what cannot be looked at now, the receipt says."""
    try:
        with memory.lock:
            return loaded.mend(host, memory, int(host.now().timestamp() * 1000), needs_table=True, renew=renew)
    except (Unavailable, table.NotLoaded):
        return Mended()


def _told(host: Host, wanted: Wanted, placed: Placed, milliseconds: float, receipt: Receipt, mended: Mended) -> Result:
    """Return what is said of a ban that is in the kernel."""
    name, entry = canonical(wanted.network), replace(wanted.entry, until_ms=placed.until_ms)
    wanted = replace(wanted, entry=entry)
    events: list[Event] = []
    if mended.wrong:
        detail = f"missing were: {', '.join(mended.wrong)}"
        events.append(kinds.RESTORED.event("table", bans=mended.bans, allowed=mended.allowed, detail=detail))
    if not placed.covered_by:
        events.append(_blocked(wanted, milliseconds, receipt))
    if not receipt.holds:
        causes = list(receipt.causes) or ["it cannot be told why"]
        events.append(
            kinds.INEFFECTIVE.event(
                name,
                network=name,
                detail="; ".join(causes)[:500],
                causes=causes,
                packets_leaked=receipt.leaked,
                cause=entry.cause,
            )
        )
    answer: dict[str, Value] = {
        "network": name,
        "until_ms": placed.until_ms,
        "milliseconds": round(milliseconds, 3),
        "covered_by": placed.covered_by,
        "effective": receipt.holds,
        "causes": list(receipt.causes),
        "flows_cut": receipt.flows_cut,
        "packets_dropped": receipt.dropped,
        "packets_leaked": receipt.leaked,
        "not_checked": list(receipt.not_checked),
    }
    summary = _summary(name, wanted, placed, receipt)
    return Result(summary=summary, events=tuple(events), proof=_proof(host, name, milliseconds, receipt), answer=answer)


def _blocked(wanted: Wanted, milliseconds: float, receipt: Receipt) -> Event:
    name, entry = canonical(wanted.network), wanted.entry
    return kinds.BLOCKED.event(
        name,
        network=name,
        who=entry.who,
        reason=entry.reason,
        cause=entry.cause,
        until=_until(entry),
        milliseconds=round(milliseconds, 3),
        read_back=receipt.read_back,
        flows_cut=receipt.flows_cut,
        sockets_closed=receipt.sockets_closed,
        packets_dropped=receipt.dropped,
        packets_leaked=receipt.leaked,
        watched_s=receipt.watched_s,
        not_checked=list(receipt.not_checked),
    )


def _summary(name: str, wanted: Wanted, placed: Placed, receipt: Receipt) -> str:
    if placed.covered_by:
        by = "already" if placed.covered_by == name else f"already by the ban of {placed.covered_by}"
        return f"{name} is blocked {by}"
    text = f"blocked {name} {_how_long(wanted.entry)}"
    return text if receipt.holds else f"{text}, but packets get through: {'; '.join(receipt.causes)[:300]}"


def _proof(host: Host, name: str, milliseconds: float, receipt: Receipt) -> Proof | None:
    """A ban is proved when the kernel refused packets of the source and none got through."""
    if not (receipt.read_back and receipt.holds and receipt.dropped):
        return None
    return Proof(
        subject="block",
        verb=Verb.REFUSED,
        at_ms=int(host.now().timestamp() * 1000),
        valid_s=PROOF_VALID_S,
        numbers={
            "milliseconds": milliseconds,
            "packets": float(receipt.dropped),
            "flows_cut": float(receipt.flows_cut),
        },
        detail=f"packets of {name} were dropped",
    )


def _until(entry: Entry) -> str:
    """Return the end in ISO 8601 (UTC), or `for good`."""
    return iso(entry.until_ms) if entry.until_ms else "for good"


def _how_long(entry: Entry) -> str:
    return f"until {iso(entry.until_ms)}" if entry.until_ms else "for good"


def iso(at_ms: int) -> str:
    """Return a time in ISO 8601, UTC, to the second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
