"""Events as pages show them. The console knows no kinds: an agent may be newer, so it takes the agent's own line of text, and where
there is none (an event that the spool itself made) the kind's words and the key."""

from typing import NamedTuple

from console.store.records import EventRow
from console.web import words
from console.web.lookup import place_of
from contracts.event import Value


class EventView(NamedTuple):
    """One event in words. `id` is what its page's address holds, `uuid` the event's own id."""

    id: str
    uuid: str
    kind: str
    title: str
    advice: str
    attack: tuple[str, ...]
    sign: words.Sign
    when: str
    agent: str
    hostname: str
    key: str
    observed_ms: int
    received_ms: int
    drill: str
    repeats: int
    fields: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[str, str], ...]
    lane: str
    seq: int
    dedup: str


def event_view(row: EventRow) -> EventView:
    """Return `row` in words."""
    envelope = row.envelope
    event = envelope.event
    return EventView(
        id=place_of(row),
        uuid=envelope.id,
        kind=event.kind,
        title=event.text or title(event.kind, event.key),
        advice=event.advice,
        attack=event.attack,
        sign=words.severity_sign(event.severity),
        when=words.moment(event.observed_ms).removesuffix(" UTC"),
        agent=envelope.agent,
        hostname=row.hostname,
        key=event.key,
        observed_ms=event.observed_ms,
        received_ms=row.received_ms,
        drill=event.drill,
        repeats=event.repeats,
        fields=tuple((name.replace("_", " "), value_words(value)) for name, value in event.fields.items()),
        evidence=tuple(event.evidence.items()),
        lane=envelope.lane.value,
        seq=envelope.seq,
        dedup=event.dedup,
    )


def title(kind: str, key: str) -> str:
    """Return `Listener opened: tcp 0.0.0.0:8080` for the kind `ports.listener_opened`."""
    subject, _, fact = kind.partition(".")
    said = (fact or subject).replace("_", " ").strip() or "event"
    said = said[0].upper() + said[1:]
    return f"{said}: {key}" if key else said


def value_words(value: Value) -> str:
    """Return a field's value as people read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)
