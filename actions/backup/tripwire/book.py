"""Book: what the tripwire remembers of a job between two runs, in a file of the worker's own folder.

Unlike other memories it is not made anew when it is damaged: a suspicion that stands must not go away by that.
"""

from collections.abc import Sequence

import msgspec

from actions.backup import kinds
from actions.backup.hold import Facts
from analysis.tripwire import Figures, Finding
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.event import Event
from contracts.host import Files, Host
from contracts.record import Record

MAX_RUNS = 30
MAX_TURNED = 1000
MAX_CLEARED = 200
MAX_DUMPS = 5000
MAX_DUMP_RUNS = 10
NAMED = 20
MAX_BYTES = 4 << 20


class Turned(Record):
    """A file that is not readable any more, when that was seen, why, and the snapshot that still holds it as it was."""

    path: str
    at_ns: int
    why: str
    good: str


class Suspicion(Record):
    """What stands until a person has looked: since when, the snapshot that showed it, what was found, and the last good snapshots."""

    since_ns: int
    snapshot: str
    says: tuple[str, ...]
    measures: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """Further snapshots that showed something."""

    @property
    def marked(self) -> tuple[str, ...]:
        """Every snapshot that showed something."""
        return tuple(id for id in (self.snapshot, *self.later) if id)


class Canary(Record):
    """A file that nobody has a reason to change, and the SHA-256 sum it must have."""

    path: str
    sha256: str
    planted_ns: int = 0


class Acknowledgement(Record):
    """Who looked at a suspicion, when, and what came of it."""

    who: str
    why: str
    at_ns: int
    says: tuple[str, ...] = ()


class Book(Record):
    """Everything: the last runs that nothing spoke against, files that turned, what stands, canaries, and what a person has cleared."""

    runs: tuple[Figures, ...] = ()
    dumps: dict[str, tuple[int, ...]] = {}
    """Bytes of each dump of a database in these runs, by `SOURCE/FILE`, and of all of a source by `SOURCE`."""
    choices: str = ""
    turned: tuple[Turned, ...] = ()
    standing: Suspicion | None = None
    canaries: tuple[Canary, ...] = ()
    cleared: tuple[str, ...] = ()
    acknowledged: Acknowledgement | None = None

    def facts(self, unproved: frozenset[str] = frozenset()) -> Facts:
        """What retention has to know."""
        if self.standing is None:
            first = self.turned[:1]
            return Facts(
                unproved=unproved,
                cleared=frozenset(self.cleared),
                pinned={turned.good: f"it still holds {turned.path}" for turned in first if turned.good},
            )
        since = f"since snapshot {self.standing.snapshot[:8]}" if self.standing.snapshot else "now"
        return Facts(
            unproved=unproved,
            cleared=frozenset(self.cleared),
            anomalies=dict.fromkeys(self.standing.marked, "; ".join(self.standing.says)),
            pinned=dict.fromkeys(self.standing.good, "the last good snapshot before an anomaly"),
            standing=f"an anomaly is suspected {since}: {'; '.join(self.standing.says)}",
        )


def recall(files: Files, path: str) -> Book:
    """What is remembered; where that cannot be made out, a book in which a suspicion stands. Unavailable when it may not be read."""
    try:
        return msgspec.json.decode(files.read(path, MAX_BYTES), type=Book)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return Book()
        if error.why is Why.PERMISSION:
            raise
        detail = error.message
    except UNDECODABLE as error:
        detail = f"it does not read: {error}"
    says = f"what was remembered of this job is damaged ({detail})"
    return Book(standing=Suspicion(since_ns=0, snapshot="", says=(says,)))


def remember(host: Host, job: str, book: Book) -> None:
    """Keep it."""
    host.write(path_in(host.state, job), msgspec.json.encode(book))


def kept(host: Host, job: str, book: Book) -> list[Event]:
    """Keep it after a run, whose snapshot is there: where that fails, as on a full disk, it is stated and the run goes on.

    What is lost is what was learnt of this run; a suspicion is not, since its snapshot bears the tag.
    """
    try:
        remember(host, job, book)
    except (HoldfastError, OSError) as error:
        what = f"what this run looked like could not be remembered: {error}"
        return [kinds.UPKEEP_FAILED.event(job, job=job, step="tripwire", detail=what[:500])]
    return []


def path_in(state: str, job: str) -> str:
    """Where the book of a job lies in the worker's folder; no job's name holds a dot."""
    return f"{state}/{job}.tripwire.json"


def suspected(book: Book, now_ns: int, snapshot: str, good: Sequence[str], found: Sequence[Finding]) -> Book:
    """`book` with what `snapshot` showed, beside what stands already; `good` are the last good snapshots of what was found."""
    former = book.standing or Suspicion(since_ns=now_ns, snapshot="", says=())
    older = {_measure(said): said for said in former.measures}
    measures = {**older, **{finding.name: said for finding, said in zip(found, measured(found), strict=True)}}
    says = dict.fromkeys((*former.says, *(finding.says for finding in found)))
    later = (*former.later, snapshot) if book.standing is not None else ()
    standing = Suspicion(
        since_ns=former.since_ns,
        snapshot=former.snapshot or snapshot,
        says=tuple(says)[:NAMED],
        measures=tuple(measures.values())[-NAMED:],
        good=tuple(dict.fromkeys((*former.good, *good))),
        later=later[-MAX_RUNS:],
    )
    return msgspec.structs.replace(book, standing=standing)


def measured(found: Sequence[Finding]) -> tuple[str, ...]:
    """Each finding with its number and limit."""
    return tuple(f"{finding.name} {finding.value:g} (limit {finding.limit:g})" for finding in found)


def of_size(standing: Suspicion) -> bool:
    """Whether the size of something was among what was found."""
    return any(_measure(said) == "size" or said.startswith("dump ") for said in standing.measures)


def _measure(said: str) -> str:
    return said.rsplit(" ", 3)[0]


def added(book: Book, found: Sequence[Turned], now_ns: int, window_s: float) -> tuple[Turned, ...]:
    """The files that turned within the window, each path once, the earliest first."""
    seen: dict[str, Turned] = {}
    for turned in (*book.turned, *found):
        if 0 <= now_ns - turned.at_ns <= window_s * 1_000_000_000:
            seen.setdefault(turned.path, turned)
    return tuple(sorted(seen.values(), key=lambda turned: turned.at_ns)[-MAX_TURNED:])


class NotSuspected(HoldfastError):
    """There is nothing to acknowledge."""
