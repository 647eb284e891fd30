"""One running agent: its parts made and joined, its configuration exchanged while it runs, its state told, its orderly end."""

import os
import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agent import guard, housekeeping, kept, privileges, scan_first
from agent import plan as planning
from agent.antivirus_book import KINDS as ANTIVIRUS_KINDS
from agent.antivirus_book import AntivirusBook
from agent.antivirus_proof import AntivirusProof
from agent.backup_book import KINDS as BACKUP_KINDS
from agent.backup_book import BackupBook
from agent.challenges import Challenges
from agent.clock import Clock, Ids, StepWatch
from agent.control_server import ControlServer
from agent.core import Core
from agent.core import Plan as CorePlan
from agent.coverage import CoverageBook
from agent.declared import declare
from agent.follow_up import follow_up
from agent.handover import Handover
from agent.housekeeping import Housekeeping
from agent.intake import Intake
from agent.judging import Judging
from agent.kinds import CLOCK_STEPPED, CONFIG_CHANGED, CONFIG_LOADED, CONFIG_REFUSED, STARTED, STOPPED, WATCH_GAP
from agent.loop import Callback, Loop
from agent.outlets import Outlets
from agent.outputs.rendering import Rendering
from agent.patient_memory import PatientMemory
from agent.plan import Plan
from agent.reporting import Reporting
from agent.responder import Responder
from agent.scheduler import Job, Scheduler
from agent.sdnotify import Notifier
from agent.spool.spool import Spool, SpoolLimits
from agent.start import Paths
from agent.state import State
from agent.state_disk import StateDisk
from agent.supervision import Connector
from agent.supervisor import Supervisor
from agent.thrift import Thrift
from agent.timed import TimedDeeds
from agent.verbs import Verbs
from contracts.errors import HoldfastError, Unavailable
from contracts.event import Envelope, Event
from contracts.judge import Judge
from contracts.subjects.antivirus import RUNS as ANTIVIRUS_RUNS
from contracts.subjects.backup import SUBJECT as BACKUPS
from contracts.subjects.policy import SUBJECT as POLICY
from contracts.wire import Heartbeat
from settings.errors import ConfigErrors

FEED_S = 5.0
"""How often the watchdog is fed at most; the loop ticks at least every ten seconds."""
HEARTBEAT_WAIT_S = 10.0


