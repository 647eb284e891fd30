"""What one worker was asked and owes an answer for: looks, one at a time, and commands; and what it may say unasked."""

import math
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from agent.assembly import Assembly, checked_cost, own_event
from agent.clock import Clock
from agent.loop import Loop, Timer
from agent.paging import row_pages
from agent.supervision import MAX_AT_ONCE, Holder, Look, Sink, Snapshots, WorkerSpec
from agent.worker_link import Link, Violation
from contracts.action import Command, Result
from contracts.errors import Malformed, Why
from contracts.frames import (
    Advance,
    Changed,
    Collect,
    Do,
    Done,
    Emitted,
    Fetch,
    Finished,
    FromCore,
    FromWorker,
    Gap,
    Keep,
    Material,
    NeedSnapshot,
    ReportPage,
    SnapshotPage,
    Stored,
    Watching,
)
from contracts.outcome import Cost, Failed, Outcome, Unavailable

GRACE_S = 5.0
"""How long after its deadline a worker may still answer; it interrupts itself at the deadline."""

LookDone = Callable[[Look], None]
DeedDone = Callable[[Result, Cost], None]
Progress = Callable[[Advance], None]


class Deed:
    """One command and who waits for it."""

    def __init__(
        self, number: int, command: Command, deadline_s: float, done: DeedDone, progress: Progress | None
    ) -> None:
        self.id, self.command, self.deadline_s, self.done, self.progress = number, command, deadline_s, done, progress
        self.timer: Timer | None = None


