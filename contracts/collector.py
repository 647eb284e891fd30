"""What looks: the polled `Collector`, the streaming `Watcher`, and what they say.

A collector is a pure function of the host and its previous snapshot: it keeps no state, writes nothing, and changes nothing. It may
raise `contracts.errors.Unavailable` (this run could not look) and nothing else on purpose; the central execute turns
every run into one `Outcome`, so collectors contain no blanket `except`.
"""

from typing import ClassVar, Generic, Protocol, TypeVar

from contracts.coverage import Blind
from contracts.event import Event, Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.options import CollectorOptions
from contracts.record import Record
from contracts.snapshot import Changes, RowT, Snapshot

OptionsT_contra = TypeVar("OptionsT_contra", bound=CollectorOptions, contravariant=True)


class Report(Record, Generic[RowT]):
    """What one look found: facts, the changes to the snapshot, and what it could not see.

    `key` and `fields` of the events come from comparing with the snapshot given; the central execute adds time and dedup key.
    """

    events: tuple[Event, ...] = ()
    changes: Changes[RowT] = Changes()
    blind: tuple[Blind, ...] = ()


class Collector(Protocol[RowT]):
    """Looks at one subject when told to.

    `name` is the subject, the settings key, the file's name and the docs page. `kinds` lists every kind it may emit, `row` the type of its
    rows, `options` the type of its settings; it is made as `Class(options)`.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    row: type[RowT]
    options: ClassVar[type[CollectorOptions]]

    def collect(self, host: ReadOnlyHost, before: Snapshot[RowT]) -> Report[RowT]:
        """Look, and compare with `before` (`before.first` on the first look: report state, not change)."""


class Piece(Record):
    """A file that the core handed over: what it is there for, its path, its content, and why it could not be read ("" when it could)."""

    role: str
    path: str
    data: bytes = b""
    problem: str = ""


class Fetched(Record):
    """What a watcher fetched. `signature` names the state of the files; `pieces` is None when the watcher has that already."""

    signature: str
    pieces: tuple[Piece, ...] | None = None


class Emit(Protocol):
    """What a watcher may say while it watches, and what it may ask of the core."""

    def event(self, event: Event) -> None:
        """State a fact."""

    def changed(self, subject: str) -> None:
        """Ask that the polled collector `subject` looks now; bursts collapse."""

    def gap(self, reason: str, seconds: float) -> None:
        """State that something may have passed unseen."""

    def blind(self, spots: tuple[Blind, ...]) -> None:
        """State what cannot be seen from now on (replaces the former statement)."""

    def fetch(self, name: str, have: str = "") -> None:
        """Ask the core for what it holds for this watcher under `name`; `fetched` has the answer when it has come."""

    def fetched(self, name: str) -> Fetched | None:
        """Return the answer to the last `fetch` of `name` and forget it, None while it has not come."""

    def keep(self, what: str, name: str, data: bytes) -> None:
        """Hand over what the core is to keep."""

    def retuned(self) -> CollectorOptions | None:
        """Return the settings that came since the last time, None when none did (`Watcher.live`)."""


class Watcher(Protocol):
    """Streams what happens to one subject until told to stop. Made as `Class(options)` with its subject's options.

    One that takes other settings while it watches (`Emit.retuned`) has a class attribute `live` that is true, and a class method
    `materials(options) -> dict[str, dict[str, tuple[str, ...]]]`: the paths by role under each name that it may fetch.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    options: ClassVar[type[CollectorOptions]]

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop` is set; raises `Unavailable` when it cannot (it is tried again with back-off)."""
