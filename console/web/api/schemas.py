"""What the API answers with: its own shapes, so that the store can change without breaking anybody's program. Times are RFC 3339."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from contracts.record import Record

Time = Annotated[str, Meta(description="RFC 3339 in UTC; empty for never.", examples=["2026-11-21T18:30:02.000Z"])]
FieldValue = None | bool | float | str | list[str]
"""`contracts.event.Value` without telling int from float: in JSON Schema every integer is a number, too."""
Cursor = Annotated[str, Meta(description="Pass it as `cursor` for the next page; empty at the end.")]


class AgentShape(Record):
    """One agent. `state` is revoked, duplicate, down, never, late, degraded or up."""

    id: str
    name: str
    hostname: str
    state: str
    version: str
    os_name: str
    kernel: str
    enrolled: Time
    last_heartbeat: Time
    heartbeat_every_s: float
    certificate_ends: Time
    clock_skew_ms: int
    open_findings: int
    severe_events_24h: int
    events_lost: int
    subjects: Annotated[dict[str, int], Meta(description="Revision held of each subject.")]


class AgentPage(Record):
    """Some of the agents, by name."""

    items: list[AgentShape]
    next: Cursor = ""


class BlindShape(Record):
    """One thing that is not seen: `why` is from a closed list, `fix` says what would help."""

    what: str
    why: str
    detail: str
    fix: str


class SightShape(Record):
    """The view of one subject: `state` is seen, partial, unseen or unknown (not yet looked)."""

    subject: str
    state: str
    since: Time
    last_ok: Time
    rows: int
    blind: list[BlindShape]


class CoverageShape(Record):
    """What the agent said it sees; `stated` is when, empty when it never said anything."""

    agent: str
    stated: Time
    sights: list[SightShape]


class WorkerShape(Record):
    """One process of the agent."""

    name: str
    state: str
    uid: int
    pid: int
    restarts: int
    detail: str


class LaneShape(Record):
    """One queue of the agent: `held` is the last number this console holds, -1 for none."""

    lane: str
    held: int
    waiting: int
    bytes: int
    lost: int


class AgentDetailShape(Record):
    """One agent with what its last heartbeat said."""

    agent: AgentShape
    uptime_s: float
    workers: list[WorkerShape]
    lanes: list[LaneShape]
    coverage: CoverageShape


class SubjectPage(Record):
    """Rows of one subject as the agent sent them; `complete` is false while parts are still on their way."""

    agent: str
    subject: str
    revision: int
    seen: Time
    complete: bool
    total: int
    rows: dict[str, Any]
    next: Cursor = ""


class EventShape(Record):
    """One event. `href` is its own address in this API."""

    id: str
    href: str
    agent: str
    hostname: str
    kind: str
    key: str
    severity_id: int
    severity: str
    observed: Time
    received: Time
    lane: str
    seq: int
    fields: dict[str, FieldValue]
    evidence: dict[str, str]
    dedup: str
    drill: str
    repeats: int


class EventsPage(Record):
    """Some of the events, newest observed first."""

    items: list[EventShape]
    next: Cursor = ""


class EventDetailShape(Record):
    """One event with its OCSF form."""

    event: EventShape
    ocsf: dict[str, Any]


class FindingShape(Record):
    """Something this console found wrong with an agent's reports."""

    number: int
    agent: str
    kind: str
    meaning: str
    detail: str
    first: Time
    last: Time
    count: int
    acknowledged: Time
    acknowledged_by: str


class FindingsPage(Record):
    """The findings, newest first, at most 1000."""

    items: list[FindingShape]


class TokenShape(Record):
    """An enrolment token, without its secret. `state` is waiting, used, revoked or expired."""

    id: str
    note: str
    state: str
    hostname: str
    created: Time
    created_by: str
    expires: Time
    agent: str


class TokensPage(Record):
    """Some of the tokens, newest first."""

    items: list[TokenShape]
    next: Cursor = ""


class NewToken(Record):
    """What a new token is for."""

    note: Annotated[str, Meta(min_length=1, max_length=200)]
    hostname: Annotated[str, Meta(max_length=253, description="The only host name it may enrol; empty for any.")] = ""
    valid_s: Annotated[float, Meta(ge=60, le=604800)] = 86400.0


class TokenMadeShape(Record):
    """A new token: `token` and `command` are shown only this once."""

    token: str
    command: str
    id: str
    expires: Time


class ApiTokenShape(Record):
    """A program's token, without its secret. `state` is valid, ended or revoked."""

    id: str
    name: str
    role: str
    state: str
    created: Time
    created_by: str
    expires: Time
    last_used: Time


class ApiTokensPage(Record):
    """All tokens of programs, newest first."""

    items: list[ApiTokenShape]


class NewApiTokenShape(Record):
    """What a new token of a program may do, and for how long."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Literal["viewer", "operator", "admin"] = "viewer"
    valid_s: Annotated[float, Meta(ge=60, le=31622400)] = 7776000.0


class ApiTokenMadeShape(Record):
    """A new token of a program: `token` is shown only this once."""

    id: str
    token: str
    expires: Time


class UserShape(Record):
    """A person."""

    name: str
    role: str
    disabled: bool
    has_password: bool
    created: Time
    last_login: Time


class UsersPage(Record):
    """All users by name."""

    items: list[UserShape]


class AuditShape(Record):
    """One entry of the audit log."""

    number: int
    at: Time
    who: str
    what: str
    about: str
    detail: str
    address: str


class AuditPage(Record):
    """Some of the audit log, newest first."""

    items: list[AuditShape]
    next: Cursor = ""


class Revoked(Record):
    """`changed` is false when it was revoked before."""

    changed: bool