class Errands:
    """The questions to one worker. `overran` is told when the worker did not keep a deadline and must go."""

    def __init__(
        self,
        spec: WorkerSpec,
        loop: Loop,
        snapshots: Snapshots,
        sink: Sink,
        clock: Clock,
        ids: Iterator[int],
        overran: Callable[[str], None],
        holder: Holder | None = None,
    ) -> None:
        self.spec, self._holder = spec, holder
        self._loop, self._snapshots, self._sink, self._clock = loop, snapshots, sink, clock
        self._ids, self._overran = ids, overran
        self._link: Link | None = None
        self._paused = False
        self._looks: deque[tuple[str, float, LookDone]] = deque()
        self._look: Assembly | None = None
        self._deeds: dict[int, Deed] = {}
        self._queued: deque[Deed] = deque()

    @property
    def busy(self) -> bool:
        """Whether the worker owes an answer."""
        return self._look is not None or bool(self._deeds)

    @property
    def waiting(self) -> bool:
        """Whether commands wait for the worker."""
        return bool(self._queued)

    def attach(self, link: Link) -> None:
        """The worker is ready: ask it what waits."""
        self._link, self._paused = link, False
        self._next()

    def pause(self) -> None:
        """Ask nothing new until the next `attach`."""
        self._paused = True

    def collect(self, subject: str, deadline_s: float, done: LookDone) -> None:
        """Ask for a look at `subject` when its turn comes."""
        self._looks.append((subject, deadline_s, done))
        self._next()

    def do(self, command: Command, deadline_s: float, done: DeedDone, progress: Progress | None) -> None:
        """Ask for a deed; its time runs from now, also while the worker starts."""
        deed = Deed(next(self._ids), command, deadline_s, done, progress)
        deed.timer = self._loop.call_later(deadline_s + GRACE_S, lambda: self._deed_overdue(deed))
        self._queued.append(deed)
        self._next()

    def stored(self, run: int, subject: str, revision: int) -> None:
        """Tell the worker that the changes of `run` are stored."""
        if self._link is not None:
            self._link.send(Stored(id=run, subject=subject, revision=revision))

    def abandon(self, why: str, *, commands: bool, looks: bool = True) -> None:
        """The worker is gone: answer everything that it was asked; with `commands` and `looks` also those that only wait for it."""
        self._link = None
        if self._holder is not None:
            self._holder.forget(self.spec)
        look, self._look = self._look, None
        unasked = list(self._looks) if looks else []
        if looks:
            self._looks.clear()
        deeds = list(self._deeds.values())
        self._deeds = {}
        waiting = list(self._queued) if commands else []
        if commands:
            self._queued.clear()
        down = Unavailable(why=Why.WORKER_DOWN, detail=f"worker {self.spec.name}: {why}")
        if look is not None:
            self._answer_look(look, down)
        for subject, _, done in unasked:
            done(Look(id=0, subject=subject, outcome=down, started_ms=self._clock.now_ms()))
        for deed in deeds:
            self._answer_deed(deed, Failed(error=f"worker {self.spec.name} ended before it answered: {why}"))
        for deed in waiting:
            self._answer_deed(deed, down)

    def hear(self, frame: FromWorker) -> None:
        """Take what the worker says; raises `Violation` for what it must not say."""
        match frame:
            case ReportPage() | Done() | NeedSnapshot():
                self._hear_look(frame)
            case Advance() | Finished():
                self._hear_deed(frame)
            case Emitted() | Changed() | Gap() | Watching():
                self._hear_watcher(frame)
            case Fetch() | Keep():
                self._hear_wish(frame)
            case _:
                raise Violation(f"{type(frame).__name__} at this point")

    def _next(self) -> None:
        """Ask whatever can be asked now."""
        if self._link is None or self._paused:
            return
        while self._queued and len(self._deeds) < MAX_AT_ONCE:
            self._ask_deed(self._link, self._queued.popleft())
        if self._look is None and self._looks:
            self._ask_look(self._link, *self._looks.popleft())

    def _ask_look(self, link: Link, subject: str, deadline_s: float, done: LookDone) -> None:
        revision = self._snapshots.revision(subject)
        look = Assembly(next(self._ids), subject, revision, deadline_s, self._clock.now_ms(), done)
        self._look = look
        self._time_look(look)
        link.send(Collect(id=look.id, subject=subject, revision=revision, deadline_s=deadline_s))

    def _time_look(self, look: Assembly) -> None:
        if look.timer is not None:
            look.timer.cancel()
        look.timer = self._loop.call_later(look.deadline_s + GRACE_S, lambda: self._look_overdue(look))

    def _ask_deed(self, link: Link, deed: Deed) -> None:
        try:
            self._deeds[deed.id] = deed
            link.send(Do(id=deed.id, command=deed.command, deadline_s=deed.deadline_s))
        except Malformed as error:
            self._deeds.pop(deed.id, None)
            self._answer_deed(deed, Failed(error=f"the command cannot travel: {error.message}", permanent=True))

    def _look_overdue(self, look: Assembly) -> None:
        if look is self._look:
            self._look = None
            self._answer_look(look, Failed(error=f"timeout: no answer within {look.deadline_s:g} s"))
            self._overran(f"its look at {look.subject} did not end within {look.deadline_s:g} s")

    def _deed_overdue(self, deed: Deed) -> None:
        late = f"not done within {deed.deadline_s:g} s"
        if self._deeds.pop(deed.id, None) is not None:
            self._answer_deed(deed, Failed(error=f"timeout: {late}"))
            self._overran(f"its {deed.command.action} was {late}")
        elif deed in self._queued:
            self._queued.remove(deed)
            self._answer_deed(
                deed,
                Unavailable(
                    why=Why.TIMEOUT, detail=f"worker {self.spec.name} was not there within {deed.deadline_s:g} s"
                ),
            )

    def _answer_look(self, look: Assembly, outcome: Outcome) -> None:
        self._finish_look(look, look.close(Done(id=look.id, outcome=outcome, cost=Cost()), (), self.spec.name))

    def _finish_look(self, look: Assembly, answer: Look) -> None:
        if look.timer is not None:
            look.timer.cancel()
        look.done(answer)

    def _answer_deed(self, deed: Deed, outcome: Outcome) -> None:
        self._finish_deed(deed, Result(outcome=outcome), Cost())

    def _finish_deed(self, deed: Deed, result: Result, cost: Cost) -> None:
        if deed.timer is not None:
            deed.timer.cancel()
        deed.done(result, cost)

    def _hear_look(self, frame: ReportPage | Done | NeedSnapshot) -> None:
        look = self._look
        if look is None or frame.id != look.id:
            raise Violation(f"{type(frame).__name__} for a look that nobody asked for")
        if isinstance(frame, ReportPage):
            look.add(frame)
        elif isinstance(frame, NeedSnapshot):
            self._send_snapshot(look, frame)
        else:
            answer = look.close(frame, self.spec.kinds.get(look.subject, ()), self.spec.name)
            self._look = None
            self._finish_look(look, answer)
            self._next()

    def _send_snapshot(self, look: Assembly, frame: NeedSnapshot) -> None:
        if look.asked_for_snapshot or frame.subject != look.subject:
            raise Violation("a request for a snapshot that it was not about to use")
        look.asked_for_snapshot = True
        self._time_look(look)  # the way of a large snapshot is not the collector's time
        if self._link is not None:
            self._link.stream(self._pages(look))

    def _pages(self, look: Assembly) -> Iterator[FromCore]:
        at_ms = self._snapshots.at_ms(look.subject)

        def page(rows: dict[str, bytes], last: bool) -> FromCore:
            return SnapshotPage(
                id=look.id, subject=look.subject, revision=look.revision, rows=rows, at_ms=at_ms, last=last
            )

        pages = row_pages(self._snapshots.rows(look.subject))
        held = next(pages)
        for rows in pages:
            yield page(held, False)
            held = rows
        yield page(held, True)

    def _hear_deed(self, frame: Advance | Finished) -> None:
        deed = self._deeds.get(frame.id)
        if deed is None:
            raise Violation(f"{type(frame).__name__} for a command that nobody gave")
        if isinstance(frame, Advance):
            if not (math.isfinite(frame.done) and math.isfinite(frame.total)):
                raise Violation("progress that is no number")
            if deed.progress is not None:
                deed.progress(frame)
            return
        kinds = self.spec.kinds.get(deed.command.action, ())
        events = tuple(own_event(event, kinds, self.spec.name) for event in frame.result.events)
        cost = checked_cost(frame.cost)
        del self._deeds[frame.id]
        self._finish_deed(deed, msgspec.structs.replace(frame.result, events=events), cost)
        self._next()

    def _hear_watcher(self, frame: Emitted | Changed | Gap | Watching) -> None:
        if frame.watcher not in self.spec.watchers:
            raise Violation(f"a watcher {frame.watcher[:80]!r} that it does not host")
        match frame:
            case Emitted():
                event = own_event(frame.event, self.spec.kinds.get(frame.watcher, ()), self.spec.name)
                self._sink.emitted(self.spec.name, frame.watcher, event)
            case Changed():
                if frame.subject not in (*self.spec.subjects, *self.spec.off):
                    raise Violation(f"a change of {frame.subject[:80]!r}, which it does not look at")
                self._sink.changed(frame.watcher, frame.subject)
            case Gap():
                if not (math.isfinite(frame.seconds) and frame.seconds >= 0):
                    raise Violation("a gap that is no time")
                self._sink.gap(frame.watcher, frame.reason, frame.seconds)
            case Watching():
                self._sink.watching(frame.watcher, frame.outcome, frame.blind)

    def _hear_wish(self, frame: Fetch | Keep) -> None:
        """Hand over what a watcher fetches, keep what it hands over."""
        known = self.spec.materials.get(frame.watcher)
        if self._holder is None or known is None or frame.watcher not in self.spec.watchers:
            raise Violation(f"a wish of {frame.watcher[:80]!r}, for which nothing is held")
        if isinstance(frame, Keep):
            try:
                self._holder.keep(self.spec, frame)
            except Malformed as error:
                raise Violation(error.message) from error
            return
        if frame.name not in known:
            raise Violation(f"a request for {frame.name[:80]!r}, which is not held for {frame.watcher}")
        if self._link is not None:
            pieces: Iterator[Material] = self._holder.hand_over(self.spec, frame.watcher, frame.name, frame.have)
            self._link.stream(pieces)
