"""One fact and its envelope: kinds, severities, lanes, and the chain that makes a lane tamper-evident."""

import hashlib
import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

from contracts.record import Record

ATTACK_VERSION = "17.1"
"""The MITRE ATT&CK release that every technique id in this tree refers to."""

Value = None | bool | int | float | str | list[str]
"""What a field of an event may hold. No nesting, so depth is bounded by the type."""

FieldType = Literal["str", "int", "float", "bool", "list"]


class Severity(IntEnum):
    """OCSF `severity_id`."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5
    FATAL = 6


class Lane(StrEnum):
    """The spool's three queues, most urgent first; each has its own sequence and chain."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BULK = "bulk"


class Kind(Record):
    """The type of an event, declared at the top of the file that emits it.

    `fields` names every field that may appear, with its type; a name means the same type in every kind (a test walks
    all of them). `meaning` is a full sentence in the past or present tense. `title` is a `str.format` template over the fields and
    `key` for the one-line text people read. `ocsf_class` is an OCSF `class_uid` (2004 detection finding, 5019 device
    config state change, 6008 application error …).
    """

    name: str
    meaning: str
    title: str
    severity: Severity
    fields: Mapping[str, FieldType] = {}
    attack: tuple[str, ...] = ()
    advice: str = ""
    ocsf_class: int = 2004
    lane: Lane = Lane.NORMAL

    def event(
        self,
        key: str,
        *,
        evidence: Mapping[str, str] | None = None,
        severity: Severity | None = None,
        observed_ms: int = 0,
        **fields: Value,
    ) -> "Event":
        """Make an event of this kind about `key`; raises `ValueError` for a field that the kind does not declare."""
        unknown = fields.keys() - self.fields.keys()
        if unknown:
            raise ValueError(f"{self.name} does not declare {', '.join(sorted(unknown))}")
        chosen = self.severity if severity is None else severity
        return Event(
            kind=self.name,
            key=key,
            severity=chosen,
            lane=Lane.CRITICAL if chosen >= Severity.CRITICAL else self.lane,
            fields={name: value for name, value in fields.items() if value is not None},
            evidence=dict(evidence or {}),
            observed_ms=observed_ms,
        )


class Event(Record):
    """One fact as its observer states it, before the spool gives it a place.

    `key` names the thing it speaks of within its subject. `observed_ms` is Unix time in milliseconds, 0 until the
    central execute fills it in. `dedup` is filled in centrally too and is deterministic: a repeat after a crash
    has the same one and collapses. `drill` is set when a drill caused it. `evidence` maps a label to text.
    """

    kind: str
    key: str
    severity: Severity
    lane: Lane = Lane.NORMAL
    fields: dict[str, Value] = {}
    evidence: dict[str, str] = {}
    observed_ms: int = 0
    dedup: str = ""
    drill: str = ""
    repeats: int = 0
    """How many equal events were held back by a rate limit before this one."""
    text: str = ""
    """The one line that people read, filled in by the core from the kind's title; the console knows no kinds."""
    advice: str = ""
    attack: tuple[str, ...] = ()
    """The kind's advice and ATT&CK techniques, filled in by the core, too."""


class Envelope(Record):
    """An event with its place: what the spool stores and the console keeps. `id` is a UUIDv7."""

    id: str
    agent: str
    lane: Lane
    seq: int
    event: Event


class Loss(Record, tag="loss"):
    """What takes the place of records that an overflowing lane dropped.

    Covers sequence numbers `first` to `last` inclusive (`count` of them held events). `chain` is the chain value of `last`,
    so that verification goes on; an `agent.events_lost` event in the same lane commits to these numbers.
    """

    first: int
    last: int
    count: int
    chain: bytes


class Sealed(Record, tag="sealed"):
    """An encoded `Envelope` at its place in a lane: `chain` = SHA-256(previous chain || body). The genesis chain is 32 zero bytes."""

    seq: int
    chain: bytes
    body: bytes


GENESIS = bytes(32)

TECHNIQUES = "techniques"
"""The field by which an event names ATT&CK techniques of its own besides its kind's: those of a detection rule."""
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")


def techniques(kind: Kind, event: Event) -> tuple[str, ...]:
    """Return the ATT&CK techniques of an event: its kind's, and those it names itself as far as they can be such."""
    own = event.fields.get(TECHNIQUES) if TECHNIQUES in kind.fields else None
    named = own if isinstance(own, list) else []
    return tuple(dict.fromkeys((*kind.attack, *(one for one in named if _TECHNIQUE.fullmatch(one)))))


def link(previous: bytes, body: bytes) -> bytes:
    """Return the chain value of a record whose encoded envelope is `body`, after one whose chain value is `previous`."""
    return hashlib.sha256(previous + body).digest()


def dedup_key(subject: str, revision: int, kind: str, key: str) -> str:
    """Return the deterministic dedup key of an event that comparing `subject` with its stored `revision` yields."""
    return hashlib.sha256(f"{subject}\0{revision}\0{kind}\0{key}".encode()).hexdigest()[:32]


def with_details(event: Event, *, observed_ms: int, dedup: str) -> Event:
    """Return `event` with its time and dedup key filled in where its observer left them empty."""
    return msgspec.structs.replace(event, observed_ms=event.observed_ms or observed_ms, dedup=event.dedup or dedup)
