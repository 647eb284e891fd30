"""What the core and a worker say to one another: length-prefixed MessagePack over a Unix stream socket.

A frame is a 4-byte big-endian length and a body of at most `MAX_FRAME` bytes. The core opens with `Hello`; the worker
answers `Ready`. Frames from a worker are untrusted input. A snapshot that does not fit one frame is paged.
"""

from contracts.action import Command, Result
from contracts.coverage import Blind
from contracts.event import Event
from contracts.outcome import Cost, Outcome
from contracts.record import Record

PROTOCOL = 1
MAX_FRAME = 1 << 20
PAGE_BYTES = 256 << 10
"""A page of rows is closed once it holds this much."""


class Hello(Record, tag="hello"):
    """The core's first frame: the settings of each collector and action this worker hosts, encoded one by one."""

    protocol: int
    options: dict[str, bytes]
    watch: tuple[str, ...] = ()


class Collect(Record, tag="collect"):
    """Look at `subject`. `revision` is the snapshot the core holds; a worker that does not hold the same asks for it."""

    id: int
    subject: str
    revision: int
    deadline_s: float


class SnapshotPage(Record, tag="snapshot"):
    """Rows of the snapshot a worker asked for; `last` closes it."""

    id: int
    subject: str
    revision: int
    rows: dict[str, bytes]
    at_ms: int
    last: bool


class Stored(Record, tag="stored"):
    """The core has stored the changes of run `id`: the subject is at `revision` now."""

    id: int
    subject: str
    revision: int


class Do(Record, tag="do"):
    """Carry out a command."""

    id: int
    command: Command
    deadline_s: float


class Ping(Record, tag="ping"):
    """Are you there?"""

    nonce: int


class Goodbye(Record, tag="goodbye"):
    """End in an orderly way."""


class Material(Record, tag="material"):
    """A piece of what a watcher fetched: `data` of the file `path`, which is there for `role`; `last` closes the answer.

    `signature` names the state of all files together; an `unchanged` answer says that it is the one the watcher has. `problem` says why a
    file cannot be read.
    """

    watcher: str
    name: str
    signature: str
    role: str = ""
    path: str = ""
    data: bytes = b""
    problem: str = ""
    unchanged: bool = False
    last: bool = False


class Retune(Record, tag="retune"):
    """The settings of a watcher that takes others while it watches."""

    watcher: str
    options: bytes


FromCore = Hello | Collect | SnapshotPage | Stored | Do | Ping | Goodbye | Material | Retune


class Ready(Record, tag="ready"):
    """The worker's first frame: who it is and with which effective capabilities."""

    protocol: int
    worker: str
    pid: int
    uid: int
    capabilities: tuple[str, ...]
    lost: tuple[Blind, ...] = ()
    """What this worker should have and does not (a capability, its own user)."""


class NeedSnapshot(Record, tag="need"):
    """The worker does not hold the revision that `Collect` named."""

    id: int
    subject: str


class ReportPage(Record, tag="report"):
    """Part of what a look found; the events of a run come before its `Done`."""

    id: int
    events: tuple[Event, ...] = ()
    put: dict[str, bytes] = {}
    removed: tuple[str, ...] = ()


class Done(Record, tag="done"):
    """A look has ended. Only an `Ok` outcome's changes count."""

    id: int
    outcome: Outcome
    cost: Cost
    blind: tuple[Blind, ...] = ()


class Emitted(Record, tag="emitted"):
    """A watcher stated a fact."""

    watcher: str
    event: Event


class Changed(Record, tag="changed"):
    """A watcher asks that `subject` is looked at now."""

    watcher: str
    subject: str


class Gap(Record, tag="gap"):
    """A watcher may have missed something for about `seconds`."""

    watcher: str
    reason: str
    seconds: float


class Watching(Record, tag="watching"):
    """A watcher's state changed: it watches (`outcome` ok), with `blind` spots, or it cannot."""

    watcher: str
    outcome: Outcome
    blind: tuple[Blind, ...] = ()


class Advance(Record, tag="advance"):
    """Progress of run `id`."""

    id: int
    done: float
    total: float
    unit: str
    what: str = ""


class Finished(Record, tag="finished"):
    """A command has ended."""

    id: int
    result: Result
    cost: Cost


class Pong(Record, tag="pong"):
    """Here, with this much memory in use (PSS in bytes, 0 when not known)."""

    nonce: int
    pss_bytes: int = 0
    cpu_s: float = 0.0


class Fetch(Record, tag="fetch"):
    """A watcher asks for what the core holds for it under `name`; `have` is the signature of what it has already."""

    watcher: str
    name: str
    have: str = ""


class Keep(Record, tag="keep"):
    """A piece of what the core is to keep for a watcher: `what` is the sort, `name` the thing's own; `last` closes it."""

    watcher: str
    what: str
    name: str
    data: bytes = b""
    last: bool = False


FromWorker = (
    Ready
    | NeedSnapshot
    | ReportPage
    | Done
    | Emitted
    | Changed
    | Gap
    | Watching
    | Advance
    | Finished
    | Pong
    | Fetch
    | Keep
)
