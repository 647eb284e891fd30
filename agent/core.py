"""The way of a fact: look -> spool -> snapshot -> judges -> responder -> action. One way, no loops.

The core knows its collaborators by interface only. Every method runs in the loop's thread.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import msgpack
from msgspec.structs import replace

from agent.clock import Clock
from agent.coverage import DISK, DISK_FIX, WORKER_FIX, CoverageBook, narrowed, worker_subject
from agent.intake import Intake
from agent.judging import Judging
from agent.kinds import ACTION_DONE, ACTION_FAILED, ACTION_WOULD_RUN, WATCH_GAP
from agent.responder import Deed, Responder
from agent.scheduler import Job, Scheduler
from agent.supervision import Look
from agent.timed import TimedDeeds
from contracts.action import Command, Result
from contracts.coverage import Blind, Coverage
from contracts.errors import Why
from contracts.event import Envelope, Event
from contracts.frames import Advance
from contracts.outcome import Cost, Failed, Ok, Outcome, Run, Unavailable
from contracts.proof import Proof
from contracts.record import Record
from contracts.runs import SUBJECT as RUNS
from contracts.snapshot import EncodedChanges
from contracts.wire import Work, WorkerState

LOOK, JUDGE, CHORE, TIMED = "look:", "judge:", "chore:", "timed:"
PROOFS = "proofs"
WORKER_RETRY_S = 2.0
"""How soon to look again at what a worker that was down could not."""
MAX_RECENT_RUNS = 64
"""How many ended runs a heartbeat tells of."""


class Store(Protocol):
    """The part of the state that the core writes."""

    def revision(self, subject: str) -> int:
        """Return the subject's revision."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return its rows."""

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        """Store the changes and return the new revision."""

    def touch(self, subject: str, at_ms: int) -> None:
        """Note that the rows still hold."""

    def record(self, run: Run) -> None:
        """Add a line to the ledger."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""

    def put(self, name: str, value: bytes) -> None:
        """Keep a small fact."""


class Workers(Protocol):
    """The part of the supervisor that the core uses."""

    def collect(self, subject: str, deadline_s: float, done: Callable[[Look], None]) -> None:
        """Look at `subject`; `done` is called exactly once."""

    def stored(self, look_id: int, subject: str, revision: int) -> None:
        """Tell the worker that its changes are stored."""

    def states(self) -> tuple[WorkerState, ...]:
        """Return how each worker stands."""

    def lost(self) -> dict[str, tuple[Blind, ...]]:
        """Return what each worker should have and does not."""

    def do(
        self,
        worker: str,
        command: Command,
        deadline_s: float,
        done: Callable[[Result, Cost], None],
        progress: Callable[[Advance], None] | None,
    ) -> None:
        """Carry out a command; `done` is called exactly once."""


class Beside(Protocol):
    """What follows every deed without leading it (`agent.scan_first.ScanFirst`)."""

    def prepare(self, command: Command) -> Command:
        """Return the command as it is to be carried out."""

    def ended(self, command: Command, result: Result) -> None:
        """Take note of how it ended."""


class Plan(Record):
    """What the configuration asks of the core: what to look at and how often, what watches, what is switched off."""

    looks: dict[str, float] = {}
    watchers: dict[str, str] = {}
    """Each watcher and the subject it watches."""
    disabled: tuple[str, ...] = ()
    hosts: dict[str, tuple[str, ...]] = {}
    """Each worker and the subjects that it looks at or watches."""
    chores: tuple[Job, ...] = ()
    """Housekeeping; a chore's name is that of its callback."""
    timed: dict[str, str] = {}
    """Each deed with a time of day, and that time (`HH:MM`)."""