class Instance:
    """Made with everything it needs; `start`, then `stop` once and `close`."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        paths: Paths,
        plan: Plan,
        connector: Connector,
        judges: Sequence[Judge[Any]],
        notifier: Notifier,
    ) -> None:
        self._loop, self._clock, self._paths, self._plan, self._notifier = loop, clock, paths, plan, notifier
        self._began = clock.monotonic()
        self._instance = secrets.token_hex(8)
        self._new_id = partial(_one, Ids(clock))
        self._signature = planning.signature(paths.config)
        self._steps = StepWatch(clock)
        self._thrift = Thrift(clock.monotonic)
        self._fed = 0.0
        self._told: tuple[object, ...] = ()
        self._refused: tuple[str, ...] = ()
        self._reloading = self._stopping = False
        settings = plan.settings
        self._disk = StateDisk(paths.state, clock.monotonic)
        self._state, state_events = State.open(paths.state / "state.db", clock, settings.ledger.keep / 86400)
        self._reporting = Reporting(paths.state, settings, self._state, clock)
        limits = SpoolLimits(total_bytes=settings.spool.max_size)
        self._spool, spool_events = Spool.open(paths.state / "spool.db", self._reporting.agent, limits, clock)
        self._first_events = state_events  # those of the spool are in its lanes already
        self._spool_was_set_aside = bool(spool_events)
        self._rendering = Rendering(plan.kinds, lambda: self._plan.facts, plan.version)
        self._core = Core(self._state, clock, CoverageBook())
        self._handover = Handover(paths.state / "kept", self._state)
        self._supervisor = Supervisor(
            loop, plan.workers, connector, self._state, self._core, clock, holder=self._handover
        )
        self._intake = Intake(self._spool, clock, loop, self._instance, self._stored, self._disk)
        self._core.short = lambda: self._disk.short
        self._judging = Judging(judges, self._state, clock)
        guarding = guard.rules(settings.firewall.guard)
        self._responder = Responder(settings.rules, plan.deeds, self._core.do, clock, self._new_id, guarding)
        memory = PatientMemory(self._state, self._intake)
        self._scheduler = Scheduler(loop, clock, memory, self._core.run)
        self._housekeeping = Housekeeping([paths.state / "spool.db", paths.state / "state.db"], self._happened)
        chores = {housekeeping.NAME: self._housekeeping.run}
        self._timed = TimedDeeds(self._core, self._new_id, loop.call_later, memory, clock.now_ms)
        self._scan_first = scan_first.ScanFirst(memory, loop.call_later)
        self._backups = BackupBook(self._state)
        self._antivirus = AntivirusBook(self._state)
        self._core.bind(
            self._intake, self._scheduler, self._supervisor, self._judging, self._responder, chores, self._timed
        )
        self._outlets = Outlets(loop, self.heartbeat, self._state.rows)
        self._control: ControlServer | None = None
        from agent.config_watch import ConfigWatch  # after the start: it brings watchdog

        self._config_watch = ConfigWatch(loop, paths.config, self._config_changed)

    def start(self) -> None:
        """Begin to look, to answer and to report; then say that it is ready."""
        self._intake.override(self._plan.settings.events.severity)
        self._intake.describe(self._plan.kinds)
        self._outlets.use(self._plan.settings.outputs, self._rendering)
        self._intake.put(self._first_events)
        user = privileges.held().uid
        self._intake.put(
            [STARTED.event("agent", version=self._plan.version, user=str(user), boot_id=self._plan.facts.boot_id)]
        )
        self._timed.use(self._plan.timed, self._plan.deeds)
        self._timed.resume()
        self._core.follow(core_plan(self._plan))
        self._patiently(self._declare)
        self._take_backups(self._recent(BACKUP_KINDS))
        self._core.listeners.append(lambda envelope: self._take_backups([envelope]))
        self._core.listeners.append(lambda envelope: follow_up(envelope, self._core.changed))
        self._take_antivirus(self._recent(ANTIVIRUS_KINDS))
        self._core.listeners.append(lambda envelope: self._take_antivirus([envelope]))
        self._core.listeners.append(self._antivirus_proof().take)
        self._scan_first.resume(self._recent(scan_first.KINDS, self._scan_first.until_ms))
        self._core.listeners.append(lambda envelope: self._scan_first.take(envelope.event))
        self._core.beside = self._scan_first
        self._supervisor.start()
        verbs = Verbs(
            self._core,
            self._state,
            self._spool,
            self._clock,
            self._rendering.text,
            lambda: self._plan.deeds,
            self._new_id,
        )
        self._control = ControlServer(
            self._loop,
            self._paths.control,
            {**verbs.table(self.status, self._reload_for_a_person), **kept.verbs(self._handover)},
            self._core.agent_event,
            self._plan.settings.control.group,
        )
        self._loop.on_tick = self._tick
        self._reporting.start(
            self._spool,
            self._heartbeat_from_elsewhere,
            self._happened,
            self._plan.facts,
            self._plan.version,
            Challenges(
                self._core,
                self._loop.call_soon_threadsafe,
                lambda: self._plan.deeds,
                self._new_id,
                self._reporting.beat,
            ),
        )
        try:
            self._config_watch.start()
        except Unavailable as error:  # `status` finds an edited file all the same, whenever it is asked
            self._intake.put([WATCH_GAP.event("configuration", subject="configuration", detail=str(error))])
        self._notifier.ready(f"watching {len(self._plan.looks)} subjects")

    def stop(self, signal_name: str, done: Callback) -> None:
        """End in order: no new work, what workers still hold, a last event, a last report; then `done` is called."""
        self._stopping = True
        self._config_watch.stop()
        self._scheduler.stop()

        def alone() -> None:
            self._intake.put([STOPPED.event("agent", signal=signal_name)])
            self._say_what_is_lost(self._intake.last_try())
            if self._control is not None:
                self._control.close()
            self._reporting.stop(3.0)
            done()

        self._supervisor.stop(alone)

    def close(self) -> None:
        """Release the files."""
        self._outlets.close()
        self._spool.close()
        self._state.close()

    def reload(self) -> None:
        """Read the configuration anew, in a child, without holding up the loop; take it if it is valid."""
        if self._reloading:
            return
        self._reloading = True
        self._notifier.reloading()

        def work() -> None:
            made, errors = _load(self._paths.config)
            self._loop.call_soon_threadsafe(lambda: self._reloaded(made, errors))

        threading.Thread(target=work, name="reload", daemon=True).start()

    def status(self) -> dict[str, Any]:
        """Return what `holdfast status` shows."""
        sights = self._core.sight().sights
        counts = {
            state: sum(sight.state == state for sight in sights) for state in ("seen", "partial", "unseen", "unknown")
        }
        held = privileges.held()
        return {
            "agent": self._reporting.agent,
            "version": self._plan.version,
            "pid": os.getpid(),
            "uptime_s": round(self._clock.monotonic() - self._began, 1),
            "hostname": self._plan.facts.hostname,
            "config": {
                "file": str(self._paths.config),
                "digest": self._plan.digest,
                "pending": planning.signature(self._paths.config) != self._signature,
                "refused": list(self._refused),
            },
            "core": {"uid": held.uid, "capabilities": sorted(held.capabilities)},
            "console": self._reporting.status(),
            "sights": sights,
            "counts": {**counts, "held": self._intake.held},
            "workers": self._supervisor.states(),
            "lanes": self._spool.states(),
            "outputs": self._outlets.states(),
            "proofs": [
                {"proof": proof, "holds": proof.holds(self._clock.now_ms())} for proof in self._core.proofs.values()
            ],
            "work": tuple(self._core.work.values()),
            "disk": self._intake.full,
        }

    def heartbeat(self) -> Heartbeat:
        """Return the sign of life as it is now; for the loop's thread."""
        return Heartbeat(
            sent_ms=self._clock.now_ms(),
            instance=self._instance,
            version=self._plan.version,
            facts=self._plan.facts,
            uptime_s=self._clock.monotonic() - self._began,
            every_s=self._plan.settings.heartbeat.every,
            coverage=self._core.sight(),
            workers=self._supervisor.states(),
            lanes=self._spool.states(),
            runs=tuple(self._core.recent_runs),
            proofs=tuple(self._core.proofs.values()),
            config_digest=self._plan.digest,
            clock_skew_ms=self._reporting.skew_ms,
            work=tuple(self._core.work.values()),
        )

    def _stored(self, envelopes: list[Any], trail: frozenset[str]) -> None:
        for envelope in envelopes:
            self._outlets.write(envelope)
        self._core.stored(envelopes, trail)
        if envelopes:
            self._reporting.wake()

    def _tick(self) -> None:
        self._thrift.tick()
        now = self._clock.monotonic()
        if self._notifier.watchdog_s and now - self._fed >= min(FEED_S, self._notifier.watchdog_s / 4):
            self._fed = now
            self._notifier.alive()
        sights = tuple((sight.subject, sight.state, sight.blind) for sight in self._core.sight().sights)
        if sights != self._told:  # what can be seen is not to wait for the next heartbeat
            self._told = sights
            self._reporting.beat()
        told = () if self._intake.full else self._disk.look()
        if told:
            self._intake.put(told)
        step_s = self._steps.look()
        if step_s:
            self._intake.put([CLOCK_STEPPED.event("clock", seconds=step_s)])
            self._scheduler.clock_stepped()

    def _happened(self, event: Event) -> None:
        """The reporter's thread has something to state."""
        self._loop.call_soon_threadsafe(lambda: self._core.agent_event(event))

    def _heartbeat_from_elsewhere(self) -> Heartbeat:
        """Have the loop's thread make the heartbeat: one that is sent proves that the work loop turns."""
        made: list[Heartbeat] = []
        done = threading.Event()

        def make() -> None:
            made.append(self.heartbeat())
            done.set()

        self._loop.call_soon_threadsafe(make)
        until = self._clock.monotonic() + HEARTBEAT_WAIT_S
        while not done.wait(0.25):
            if self._stopping:  # the loop's thread waits for this one: nothing moves, so this one may look itself
                return self.heartbeat()
            if self._clock.monotonic() > until:
                raise HoldfastError("the core is too busy to make a heartbeat", permanent=False)
        return made[0]

    def _reloaded(self, made: Plan | None, errors: tuple[str, ...]) -> None:
        self._reloading = False
        self._signature = planning.signature(self._paths.config)
        if made is None:
            self._refused = errors
            detail = errors[0] if len(errors) == 1 else f"{errors[0]} (and {len(errors) - 1} more)"
            self._intake.put([CONFIG_REFUSED.event(str(self._paths.config), detail=detail, errors=list(errors[:50]))])
            self._notifier.ready(f"the former configuration stays in force: {detail}")
            return
        self._refused = ()
        self._take(made)
        self._intake.put([CONFIG_LOADED.event(str(self._paths.config), digest=made.digest)])
        self._notifier.ready(f"watching {len(made.looks)} subjects")

    def _take(self, made: Plan) -> None:
        """Do as the new plan says; what it does not change goes on undisturbed."""
        former, self._plan = self._plan, made
        self._rendering = Rendering(made.kinds, lambda: self._plan.facts, made.version)
        self._intake.override(made.settings.events.severity)
        self._intake.describe(made.kinds)
        self._responder.reconfigure(made.settings.rules, made.deeds, guard.rules(made.settings.firewall.guard))
        if made.settings.outputs != former.settings.outputs:
            self._outlets.use(made.settings.outputs, self._rendering)
        self._supervisor.reconfigure(made.workers)
        self._timed.use(made.timed, made.deeds)
        self._core.follow(core_plan(made))
        self._patiently(self._declare)
        self._reporting.use(made.settings)

    def _declare(self) -> None:
        """State what the configuration declares, and have it judged."""
        if declare(self._state, self._plan.settings.firewall.policy, self._clock.now_ms()):
            self._core.accepted(POLICY)
        if self._backups.declare(self._plan.backups, self._clock.now_ms()):
            self._core.accepted(BACKUPS)
        if self._antivirus.declare(self._plan.antivirus_proof_s, self._clock.now_ms()):
            self._core.accepted(ANTIVIRUS_RUNS)

    def _antivirus_proof(self) -> AntivirusProof:
        return AntivirusProof(
            self._core,
            self._spool,
            self._loop,
            self._clock.monotonic,
            self._clock.now_ms,
            self._happened,
            lambda: self._plan.deeds,
            self._new_id,
            lambda: bool(self._plan.settings.console.url) or self._reporting.status().enrolled,
        )

    def _recent(self, kinds: Sequence[str], since_ms: int = 0) -> list[Envelope]:
        """What was stated last of these kinds, oldest first: a crash may have come between an event and the row that follows from it."""
        found = [envelope for kind in kinds for envelope in self._spool.recent(100, kind, since_ms)]
        return sorted(found, key=lambda envelope: envelope.event.observed_ms)

    def _take_antivirus(self, envelopes: Sequence[Envelope]) -> None:
        told = [envelope.event for envelope in envelopes if envelope.event.kind in ANTIVIRUS_KINDS]
        if told:
            self._patiently(lambda: self._note(self._antivirus, told, ANTIVIRUS_RUNS))

    def _take_backups(self, envelopes: Sequence[Envelope]) -> None:
        told = [envelope.event for envelope in envelopes if envelope.event.kind in BACKUP_KINDS]
        if told:
            self._patiently(lambda: self._note(self._backups, told, BACKUPS))

    def _note(self, book: AntivirusBook | BackupBook, told: Sequence[Event], subject: str) -> None:
        if book.take(told, self._clock.now_ms()):
            self._core.accepted(subject)

    def _patiently(self, write: Callable[[], None]) -> None:
        """Do what writes to the state; on a full disk it waits for room, in its turn, and is done again from its beginning."""
        self._intake.put((), write)

    def _say_what_is_lost(self, events: Sequence[Event]) -> None:
        """Leave on standard error, which is the journal, what a full disk did not take before the end."""
        if events:
            kinds = ", ".join(f"{event.kind} {event.key!r}" for event in events[:20])
            sys.stderr.write(
                f"holdfast: {len(events)} events are lost, because until the end {self._intake.full}: {kinds}"
                f"{' …' if len(events) > 20 else ''}\n"
            )

    def _config_changed(self) -> None:
        if not self._reloading and planning.signature(self._paths.config) != self._signature:
            self._core.agent_event(CONFIG_CHANGED.event("configuration", file=str(self._paths.config)))

    def _reload_for_a_person(self) -> Any:
        from agent.control_server import Answer, Later

        def begin(answer: Answer) -> None:
            self.reload()
            poll(answer)

        def poll(answer: Answer) -> None:
            if self._reloading:
                self._loop.call_later(0.05, lambda: poll(answer))
            elif self._refused:
                answer.fail(HoldfastError("\n".join(self._refused), advice="the former configuration stays in force"))
            else:
                answer.send({"digest": self._plan.digest})

        return Later(begin)


def core_plan(plan: Plan) -> CorePlan:
    """Return the core's part of a plan."""
    hosts = {
        spec.name: tuple({*spec.subjects, *(plan.watchers[name] for name in spec.watchers)}) for spec in plan.workers
    }
    chores = (Job(name=housekeeping.NAME, at=plan.settings.housekeeping.at),)
    timed = {name: deed.at for name, deed in plan.timed.items() if deed.action in plan.deeds}
    return CorePlan(
        looks=plan.looks, watchers=plan.watchers, disabled=plan.disabled, hosts=hosts, chores=chores, timed=timed
    )


def _load(config: Path) -> tuple[Plan | None, tuple[str, ...]]:
    try:
        return planning.make(config), ()
    except ConfigErrors as error:
        return None, tuple(str(item) for item in error.items)
    except HoldfastError as error:
        return None, (str(error),)


def _one(ids: Ids) -> str:
    return ids.take(1)[0]
