"""Keeps one worker: connects it, greets it, asks whether it still answers, lets it go when idle, and brings it back with back-off."""

import os
from collections.abc import Iterator

from msgspec.structs import replace

from agent.backoff import Backoff
from agent.clock import Clock
from agent.errands import DeedDone, Errands, LookDone, Progress
from agent.loop import Callback, Loop, Timer
from agent.supervision import Connector, Holder, Look, Sink, Snapshots, WorkerSpec
from agent.worker_link import Link, Violation
from contracts.action import Command
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Why
from contracts.event import Event, Kind, Severity
from contracts.frames import PROTOCOL, FromWorker, Goodbye, Hello, Ping, Pong, Ready, Retune
from contracts.outcome import Unavailable
from contracts.record import Record
from contracts.wire import WorkerState

WORKER_DIED = Kind(
    name="agent.worker_died",
    meaning="A worker process ended without being told to, or could not be started; what it looks at is not seen meanwhile.",
    title="Worker {worker} is down: {detail}",
    severity=Severity.MEDIUM,
    fields={"worker": "str", "detail": "str", "restarts": "int", "wait_s": "float"},
    attack=("T1562.001",),
    advice="It is started again by itself; if it keeps ending, look at its journal and at `holdfast diagnose`.",
    ocsf_class=6008,
)
WORKER_HUNG = Kind(
    name="agent.worker_hung",
    meaning="A worker process did not answer in time and was ended.",
    title="Worker {worker} hung: {detail}",
    severity=Severity.MEDIUM,
    fields={"worker": "str", "detail": "str", "restarts": "int", "wait_s": "float"},
    attack=("T1562.001",),
    advice="It is started again by itself; if it keeps hanging, look at the load of this machine and at `holdfast ledger`.",
    ocsf_class=6008,
)
FRAME_REFUSED = Kind(
    name="agent.frame_refused",
    meaning="A worker said something that it must not say: it is broken or taken over. It was ended.",
    title="Worker {worker} was refused: {detail}",
    severity=Severity.HIGH,
    fields={"worker": "str", "detail": "str", "restarts": "int", "wait_s": "float"},
    attack=("T1068",),
    advice="Treat this host as possibly compromised until you know why; compare what is installed with what the packages ship "
    "(`dpkg --verify`, `rpm -Va`).",
    ocsf_class=2004,
)
KINDS = (WORKER_DIED, WORKER_HUNG, FRAME_REFUSED)


class Timing(Record):
    """How patient the supervisor is, in seconds."""

    handshake_s: float = 20.0
    ping_s: float = 10.0
    pong_s: float = 10.0
    farewell_s: float = 5.0
    settle_s: float = 0.5
    """Between an orderly end and the next start: a service manager refuses whoever connects before it has seen the end."""
    first_wait_s: float = 0.25
    longest_wait_s: float = 15.0
    stable_s: float = 10.0


