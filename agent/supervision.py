"""The words between the supervisor, its workers' links and the core: what is supervised, what it says, whom it tells."""

import socket
from collections.abc import Iterator
from typing import Protocol

from contracts.coverage import Blind
from contracts.event import Event
from contracts.frames import Keep, Material
from contracts.outcome import Cost, Outcome
from contracts.record import Record
from contracts.snapshot import EncodedChanges

MAX_AT_ONCE = 8
"""Commands under way in one worker; the core queues more, a worker refuses more."""


class WorkerSpec(Record):
    """One worker: what it hosts, under which user and capabilities, and the settings it is given.

    `options` maps a collector's or action's name to its settings as MessagePack; a watcher is given those of its name.
    `kinds` maps the name of each collector, watcher and action to the kinds of event it declares: whatever else the worker states is
    refused. An `on_demand` worker is started by a command and told to end after `idle_s` without one. `off` are subjects that it could look
    at and that are switched off: a watcher of another subject may ask for them, and nothing follows.
    """

    name: str
    user: str = ""
    capabilities: tuple[str, ...] = ()
    on_demand: bool = False
    subjects: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    watchers: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    options: dict[str, bytes] = {}
    kinds: dict[str, tuple[str, ...]] = {}
    idle_s: float = 60.0
    live: tuple[str, ...] = ()
    """Watchers that take other settings while they watch."""
    materials: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    """What each watcher may fetch: by the name it fetches it by, and by role, the paths of files and folders (see `agent.handover`)."""
    keeps: dict[str, dict[str, tuple[int, int]]] = {}
    """What is kept for each watcher: by sort, the most bytes of one thing and of all."""


class Look(Record):
    """How one look ended. Pass `id` to `Supervisor.stored` once the changes are stored.

    `events` and `changes` are empty unless `outcome` is ok. `id` is 0 when no worker was asked at all. `started_ms` is Unix time.
    """

    id: int
    subject: str
    outcome: Outcome
    cost: Cost = Cost()
    events: tuple[Event, ...] = ()
    changes: EncodedChanges = EncodedChanges()
    blind: tuple[Blind, ...] = ()
    started_ms: int = 0


class Connector(Protocol):
    """How the core comes by a worker: systemd's socket, or the launcher. None of these may block for long."""

    def connect(self, name: str) -> socket.socket:
        """Return a connected stream socket to worker `name`; raises `Unreachable` or `Refused`."""

    def kill(self, name: str) -> bool:
        """End the worker's process now; False where this core cannot (its socket is closed in any case)."""

    def uids(self, name: str) -> frozenset[int]:
        """Return the users that worker `name` may run as; frames from any other are refused."""


class Snapshots(Protocol):
    """The stored rows, as the supervisor needs them."""

    def revision(self, subject: str) -> int:
        """Return the subject's revision, 0 when never looked at."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return the rows by key, each as MessagePack."""

    def at_ms(self, subject: str) -> int:
        """Return when the rows were last seen to hold, Unix ms."""


class Holder(Protocol):
    """Who reads for workers that may not read, and keeps for workers that have no place."""

    def hand_over(self, spec: WorkerSpec, watcher: str, name: str, have: str) -> Iterator[Material]:
        """Yield what `watcher` fetches under `name`, in pieces, the last one marked."""

    def keep(self, spec: WorkerSpec, piece: Keep) -> None:
        """Take a piece of what is to be kept; raises `Malformed` for what this watcher may not have kept."""

    def forget(self, spec: WorkerSpec) -> None:
        """Drop what came halfway: the worker has ended."""


class Sink(Protocol):
    """Whom the supervisor tells what was not asked for."""

    def emitted(self, worker: str, watcher: str, event: Event) -> None:
        """A watcher stated a fact."""

    def changed(self, watcher: str, subject: str) -> None:
        """A watcher asks for a look at `subject`."""

    def gap(self, watcher: str, reason: str, seconds: float) -> None:
        """A watcher may have missed something."""

    def watching(self, watcher: str, outcome: Outcome, blind: tuple[Blind, ...]) -> None:
        """A watcher's state changed."""

    def agent_event(self, event: Event) -> None:
        """The supervisor itself has something to report."""
