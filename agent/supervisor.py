"""Runs the workers: hands each question to the worker that hosts the subject or action, and keeps all of them alive."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from agent.clock import Clock
from agent.keeper import KINDS, Keeper, Timing
from agent.loop import Callback, Loop
from agent.supervision import Connector, Holder, Look, Sink, Snapshots, WorkerSpec
from contracts.action import Command, Result
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.frames import Advance
from contracts.outcome import Cost, Unavailable
from contracts.wire import WorkerState

__all__ = ["KINDS", "Connector", "Look", "Sink", "Snapshots", "Supervisor", "Timing", "WorkerSpec"]


class Supervisor:
    """The workers of one agent. Everything here is for the loop's thread; answers come from the loop, never from within a call."""

    def __init__(
        self,
        loop: Loop,
        specs: Sequence[WorkerSpec],
        connector: Connector,
        snapshots: Snapshots,
        sink: Sink,
        clock: Clock,
        timing: Timing | None = None,
        holder: Holder | None = None,
    ) -> None:
        self._loop, self._connector, self._snapshots, self._sink, self._clock = loop, connector, snapshots, sink, clock
        self._timing, self._holder = timing or Timing(), holder
        self._ids = count(1)
        self._keepers = {spec.name: self._keeper(spec) for spec in specs}

    def start(self) -> None:
        """Connect every worker that does not wait for a command."""
        for keeper in self._keepers.values():
            keeper.start()

    def stop(self, done: Callback | None = None) -> None:
        """Let every worker go; whatever waits is answered as unavailable. `done` is called once all are gone, or had their time."""
        left = set(self._keepers)

        def gone(name: str) -> None:
            left.discard(name)
            if not left and done is not None:
                done()

        if not left and done is not None:
            done()
        for name, keeper in list(self._keepers.items()):
            keeper.stop(partial(gone, name))

    def collect(self, subject: str, deadline_s: float, done: Callable[[Look], None]) -> None:
        """Have `subject` looked at; `done` is called exactly once."""
        keeper = self._host_of(subject)
        if keeper is not None:
            keeper.collect(subject, deadline_s, done)
            return
        missing = Unavailable(why=Why.DISABLED, detail=f"no worker looks at {subject}")
        look = Look(id=0, subject=subject, outcome=missing, started_ms=self._clock.now_ms())
        self._loop.call_later(0.0, lambda: done(look))

    def stored(self, look_id: int, subject: str, revision: int) -> None:
        """Say that what look `look_id` found is stored, and `subject` at `revision`."""
        keeper = self._host_of(subject)
        if keeper is not None:
            keeper.stored(look_id, subject, revision)

    def do(
        self,
        worker: str,
        command: Command,
        deadline_s: float,
        done: Callable[[Result, Cost], None],
        progress: Callable[[Advance], None] | None = None,
    ) -> None:
        """Have `worker` carry out `command`; `done` is called exactly once."""
        keeper = self._keepers.get(worker)
        if keeper is not None and command.action in keeper.spec.actions:
            keeper.do(command, deadline_s, done, progress)
            return
        missing = Result(
            outcome=Unavailable(why=Why.DISABLED, detail=f"no worker {worker} with action {command.action}")
        )
        self._loop.call_later(0.0, lambda: done(missing, Cost()))

    def states(self) -> tuple[WorkerState, ...]:
        """Return how each worker stands."""
        return tuple(keeper.state() for keeper in self._keepers.values())

    def lost(self) -> dict[str, tuple[Blind, ...]]:
        """Return what each worker should have and does not, as it said when it last became ready."""
        return {name: keeper.lost for name, keeper in self._keepers.items()}

    def reconfigure(self, specs: Sequence[WorkerSpec]) -> None:
        """Go on with `specs`: workers whose settings changed start anew once they owe nothing; others are not disturbed."""
        wanted = {spec.name: spec for spec in specs}
        for name in [name for name in self._keepers if name not in wanted]:
            self._keepers.pop(name).stop()
        for name, spec in wanted.items():
            if name in self._keepers:
                self._keepers[name].replace(spec)
            else:
                self._keepers[name] = self._keeper(spec)
                self._keepers[name].start()

    def _keeper(self, spec: WorkerSpec) -> Keeper:
        return Keeper(
            spec,
            self._loop,
            self._connector,
            self._snapshots,
            self._sink,
            self._clock,
            self._ids,
            self._timing,
            self._holder,
        )

    def _host_of(self, subject: str) -> Keeper | None:
        return next((keeper for keeper in self._keepers.values() if subject in keeper.spec.subjects), None)
