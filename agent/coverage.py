"""What this agent can and cannot see right now: one sight per subject and per watcher, and an event whenever one changes.

The outcome of every run comes here, so that a failure to look is never dropped: it is a sight that is not `seen`, with its reason.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import assert_never

from msgspec.structs import replace

from agent.kinds import COLLECTOR_FAILED, COLLECTOR_RECOVERED, COLLECTOR_UNAVAILABLE
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why
from contracts.event import Event
from contracts.outcome import Failed, Ok, Outcome, Unavailable
from contracts.record import Record
from contracts.runs import RunState

SEEN, PARTIAL, UNSEEN, UNKNOWN = "seen", "partial", "unseen", "unknown"


DISK = "state disk"
"""The sight of the file system that holds the agent's state; there is one only while it is short of room."""
DISK_FIX = "Free space on the file system of the state directory; the agent goes on by itself."
WORKER_FIX = "It is tried again by itself; if it stays down, look at the agent's log and restart the agent."
_FIXES = {
    Why.TOOL_MISSING: "Install the tool that is named.",
    Why.PERMISSION: "Run the agent as root (it gives up what it does not need), or install it as a service.",
    Why.INCOMPATIBLE: "Run the tool that is named by hand and mend what it complains about.",
    Why.MALFORMED: "Run the tool that is named by hand; if its output is in order, report it with holdfast support-bundle.",
    Why.TIMEOUT: "Find out what keeps this machine busy (holdfast ledger); it is tried again by itself.",
    Why.TOO_LARGE: "Raise the limits of this collector in the configuration.",
    Why.WORKER_DOWN: WORKER_FIX,
    Why.OTHER: "Run holdfast diagnose; if that does not name it, report it with holdfast support-bundle.",
}
"""What would do where whoever could not look had no better advice."""


class _Known(Record):
    """One sight and how the run behind it ended."""

    sight: Sight
    every_s: float = 0.0
    outcome: str = "never"
    detail: str = ""
    last_run_ms: int = 0
    began_ms: int = 0
    told: str = ""
    """What the last event about it said, so that each condition is stated once."""


