"""What the store answers: typed, immutable rows, independent of any database."""

from enum import StrEnum

from contracts.coverage import Coverage
from contracts.event import Envelope, Lane
from contracts.record import Record
from contracts.wire import Heartbeat


class State(StrEnum):
    """How an agent is, worst first; computed by `console.liveness` from what is stored and the time."""

    REVOKED = "revoked"
    DUPLICATE = "duplicate"
    DOWN = "down"
    NEVER = "never"
    LATE = "late"
    DEGRADED = "degraded"
    UP = "up"


class Role(StrEnum):
    """What a user may do; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Sights(Record):
    """How much of its host an agent sees: subjects by state, and how many workers are not working.

    `blind` counts the subjects that are partly or wholly unseen for a reason that degrades the agent.
    """

    seen: int = 0
    partial: int = 0
    unseen: int = 0
    unknown: int = 0
    blind: int = 0
    workers_down: int = 0


class Agent(Record):
    """One line of the fleet. Times are Unix ms by the console's clock unless said otherwise; 0 means never.

    `skew_ms` is the agent's clock minus the console's at the last heartbeat. `problems` counts the console's own open findings about this
    agent (see `Finding`), `severe_24h` its events of severity high and worse in the last 24 hours, `lost` the events it lost for good.
    """

    id: str
    name: str
    hostname: str = ""
    version: str = ""
    os_name: str = ""
    kernel: str = ""
    state: State = State.NEVER
    enrolled_ms: int = 0
    revoked_ms: int = 0
    heartbeat_ms: int = 0
    every_s: float = 0.0
    skew_ms: int = 0
    uptime_s: float = 0.0
    duplicate_ms: int = 0
    certificate_ends_ms: int = 0
    sights: Sights = Sights()
    problems: int = 0
    severe_24h: int = 0
    lost: int = 0
    subjects: dict[str, int] = {}
    """Revision by subject."""


class AgentDetail(Record):
    """One agent with everything its last heartbeat said; `heartbeat` is None before the first."""

    agent: Agent
    heartbeat: Heartbeat | None = None
    lanes: dict[Lane, int] = {}
    """The last sequence number held per lane."""

    @property
    def coverage(self) -> Coverage:
        """What the agent can and cannot see, by its last heartbeat."""
        return self.heartbeat.coverage if self.heartbeat else Coverage()


class Subject(Record):
    """The rows of one subject of one agent: JSON by key. `at_ms` is when the agent looked, by its clock.

    `complete` is false while further parts of a large snapshot are still on their way.
    """

    agent: str
    subject: str
    revision: int
    at_ms: int
    rows: dict[str, bytes]
    complete: bool = True


class EventFilter(Record):
    """Which events are wanted; an empty field does not restrict. `text` is looked for in key, kind and field values, ignoring case."""

    agent: str = ""
    kind: str = ""
    """A kind, or with a trailing dot every kind of that subject (`ports.`)."""
    severity_min: int = 0
    lane: Lane | None = None
    since_ms: int = 0
    until_ms: int = 0
    text: str = ""


class EventRow(Record):
    """One stored event. `number` is the console's own, growing in order of arrival."""

    number: int
    hostname: str
    received_ms: int
    envelope: Envelope


class EventPage(Record):
    """Events, newest observed first; `next` is the cursor of the following page or "" at the end."""

    events: tuple[EventRow, ...]
    next: str = ""


class LossRow(Record):
    """Sequence numbers `first` to `last` of a lane that the agent had to drop; `count` of them held events.

    `explained` when a chained `agent.events_lost` event accounts for it; a loss without one is suspicious.
    """

    agent: str
    lane: Lane
    first: int
    last: int
    count: int
    received_ms: int
    explained: bool = True


