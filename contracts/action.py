"""What changes something: actions, the commands they obey and the results they give."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from contracts.event import Event, Kind, Value
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.outcome import Ok, Outcome
from contracts.proof import Proof
from contracts.record import Record


class Command(Record):
    """One request for a deed. `cause` is the id of the event that led to it or "" when a person asked (`who`)."""

    id: str
    action: str
    arguments: dict[str, Value] = {}
    cause: str = ""
    who: str = ""
    dry_run: bool = True
    event: Event | None = None
    """The event that led to it, for actions that speak of it."""


class Changed(Record):
    """Files that a deed found new or changed on this host, for whoever looks at content: paths as `contracts.text.escape` writes them.

    A bounded number; `beyond` counts those that were not named.
    """

    paths: tuple[str, ...] = ()
    beyond: int = 0


class Result(Record):
    """What came of a command: its outcome, a sentence for people, the facts and the proof it yields."""

    outcome: Outcome = Ok()
    summary: str = ""
    events: tuple[Event, ...] = ()
    proof: Proof | None = None
    answer: Mapping[str, Value] = {}
    looks: Mapping[str, float] = {}
    """Subjects to look at once more, each after so many seconds: what was done ends then, and nothing else tells of it."""
    changed: Changed = Changed()


class Progress(Protocol):
    """How long work tells how far it is."""

    def __call__(self, done: float, total: float, unit: str, what: str = "") -> None:
        """State progress; `total` 0 when not known."""


class Action(Protocol):
    """Does one thing to the host or for it. Made as `Class(options)`.

    An action may name what it needs of its worker's capabilities in `capabilities: ClassVar[tuple[str, ...]]`; its thread
    then holds nothing else.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    options: ClassVar[type[ActionOptions]]
    arguments: ClassVar[Mapping[str, str]]
    """What it takes, by name, as an event field type; the responder checks a rule's `with` against it at start."""

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Do it; under `command.dry_run` the host only describes. May raise `Unavailable`."""