class CoverageBook:
    """Keeps the sights. Every method that may change one returns the events to state."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._judges: set[str] = set()
        self._watched: dict[str, tuple[Blind, ...]] = {}
        self._watch_told: dict[str, str] = {}
        self._workers: dict[str, Sight] = {}
        self._disk: Sight | None = None

    def expect(self, subject: str, every_s: float, now_ms: int, rows: int = 0) -> None:
        """Know that `subject` is to be looked at; it is `unknown` until it was. `rows` is how many are stored of it."""
        known = self._known.get(subject)
        if known is None or (known.sight.state == UNSEEN and known.told == Why.DISABLED):
            sight = Sight(subject=subject, state=UNKNOWN, since_ms=now_ms, rows=rows)
            self._known[subject] = _Known(sight=sight, every_s=every_s, began_ms=now_ms)
        elif known.every_s != every_s:
            self._known[subject] = replace(known, every_s=every_s)

    def disabled(self, subject: str, now_ms: int) -> None:
        """Know that the configuration switches `subject` off: not seen, on purpose."""
        blind = Blind(
            what=subject,
            why=Why.DISABLED,
            detail="switched off in the configuration",
            fix=f"Set collectors.{subject}.enabled: true.",
        )
        known = self._known.get(subject)
        if known is None or known.told != Why.DISABLED:
            sight = Sight(subject=subject, state=UNSEEN, blind=(blind,), since_ms=now_ms)
            self._known[subject] = _Known(sight=sight, began_ms=now_ms, told=Why.DISABLED)

    def forget(self, subjects: Iterable[str]) -> None:
        """Drop subjects that no longer exist."""
        for subject in subjects:
            for book in (self._known, self._watched, self._watch_told):
                book.pop(subject, None)

    def looked(
        self, subject: str, outcome: Outcome, blind: tuple[Blind, ...], rows: int | None, now_ms: int
    ) -> tuple[Event, ...]:
        """Take note of how a run ended. `rows` is how many the subject has now (None: as before)."""
        known = self._known.get(subject) or _Known(
            sight=Sight(subject=subject, state=UNKNOWN, since_ms=now_ms), began_ms=now_ms
        )
        state, spots = _judge(subject, outcome, blind)
        sight = Sight(
            subject=subject,
            state=state,
            blind=spots,
            since_ms=known.sight.since_ms if known.sight.state == state else now_ms,
            last_ok_ms=now_ms if state == SEEN or isinstance(outcome, Ok) else known.sight.last_ok_ms,
            rows=known.sight.rows if rows is None else rows,
        )
        told, events = _tell(subject, outcome, known.told)
        word, detail = _words(outcome)
        self._known[subject] = replace(known, sight=sight, outcome=word, detail=detail, last_run_ms=now_ms, told=told)
        return events

    def watching(self, subject: str, outcome: Outcome, blind: tuple[Blind, ...]) -> tuple[Event, ...]:
        """Take note of how the watcher of a subject that is also looked at fares: without it, changes are seen late."""
        what = f"{subject} as it changes"
        state, spots = _judge(what, outcome, blind)
        self._watched[subject] = () if state == SEEN else spots
        told, events = _tell(what, outcome, self._watch_told.get(subject, ""))
        self._watch_told[subject] = told
        return events

    def judged(self, judge: str) -> None:
        """Know that `judge` concludes and does not look: it is named only when it broke or could not judge all."""
        self._judges.add(judge)

    def workers(self, impaired: Mapping[str, bool], now_ms: int) -> None:
        """Know which workers that look at nothing cannot do all of their work now, by `worker_subject`, and whether each is down.

        They have a sight only while that is so: until its first deed nobody can say which rights a worker on demand will have.
        """
        former, self._workers = self._workers, {}
        for subject, down in impaired.items():
            state = UNSEEN if down else PARTIAL
            known = former.get(subject)
            if known is None or known.state != state:
                known = Sight(subject=subject, state=state, since_ms=now_ms)
            self._workers[subject] = known

    def disk(self, full: str, short: str, now_ms: int) -> None:
        """Know that the agent can store nothing (`full` says why) or soon can no more (`short`), or that all is well."""
        if not full and not short:
            self._disk = None
            return
        state = UNSEEN if full else PARTIAL
        what = "what happens from now on: it waits in memory" if full else "what does not fit any more"
        blind = Blind(what=what, why=Why.OTHER, detail=full or short, fix=DISK_FIX)
        known = self._disk
        since_ms = known.since_ms if known is not None and known.state == state else now_ms
        self._disk = Sight(subject=DISK, state=state, blind=(blind,), since_ms=since_ms)

    def rows(self, subject: str) -> int:
        """Return how many rows the subject had when last looked at."""
        known = self._known.get(subject)
        return known.sight.rows if known else 0

    def coverage(self) -> Coverage:
        """Return every sight, those that are not wholly seen first."""
        own = (self._disk,) if self._disk is not None else ()
        sights = [*own, *(self._sight(name) for name in sorted(self._known)), *self._workers.values()]
        sights = [sight for sight in sights if sight.subject not in self._judges or sight.state in (PARTIAL, UNSEEN)]
        return Coverage(sights=tuple(sorted(sights, key=lambda sight: sight.state == SEEN)))

    def runs(self) -> dict[str, RunState]:
        """Return how the last runs ended, for the judges (`agent.runs`)."""
        return {
            name: RunState(
                collector=name,
                every_s=known.every_s,
                outcome=known.outcome,
                detail=known.detail,
                last_run_ms=known.last_run_ms,
                last_ok_ms=known.sight.last_ok_ms,
                since_ms=known.began_ms,
            )
            for name, known in self._known.items()
            if known.every_s
        }

    def _sight(self, name: str) -> Sight:
        sight = self._known[name].sight
        spots = self._watched.get(name, ())
        if not spots:
            return sight
        return replace(sight, state=PARTIAL if sight.state == SEEN else sight.state, blind=(*spots, *sight.blind))


def worker_subject(worker: str) -> str:
    """Return the name of the sight of a worker that looks at nothing: what it lacks takes nothing from any subject."""
    return f"worker {worker}"


def narrowed(coverage: Coverage, taken: Mapping[str, Sequence[Blind]], down: Collection[str]) -> Coverage:
    """Return `coverage` less what is `taken` from each subject for reasons outside its looks; subjects in `down` are not seen at all."""
    sights = []
    for sight in coverage.sights:
        more = tuple(blind for blind in taken.get(sight.subject, ()) if blind not in sight.blind)
        state = PARTIAL if more and sight.state == SEEN else sight.state
        if sight.subject in down:
            state = UNSEEN
        sights.append(replace(sight, state=state, blind=(*more, *sight.blind)) if more else sight)
    return Coverage(sights=tuple(sorted(sights, key=lambda sight: sight.state == SEEN)))


def _judge(subject: str, outcome: Outcome, blind: tuple[Blind, ...]) -> tuple[str, tuple[Blind, ...]]:
    blind = tuple(_advised(spot) for spot in blind)
    match outcome:
        case Ok():
            return (PARTIAL if blind else SEEN), blind
        case Unavailable():
            spot = _advised(Blind(what=subject, why=outcome.why, detail=outcome.detail, fix=outcome.fix))
            is_finding = outcome.why is Why.NOT_PRESENT  # looked, and this host has none of it: no failure to look
            return ((PARTIAL if blind else SEEN) if is_finding else UNSEEN), (spot, *blind)
        case Failed():
            fix = "Report this defect with the output of holdfast support-bundle."
            return UNSEEN, (Blind(what=subject, why=Why.OTHER, detail=outcome.error, fix=fix), *blind)
        case _:
            assert_never(outcome)


def _advised(spot: Blind) -> Blind:
    """Return `spot` with a fix: a person who reads that something is not seen must read what to do."""
    return spot if spot.fix or spot.why not in _FIXES else replace(spot, fix=_FIXES[spot.why])


def _tell(subject: str, outcome: Outcome, told: str) -> tuple[str, tuple[Event, ...]]:
    """Return what has now been said of `subject`, and the events that say it."""
    match outcome:
        case Unavailable(why=Why.NOT_PRESENT) | Ok():
            if told in ("", Why.DISABLED):
                return "", ()
            return "", (COLLECTOR_RECOVERED.event(subject, subject=subject),)
        case Unavailable():
            if told == outcome.why:
                return told, ()
            event = COLLECTOR_UNAVAILABLE.event(
                subject, subject=subject, why=outcome.why, detail=outcome.detail, fix=outcome.fix
            )
            return outcome.why, (event,)
        case Failed():
            if told == "failed":
                return told, ()
            return "failed", (COLLECTOR_FAILED.event(subject, subject=subject, detail=outcome.error),)
        case _:
            assert_never(outcome)


def _words(outcome: Outcome) -> tuple[str, str]:
    match outcome:
        case Ok():
            return "ok", ""
        case Unavailable():
            return "unavailable", outcome.detail
        case Failed():
            return "failed", outcome.error
        case _:
            assert_never(outcome)