class Keeper:
    """One worker, as the supervisor sees it: `state` is running, idle, starting, backing_off or stopped."""

    def __init__(
        self,
        spec: WorkerSpec,
        loop: Loop,
        connector: Connector,
        snapshots: Snapshots,
        sink: Sink,
        clock: Clock,
        ids: Iterator[int],
        timing: Timing,
        holder: Holder | None = None,
    ) -> None:
        self.spec = spec
        self.lost: tuple[Blind, ...] = ()
        self._loop, self._connector, self._sink, self._clock, self._timing = loop, connector, sink, clock, timing
        self._errands = Errands(spec, loop, snapshots, sink, clock, ids, self._overran, holder)
        self._backoff = Backoff(timing.first_wait_s, timing.longest_wait_s, timing.stable_s)
        self._link: Link | None = None
        self._state = "idle" if spec.on_demand else "stopped"
        self._detail = ""
        self._restarts = 0
        self._leaving = False
        self._stopped: Callback | None = None
        """Whom to tell once it has been let go for good; None as long as it is to stay."""
        self._next_spec: WorkerSpec | None = None
        self._since = clock.monotonic()
        self._down_since: float | None = None
        self._unreached = False
        self._nonce = 0
        self._timer: Timer | None = None
        self._idle: Timer | None = None
        self._who = (0, -1)

    def start(self) -> None:
        """Connect, unless the worker waits for a command."""
        if not self.spec.on_demand:
            self._connect()

    def stop(self, done: Callback | None = None) -> None:
        """Let the worker go for good; whatever waits is answered, and `done` is called.

        One whose watchers have things kept hands over what it holds first, within `Timing.farewell_s`.
        """
        self._stopped = done or _nothing
        if self._link is not None:
            self._link.send(Goodbye())
        if self._link is None or self._state != "running" or not self.spec.keeps:
            self._let_go()
            return
        self._errands.pause()
        self._again(self._timing.farewell_s, self._let_go)

    def _let_go(self) -> None:
        done, self._stopped = self._stopped, _nothing
        self._drop_link()
        self._become("stopped", "")
        self._errands.abandon("the agent stops", commands=True)
        if done is not None:  # it was told to stop, as it is whenever this is called
            done()

    def collect(self, subject: str, deadline_s: float, done: LookDone) -> None:
        """Ask for a look; while the worker is down the answer is `Unavailable(WORKER_DOWN)`, a moment later."""
        if self._state in ("running", "starting"):
            self._errands.collect(subject, deadline_s, done)
            return
        detail = f"worker {self.spec.name} is {self._state.replace('_', ' ')}" + (
            f": {self._detail}" if self._detail else ""
        )
        look = Look(
            id=0,
            subject=subject,
            outcome=Unavailable(why=Why.WORKER_DOWN, detail=detail),
            started_ms=self._clock.now_ms(),
        )
        self._loop.call_later(0.0, lambda: done(look))

    def do(self, command: Command, deadline_s: float, done: DeedDone, progress: Progress | None) -> None:
        """Ask for a deed; an idle worker is started, one in back-off is waited for within the deadline."""
        self._errands.do(command, deadline_s, done, progress)
        self._cancel_idle()
        if self._state == "idle":
            self._connect()

    def stored(self, run: int, subject: str, revision: int) -> None:
        """Tell the worker that its changes are stored."""
        self._errands.stored(run, subject, revision)

    def replace(self, spec: WorkerSpec) -> None:
        """Go on with other settings: the worker starts anew once it owes nothing."""
        if spec == self.spec and self._next_spec is None:
            return
        tuned = self._tuned(spec)
        self._next_spec = spec
        if self._link is None:
            self._adopt()
        elif tuned and self._state == "running":
            self._adopt()
            for watcher in tuned:
                self._link.send(Retune(watcher=watcher, options=spec.options.get(watcher, b"")))
        elif self._state == "starting":
            self._drop_link()
            self._adopt()
            self._connect()
        else:
            self._errands.pause()
            self._leave_if_idle()

    def _tuned(self, spec: WorkerSpec) -> tuple[str, ...]:
        """Return the watchers whose settings differ, when nothing else does and they take others while they watch; else none."""
        if self._next_spec is not None or self._leaving or _without(spec) != _without(self.spec):
            return ()
        names = sorted({*spec.options, *self.spec.options})
        differ = [name for name in names if spec.options.get(name) != self.spec.options.get(name)]
        return tuple(differ) if all(name in spec.live for name in differ) else ()

    def state(self) -> WorkerState:
        """Return how it stands."""
        pid, uid = self._who if self._link is not None else (0, -1)
        return WorkerState(
            name=self.spec.name, state=self._state, pid=pid, restarts=self._restarts, uid=uid, detail=self._detail
        )

    def _connect(self) -> None:
        self._become("starting", self._detail)
        try:
            sock = self._connector.connect(self.spec.name)
        except HoldfastError as error:
            self._end(str(error), WORKER_DIED, reached=False)
            return
        self._link = Link(
            self._loop, sock, self._connector.uids(self.spec.name), self._hear, self._gone, self._clock.monotonic
        )
        self._again(
            self._timing.handshake_s,
            lambda: self._overran(f"it did not say that it is ready within {self._timing.handshake_s:g} s"),
        )
        self._link.send(Hello(protocol=PROTOCOL, options=self.spec.options, watch=self.spec.watchers))

    def _hear(self, frame: FromWorker) -> None:
        if isinstance(frame, Ready):
            self._greet(frame)
        elif self._state == "starting":
            raise Violation(f"{type(frame).__name__} before Ready")
        elif isinstance(frame, Pong):
            self._pong(frame)
        else:
            self._errands.hear(frame)
            self._after_errand()

    def _greet(self, ready: Ready) -> None:
        link = self._link
        if link is None or self._state != "starting":
            raise Violation("a second Ready")
        if (ready.worker, ready.uid) != (self.spec.name, link.uid):
            raise Violation(
                f"it says it is worker {ready.worker[:80]!r} of user {ready.uid}, the kernel says user {link.uid}"
            )
        if ready.protocol != PROTOCOL:
            self._end(
                f"it speaks protocol {ready.protocol}, the core {PROTOCOL}; restart the agent's units", WORKER_DIED
            )
            return
        self._who = (link.pid, link.uid)
        self.lost = ready.lost
        self._since, self._unreached = self._clock.monotonic(), False
        self._become("running", "")
        self._again(self._timing.ping_s, self._ping)
        if self._down_since is not None:
            away, self._down_since = self._since - self._down_since, None
            for watcher in self.spec.watchers:
                self._sink.gap(watcher, f"worker {self.spec.name} was down", away)
        self._errands.attach(link)
        self._after_errand()

    def _ping(self) -> None:
        self._nonce += 1
        late = f"it did not answer within {self._timing.pong_s:g} s"
        self._again(self._timing.pong_s, lambda: self._overran(late))
        if self._link is not None:
            self._link.send(Ping(nonce=self._nonce))

    def _pong(self, pong: Pong) -> None:
        if pong.nonce != self._nonce:
            raise Violation("an answer to a ping that was not sent")
        if not self._leaving and self._stopped is None:  # else the timer is that of the farewell
            self._again(self._timing.ping_s, self._ping)

    def _overran(self, detail: str) -> None:
        self._end(detail, WORKER_HUNG)

    def _gone(self, reason: str, violation: bool) -> None:
        if violation:
            self._end(reason, FRAME_REFUSED)
        elif self._leaving or (self.spec.on_demand and self._state == "running" and not self._errands.busy):
            self._left()
        else:
            self._end(reason, WORKER_DIED)

    def _end(self, detail: str, kind: Kind, *, reached: bool = True) -> None:
        """The worker is of no more use: kill what may be left of it, answer what waits, and try again later, if it is to stay."""
        lived_s = self._clock.monotonic() - self._since if self._state == "running" else 0.0
        if reached and kind is not WORKER_DIED:
            self._connector.kill(self.spec.name)
        if self._stopped is not None:
            if kind is not WORKER_DIED:
                self._report(kind, detail, 0.0)
            self._let_go()
            return
        self._drop_link()
        if self._down_since is None:
            self._down_since = self._clock.monotonic()
        wait_s = self._backoff.after(lived_s)
        self._restarts += 1
        self._become("backing_off", detail)
        if reached or not self._unreached:
            self._report(kind, detail, wait_s)
        self._unreached = not reached
        self._again(wait_s, self._retry)
        self._errands.abandon(detail, commands=False)

    def _retry(self) -> None:
        self._adopt()
        if self.spec.on_demand and not self._errands.waiting:
            self._become("idle", self._detail)
        else:
            self._connect()

    def _left(self) -> None:
        """It has ended in order, as it was asked to."""
        if self._stopped is not None:
            self._let_go()
            return
        self._drop_link()
        self._adopt()
        rests = self.spec.on_demand and not self._errands.waiting
        self._become("idle" if rests else "starting", "")
        self._errands.abandon("it ended as it was told", commands=False, looks=rests)
        if not rests:
            self._again(self._timing.settle_s, self._connect)

    def _after_errand(self) -> None:
        if self._state != "running" or self._errands.busy or self._stopped is not None:
            return
        if self._next_spec is not None:
            self._leave_if_idle()
        elif self.spec.on_demand:
            self._cancel_idle()
            self._idle = self._loop.call_later(self.spec.idle_s, self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        """Tell the worker to end; it has a moment for that."""
        if self._link is None or self._errands.busy or self._leaving:
            return
        self._leaving = True
        self._errands.pause()
        self._again(self._timing.farewell_s, self._push)
        self._link.send(Goodbye())

    def _push(self) -> None:
        self._connector.kill(self.spec.name)
        self._left()

    def _adopt(self) -> None:
        if self._next_spec is not None:
            self.spec = self._errands.spec = self._next_spec
            self._next_spec = None

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._leaving = False
        self._cancel_idle()
        if self._timer is not None:
            self._timer.cancel()

    def _become(self, state: str, detail: str) -> None:
        self._state, self._detail = state, detail

    def _again(self, delay_s: float, callback: Callback) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, callback)

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _report(self, kind: Kind, detail: str, wait_s: float) -> None:
        event = kind.event(
            self.spec.name,
            worker=self.spec.name,
            detail=detail[:500],
            restarts=self._restarts,
            wait_s=round(wait_s, 2),
            observed_ms=self._clock.now_ms(),
        )
        self._sink.agent_event(_unique(event))


def _nothing() -> None:
    pass


def _without(spec: WorkerSpec) -> WorkerSpec:
    """Return `spec` without what a live watcher takes over."""
    return replace(spec, options={}, materials={}, keeps={})


def _unique(event: Event) -> Event:
    """Return `event` with a dedup key of its own: the fiftieth end is not a repeat of the first."""
    return Event(
        **{name: getattr(event, name) for name in event.__struct_fields__ if name != "dedup"},
        dedup=os.urandom(16).hex(),
    )
