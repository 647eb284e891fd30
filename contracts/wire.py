"""What an agent and the console say to one another: HTTP/1.1 over TLS 1.3, bodies in MessagePack (reports compressed with zstd).

| path | who | body -> answer |
|---|---|---|
| `POST /v1/enrol` | a client without a certificate, rate- and size-limited | `EnrolRequest` -> `Enrolled` |
| `POST /v1/renew` | an enrolled agent | `RenewRequest` -> `Enrolled` |
| `POST /v1/report` | an enrolled agent | zstd(`Batch`) -> `Ack` |

Both sides pass over fields that they do not know (`contracts.tolerant`), as the other may be newer; a new field has a default.
The agent's name is in its certificate (common name = agent id), never taken from a body. Errors are `Problem` with an HTTP status:
400 malformed, 401 token, 403 revoked or not this agent, 409 chain or sequence refused, 413 too large, 429 rate, 503 try later.
"""

from contracts.coverage import Coverage
from contracts.event import Lane, Loss, Sealed
from contracts.host import Facts
from contracts.outcome import Run
from contracts.proof import Proof
from contracts.record import Record

CONTENT_TYPE = "application/vnd.holdfast+msgpack"
MAX_ENROL_BYTES = 16 << 10
MAX_BATCH_BYTES = 4 << 20
"""Compressed size of a report."""
MAX_BATCH_RAW_BYTES = 32 << 20
"""Size of a report after decompression."""
MAX_SUBJECT_ROW_BYTES = 64 << 10
UNDERSTANDS = "holdfast-understands"
"""A header of requests: words for what an agent understands in an `Ack` besides what the first ones did."""
CHALLENGES = "challenges"
NO_PROOF = "-"


class EnrolRequest(Record):
    """A one-time token and a certificate signing request (PEM, P-256); the console chooses the name."""

    token: str
    csr: bytes
    facts: Facts
    version: str


class Enrolled(Record):
    """The agent's id, its certificate and chain (PEM), the CA (PEM), and when to renew (Unix ms)."""

    agent: str
    certificate: bytes
    authority: bytes
    renew_after_ms: int


class RenewRequest(Record):
    """A signing request for a fresh key or the same one, over a connection that proves the old certificate."""

    csr: bytes


class WorkerState(Record):
    """One worker as the core sees it: `state` is running, idle, starting, backing_off, stopped."""

    name: str
    state: str
    pid: int = 0
    restarts: int = 0
    uid: int = -1
    detail: str = ""


class LaneState(Record):
    """One lane of the spool: records waiting, their bytes, next sequence number, records lost so far."""

    lane: Lane
    waiting: int
    bytes: int
    next_seq: int
    lost: int


class Work(Record):
    """A deed under way: which action, on what, how far it is (`total` 0 when not known), and since when."""

    action: str
    key: str
    done: float
    total: float
    unit: str
    what: str
    since_ms: int


class Heartbeat(Record):
    """The agent is alive; what it can see; how it is.

    `instance` is random per start of the core, for noticing a cloned identity.
    """

    sent_ms: int
    instance: str
    version: str
    facts: Facts
    uptime_s: float
    every_s: float
    coverage: Coverage
    workers: tuple[WorkerState, ...] = ()
    lanes: tuple[LaneState, ...] = ()
    runs: tuple[Run, ...] = ()
    proofs: tuple[Proof, ...] = ()
    config_digest: str = ""
    clock_skew_ms: int | None = None
    work: tuple[Work, ...] = ()


class LanePart(Record):
    """Consecutive records of one lane, first to last, with any losses in their places. `previous` is the chain value before the first."""

    lane: Lane
    previous: bytes
    items: tuple[Sealed | Loss, ...] = ()


class SubjectPart(Record):
    """Rows of one subject that changed after the console's `base` revision, up to `revision`; `base` 0 replaces everything.

    Rows are encoded as JSON by the agent so that the console shows them without knowing their types. `more` when further parts follow for
    the same revision.
    """

    subject: str
    base: int
    revision: int
    put: dict[str, bytes] = {}
    removed: tuple[str, ...] = ()
    at_ms: int = 0
    more: bool = False


class Challenge(Record, omit_defaults=True):
    """Prove what files hold: SHA-256 over `nonce` (hex) and the content of each; without `paths`, of `count` that the nonce picks."""

    id: str
    nonce: str
    paths: tuple[str, ...] = ()
    count: int = 0


class Answered(Record, omit_defaults=True):
    """The answer to a challenge: by path a proof in hex, or `NO_PROOF` where none can be made; else `problem` says why there is none."""

    id: str
    proofs: dict[str, str] = {}
    problem: str = ""


class Batch(Record, omit_defaults=True):
    """One report: a heartbeat, events by lane (critical first), subjects, answers to challenges."""

    agent: str
    heartbeat: Heartbeat | None = None
    lanes: tuple[LanePart, ...] = ()
    subjects: tuple[SubjectPart, ...] = ()
    answered: tuple[Answered, ...] = ()


class Ack(Record, omit_defaults=True):
    """What the console has durably stored: the last sequence number per lane, the revision per subject, its own time.

    A lane missing here has nothing stored. `interval_s` is how often it wants heartbeats. `newest` are the newest versions of antivirus
    signatures that it knows of in the fleet, by product. `challenges` are only sent to an agent that said it understands them.
    """

    lanes: dict[Lane, int]
    subjects: dict[str, int]
    now_ms: int
    interval_s: float = 30.0
    newest: dict[str, int] = {}
    challenges: tuple[Challenge, ...] = ()


class Problem(Record):
    """Why a request was refused, whether the same request can ever succeed, and for a sequence conflict what the console holds."""

    error: str
    advice: str = ""
    permanent: bool = False
    lanes: dict[Lane, int] = {}
    subjects: dict[str, int] = {}