class FindingKind(StrEnum):
    """What the console itself can find wrong with what an agent says."""

    CONFLICT = "conflict"
    """A different record came for a sequence number that is held: tampering, or two hosts with one identity."""
    CHAIN = "chain"
    """A record does not follow from the one that is held."""
    GAP = "gap"
    """Sequence numbers are missing and no loss accounts for them (yet: closed by itself when the agent sends them)."""
    NEW_EPOCH = "new_epoch"
    """The agent set its spool aside and began a new chain; what lay between is not held."""
    DUPLICATE = "duplicate"
    """Two running agents use one identity."""
    MALFORMED = "malformed"
    """A report from this agent's certificate does not decode."""
    IMPERSONATION = "impersonation"
    """A report names another agent than its certificate does."""
    CHALLENGE_FAILED = "challenge_failed"
    """A file holds something else than before, and the host told of no change."""
    UNANSWERED = "challenge_unanswered"
    """The agent did not prove what files hold when it was asked."""


class Finding(Record):
    """One thing the console noticed about an agent. Repeats of the same thing grow `count`. Open until a person acknowledges it."""

    number: int
    agent: str
    kind: FindingKind
    lane: Lane | None
    seq: int
    detail: str
    first_ms: int
    last_ms: int
    count: int
    acknowledged_ms: int = 0
    acknowledged_by: str = ""


class Presence(Record):
    """Minutes of one hour in which the agent was heard, as bits (bit 0 is minute 0). `hour_ms` is the start of the hour."""

    hour_ms: int
    minutes: int


class SeverityCount(Record):
    """How many events of one severity were observed in one hour."""

    hour_ms: int
    severity: int
    count: int


class User(Record):
    """A person. `password` is an argon2 hash or "" when only a login link lets this person in."""

    name: str
    role: Role
    password: str = ""
    disabled: bool = False
    created_ms: int = 0
    last_login_ms: int = 0


class Session(Record):
    """A login: `digest` is SHA-256 of the cookie's secret, `csrf` the token its forms carry. `role` is the user's, read with it."""

    digest: bytes
    user: str
    role: Role
    csrf: str
    created_ms: int
    expires_ms: int
    seen_ms: int
    address: str = ""
    browser: str = ""
    program: bool = False
    """Not a login but the bearer of an API token, whose id is then `user`; never stored."""

    @property
    def who(self) -> str:
        """Name the one who acts, for the audit log."""
        return f"api-token:{self.user}" if self.program else f"user:{self.user}"


class ApiToken(Record):
    """A bearer token of the program `name`, known by `id` (not secret); only the SHA-256 of its text is stored."""

    id: str
    digest: bytes
    name: str
    role: Role
    created_ms: int
    created_by: str
    expires_ms: int
    revoked_ms: int = 0
    used_ms: int = 0


class LoginLink(Record):
    """A one-time link that logs `user` in; `digest` is SHA-256 of its secret."""

    digest: bytes
    user: str
    created_ms: int
    expires_ms: int


class Token(Record):
    """A one-time enrolment token, known by `id` (not secret); only the SHA-256 of its secret is stored.

    `hostname`, when not empty, is the only host name it may enrol. `agent` and `key` (SHA-256 of the public key) say who used it.
    """

    id: str
    digest: bytes
    note: str
    created_ms: int
    created_by: str
    expires_ms: int
    hostname: str = ""
    revoked_ms: int = 0
    used_ms: int = 0
    agent: str = ""
    key: bytes = b""
    serial: str = ""


class Certificate(Record):
    """A certificate the console issued to an agent. `serial` is upper-case hex as Python's `ssl` prints it."""

    serial: str
    agent: str
    key: bytes
    """SHA-256 of the public key (SubjectPublicKeyInfo)."""
    pem: bytes
    issued_ms: int
    ends_ms: int
    revoked_ms: int = 0


class Identity(Record):
    """Whom the agents' listener lets in: an agent, the serials of its valid certificates, and whether it is revoked."""

    agent: str
    serials: frozenset[str]
    revoked: bool


class AuditEntry(Record):
    """One deed of a person, an agent or the console itself. `who` is `user:NAME`, `api-token:ID`, `agent:ID`, `cli:NAME` or `console`."""

    number: int
    at_ms: int
    who: str
    what: str
    """A dotted verb: `token.created`, `agent.revoked`, `login.failed` …"""
    about: str = ""
    detail: str = ""
    address: str = ""


class StoreHealth(Record):
    """How the store is. `commit_ms` and `group` describe the last commits: median duration and writes per commit."""

    kind: str
    version: str
    bytes: int
    agents: int
    events: int
    waiting: int
    commit_ms: float
    group: float