class Core:
    """Joins the parts. `bind` completes the circle with those that need the core itself."""

    def __init__(self, store: Store, clock: Clock, coverage: CoverageBook) -> None:
        self.coverage = coverage
        self._store, self._clock = store, clock
        self._plan = Plan()
        self._asked: dict[str, list[Callable[[Look], None]]] = {}
        self.short: Callable[[], str] = str
        """Says what the state's disk is short of, "" for nothing."""
        self.recent_runs: list[Run] = []
        self.work: dict[str, Work] = {}
        kept = msgpack.decode(store.get(PROOFS) or b"\x90", type=list[Proof])
        self.proofs = {(proof.subject, str(proof.verb)): proof for proof in kept}
        self.listeners: list[Callable[[Envelope], None]] = []
        self.beside: Beside | None = None

    def bind(
        self,
        intake: Intake,
        scheduler: Scheduler,
        workers: Workers,
        judging: Judging,
        responder: Responder,
        chores: Mapping[str, Callable[[], None]],
        timed: TimedDeeds | None = None,
    ) -> None:
        """Take the parts that call back into the core."""
        self._timed = timed
        self.intake, self.scheduler, self._workers = intake, scheduler, workers
        self._judging, self.responder, self._chores = judging, responder, dict(chores)

    def follow(self, plan: Plan) -> None:
        """Do what `plan` says from now on."""
        now_ms = self._clock.now_ms()
        known = {*self._plan.looks, *self._plan.watchers.values(), *self._plan.disabled}
        self._plan = plan
        self.coverage.forget(known - {*plan.looks, *plan.watchers.values(), *plan.disabled})
        for subject, every_s in plan.looks.items():
            self.coverage.expect(subject, every_s, now_ms, len(self._store.rows(subject)))
        for subject in set(plan.watchers.values()) - set(plan.looks):
            self.coverage.expect(subject, 0.0, now_ms)
        for subject in plan.disabled:
            self.coverage.disabled(subject, now_ms)
        for judge in self._judging.names():
            self.coverage.judged(judge)
        judges = [Job(name=JUDGE + name, every_s=self._judging.every_s(name)) for name in self._judging.names()]
        looks = [Job(name=LOOK + subject, every_s=every_s) for subject, every_s in plan.looks.items()]
        chores = [Job(name=CHORE + job.name, every_s=job.every_s, at=job.at) for job in plan.chores]
        timed = [Job(name=TIMED + name, at=at) for name, at in plan.timed.items()]
        self.scheduler.plan([*looks, *judges, *chores, *timed])

    def run(self, job: str) -> None:
        """Start what the scheduler says is due."""
        what, _, name = job.partition(":")
        if what + ":" == LOOK:
            self._workers.collect(name, self._deadline_s(name), self._looked)
        elif what + ":" == JUDGE:
            if RUNS in self._judging.subjects(name):
                self.intake.put((), self._store_runs)  # on a full disk it waits, and the judge after it
                self.intake.put((), lambda: self._ended(self._judging.judge(name), job))
            else:
                self._ended(self._judging.judge(name), job)
        elif what + ":" == TIMED and self._timed is not None:
            self._timed.run(name, lambda: self.scheduler.finished(job))
        else:
            self._chores[name]()
            self.scheduler.finished(job)

    def look(self, subject: str, done: Callable[[Look], None]) -> bool:
        """Look at `subject` now and call back once the result is stored; False when nothing looks at it."""
        if subject not in self._plan.looks:
            return False
        self._asked.setdefault(subject, []).append(done)
        self.scheduler.request(LOOK + subject)
        return True

    def looks_at(self, subject: str) -> bool:
        """Say whether the configuration has `subject` looked at."""
        return subject in self._plan.looks

    def accepted(self, subject: str) -> None:
        """Judge anew: a person accepted `subject` as it is."""
        for judge in self._judging.concerned(subject):
            self.scheduler.request(JUDGE + judge)

    def do(self, deed: Deed, command: Command, rule: str, trail: frozenset[str]) -> None:
        """Carry out a rule's command and state what came of it."""
        command = self._prepared(command)
        self._workers.do(
            deed.worker,
            command,
            deed.deadline_s,
            lambda result, cost: self._did(command, rule, trail, result, cost),
            lambda advance: self._advanced(command, advance),
        )

    def do_for(
        self,
        deed: Deed,
        command: Command,
        done: Callable[[Result], None],
        progress: Callable[[Advance], None],
    ) -> None:
        """Carry out a person's command; state what came of it and tell him."""
        command = self._prepared(command)

        def finished(result: Result, cost: Cost) -> None:
            self._did(command, "", frozenset(), result, cost)
            done(result)

        def advanced(advance: Advance) -> None:
            self._advanced(command, advance)
            progress(advance)

        self._workers.do(deed.worker, command, deed.deadline_s, finished, advanced)

    def _prepared(self, command: Command) -> Command:
        return self.beside.prepare(command) if self.beside is not None else command

    def stored(self, envelopes: list[Envelope], trail: frozenset[str]) -> None:
        """Take what has become durable: tell who listens, and answer by the rules."""
        for envelope in envelopes:
            for listener in list(self.listeners):
                listener(envelope)
        self.intake.put(self.responder.respond(envelopes, trail), trail=trail)

    def sight(self) -> Coverage:
        """Return what can be seen right now: what the runs said, and what workers and disk take away from it."""
        taken: dict[str, list[Blind]] = {}
        down: set[str] = set()
        for worker in self._workers.states():
            if worker.state in ("backing_off", "stopped"):
                detail = f"worker {worker.name} is down" + (f": {worker.detail}" if worker.detail else "")
                for subject in self._concerned(worker.name):
                    down.add(subject)
                    taken.setdefault(subject, []).append(
                        Blind(what=subject, why=Why.WORKER_DOWN, detail=detail, fix=WORKER_FIX)
                    )
        for name, lost in self._workers.lost().items():
            for subject in self._concerned(name) if lost else ():
                taken.setdefault(subject, []).extend(lost)
        own = {worker_subject(name) for name, subjects in self._plan.hosts.items() if not subjects}
        self.coverage.workers({name: name in down for name in sorted(own & taken.keys())}, self._clock.now_ms())
        if self.intake.full:
            blind = Blind(what="anything new", why=Why.OTHER, detail=self.intake.full, fix=DISK_FIX)
            for sight in self.coverage.coverage().sights:
                if sight.subject == DISK:
                    continue
                taken.setdefault(sight.subject, []).append(blind)
        self.coverage.disk(self.intake.full, self.short(), self._clock.now_ms())
        return narrowed(self.coverage.coverage(), taken, down)

    def _concerned(self, worker: str) -> tuple[str, ...]:
        """The sights that a worker's state bears on: its subjects, or one of its own where it looks at nothing and only acts."""
        if worker not in self._plan.hosts:
            return ()
        return self._plan.hosts[worker] or (worker_subject(worker),)

    def emitted(self, worker: str, watcher: str, event: Event) -> None:  # noqa: ARG002  # who said it was checked already
        """A watcher stated a fact."""
        self.intake.put([event])

    def changed(self, watcher: str, subject: str) -> None:  # noqa: ARG002
        """A watcher asks for a look."""
        self.scheduler.request(LOOK + subject)

    def gap(self, watcher: str, reason: str, seconds: float) -> None:
        """A watcher may have missed something: say so, and look in full."""
        subject = self._plan.watchers.get(watcher, watcher)
        self.intake.put([WATCH_GAP.event(watcher, subject=subject, detail=reason, seconds=seconds)])
        self.scheduler.request(LOOK + subject)

    def watching(self, watcher: str, outcome: Outcome, blind: tuple[Blind, ...]) -> None:
        """A watcher's state changed."""
        subject = self._plan.watchers.get(watcher)
        if subject is None:
            return
        if subject in self._plan.looks:
            self.intake.put(self.coverage.watching(subject, outcome, blind))
        else:
            self._cover(subject, outcome, blind, None)
        if isinstance(outcome, Ok):  # what happened while nobody watched is found by a full look
            self.scheduler.request(LOOK + subject)

    def agent_event(self, event: Event) -> None:
        """The supervisor has something to report."""
        self.intake.put([event])

    def _looked(self, look: Look) -> None:
        self._ended(look, LOOK + look.subject)

    def _ended(self, look: Look, job: str) -> None:
        """Store what a look or a judge found: its events first, its snapshot after, then everything that follows."""
        if isinstance(look.outcome, Ok):
            self.intake.put(look.events, lambda: self._advance(look, job))
            if self.intake.full:  # whoever asked for it would wait for the disk
                outcome = Unavailable(why=Why.OTHER, detail=self.intake.full, fix=DISK_FIX)
                self._answer(look.subject, replace(look, outcome=outcome))
        else:
            self._settle(look, job, None)

    def _advance(self, look: Look, job: str) -> None:
        before = self._store.revision(look.subject)
        if look.changes.put or look.changes.removed:
            revision = self._store.apply(look.subject, look.changes, look.started_ms)
        else:
            self._store.touch(look.subject, look.started_ms)
            revision = self._store.revision(look.subject)
        if look.id:
            self._workers.stored(look.id, look.subject, revision)
        self._settle(look, job, len(self._store.rows(look.subject)) if revision != before else None)
        if revision != before:
            for judge in self._judging.concerned(look.subject):
                self.scheduler.request(JUDGE + judge)

    def _settle(self, look: Look, job: str, rows: int | None) -> None:
        """Keep the books about a run that has ended, and let its job come again."""
        self._cover(look.subject, look.outcome, look.blind, rows)
        self._record(
            Run(
                name=look.subject,
                started_ms=look.started_ms or self._clock.now_ms(),
                outcome=look.outcome,
                cost=look.cost,
                rows=self.coverage.rows(look.subject),
                events=len(look.events),
            )
        )
        self.scheduler.finished(job)
        if isinstance(look.outcome, Unavailable) and look.outcome.why is Why.WORKER_DOWN:
            self.scheduler.request(job, WORKER_RETRY_S)
        self._answer(look.subject, look)

    def _answer(self, subject: str, look: Look) -> None:
        """Tell those who asked for a look how it ended."""
        for done in self._asked.pop(subject, ()):
            done(look)

    def _record(self, run: Run) -> None:
        self.recent_runs = [*self.recent_runs[1 - MAX_RECENT_RUNS :], run]
        self.intake.put((), lambda: self._store.record(run))

    def _cover(self, subject: str, outcome: Outcome, blind: tuple[Blind, ...], rows: int | None) -> None:
        events = self.coverage.looked(subject, outcome, blind, rows, self._clock.now_ms())
        if events:
            self.intake.put(events)
            for judge in self._judging.concerned(RUNS):
                self.scheduler.request(JUDGE + judge)

    def _store_runs(self) -> None:
        """Bring the subject `agent.runs` up to date for a judge that looks at it."""
        before = self._store.rows(RUNS)
        after = {name: msgpack.encode(run) for name, run in self.coverage.runs().items()}
        put = {name: row for name, row in after.items() if before.get(name) != row}
        removed = tuple(name for name in before if name not in after)
        if put or removed:
            self._store.apply(RUNS, EncodedChanges(put=put, removed=removed), self._clock.now_ms())

    def _advanced(self, command: Command, advance: Advance) -> None:
        """Keep how far a deed is, for the heartbeat."""
        known = self.work.get(command.id)
        self.work[command.id] = Work(
            action=command.action,
            key=str(command.arguments.get("job", "")),
            done=advance.done,
            total=advance.total,
            unit=advance.unit,
            what=advance.what,
            since_ms=known.since_ms if known is not None else self._clock.now_ms(),
        )

    def _did(self, command: Command, rule: str, trail: frozenset[str], result: Result, cost: Cost) -> None:
        cause, action, who = command.cause, command.action, command.who or None
        self.work.pop(command.id, None)
        if self.beside is not None:
            self.beside.ended(command, result)
        match result.outcome:
            case Ok() if command.dry_run:
                told = ACTION_WOULD_RUN.event(action, rule=rule, action=action, detail=result.summary, cause=cause)
            case Ok():
                told = ACTION_DONE.event(action, rule=rule, action=action, detail=result.summary, cause=cause, who=who)
            case Unavailable(detail=detail) | Failed(error=detail):
                told = ACTION_FAILED.event(action, rule=rule, action=action, detail=detail, cause=cause, who=who)
        if result.proof is not None and not command.dry_run:
            self.proofs[result.proof.subject, result.proof.verb] = result.proof
            proofs = msgpack.encode(list(self.proofs.values()))
            self.intake.put((), lambda: self._store.put(PROOFS, proofs))
        started_ms = self._clock.now_ms() - round(cost.wall_s * 1000)
        self._record(
            Run(name=action, started_ms=started_ms, outcome=result.outcome, cost=cost, events=len(result.events))
        )
        for subject, delay_s in result.looks.items() if not command.dry_run else ():
            self.scheduler.request_later(LOOK + subject, delay_s)
        if rule and isinstance(result.outcome, Ok) and not (result.summary or result.events):
            return  # a rule had an action look, and there was nothing to do
        self.intake.put([*result.events, told], trail=trail)

    def _deadline_s(self, subject: str) -> float:
        """Return how long a look may take: three of its intervals, but at least half a minute and at most an hour."""
        return min(3600.0, max(30.0, 3 * self._plan.looks.get(subject, 0.0)))
