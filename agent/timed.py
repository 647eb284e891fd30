"""Deeds with a time of day: what the configuration has done every day, without an event and without a person.

One that fails in passing is tried again before its next day, a few times with growing pauses. What is owed outlives the agent, and so one
that the agent's own end cut off is tried again, too.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import DecodeError, msgpack

from agent.responder import Deed
from contracts.action import Command, Result
from contracts.event import Value
from contracts.frames import Advance
from contracts.outcome import Failed, Ok
from contracts.record import Record

WHO = "schedule"
"""Who asked, in the event that states how it ended."""


LONGEST_S = 6 * 3600.0
"""No pause before another attempt is longer."""
RESUME_S = 30.0
"""After a start of the agent an attempt waits at least so long, so that a run of today that was missed comes first."""


class Timed(Record):
    """One deed: the action, its arguments, and the local time of day (`HH:MM`).

    After a failure that may pass it is tried again up to `retries` times, the first time after `retry_s`, each pause twice the one before.
    What failed before is told to the action in its argument `told`, so that it states nothing twice.
    """

    action: str
    arguments: dict[str, Value]
    at: str
    retries: int = 0
    retry_s: float = 900.0


class Doer(Protocol):
    """The part of the core that carries out a command."""

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        """Carry it out; `done` is called exactly once."""


class Owed(Record):
    """The attempt that a deed owes: which one, when it is due (Unix ms), and how the one before failed."""

    attempt: int
    due_ms: int
    told: str = ""


class Memory(Protocol):
    """Small facts that outlive the process (`State`)."""

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`."""


class TimedDeeds:
    """The timed deeds by name; `run` starts one. `later` calls back after so many seconds.

    With a `memory`, what is owed outlives the process: `resume` takes it up, once the deeds are known. `now_ms` is Unix time.
    """

    def __init__(
        self,
        core: Doer,
        new_id: Callable[[], str],
        later: Callable[[float, Callable[[], None]], object] = lambda _, __: None,
        memory: Memory | None = None,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._core, self._new_id, self._later, self._memory, self._now_ms = core, new_id, later, memory, now_ms
        self._timed: Mapping[str, Timed] = {}
        self._deeds: Mapping[str, Deed] = {}
        self._begun: dict[str, int] = {}

    def use(self, timed: Mapping[str, Timed], deeds: Mapping[str, Deed]) -> None:
        """Take these in place of the former ones."""
        self._timed, self._deeds = timed, deeds

    def resume(self) -> None:
        """Wait anew for the attempts that were owed when the agent ended."""
        for name in self._timed:
            owed = self._owed(name)
            if owed is not None:
                begun = self._begun.setdefault(name, 0)
                pause_s = min(LONGEST_S, max(RESUME_S, (owed.due_ms - self._now_ms()) / 1000))
                self._come_later(pause_s, name, begun, owed)

    def run(self, name: str, done: Callable[[], None]) -> None:
        """Start `name`; `done` is called when it has ended, at once where its action is switched off. Later attempts are not waited for."""
        self._begun[name] = self._begun.get(name, 0) + 1
        self._attempt(name, self._begun[name], 0, "", done)

    def _attempt(self, name: str, begun: int, attempt: int, told: str, done: Callable[[], None]) -> None:
        timed = self._timed.get(name)
        deed = self._deeds.get(timed.action) if timed is not None else None
        if timed is None or deed is None or begun != self._begun[name]:
            done()  # it was taken out of the configuration, or its next day has come
            return
        pause_s = min(LONGEST_S, timed.retry_s * 2**attempt)
        next_one = Owed(attempt=attempt + 1, due_ms=self._now_ms() + round(pause_s * 1000), told=told)
        self._owe(name, next_one if attempt < timed.retries else None)  # in case nobody hears how this one ends
        arguments = {**timed.arguments, "told": told} if told else dict(timed.arguments)
        command = Command(id=self._new_id(), action=timed.action, arguments=arguments, who=WHO, dry_run=False)

        def ended(result: Result) -> None:
            done()
            outcome = result.outcome
            if (
                isinstance(outcome, Ok)
                or (isinstance(outcome, Failed) and outcome.permanent)
                or attempt >= timed.retries
            ):
                if begun == self._begun[name]:
                    self._owe(name, None)
                return
            said = outcome.error if isinstance(outcome, Failed) else ""
            owed = Owed(attempt=attempt + 1, due_ms=self._now_ms() + round(pause_s * 1000), told=said)
            if begun == self._begun[name]:
                self._owe(name, owed)
            self._come_later(pause_s, name, begun, owed)

        self._core.do_for(deed, command, ended, lambda _: None)

    def _come_later(self, pause_s: float, name: str, begun: int, owed: Owed) -> None:
        self._later(pause_s, lambda: self._attempt(name, begun, owed.attempt, owed.told, _nothing))

    def _owe(self, name: str, owed: Owed | None) -> None:
        if self._memory is not None:
            self._memory.put(_key(name), msgpack.encode(owed) if owed is not None else b"")

    def _owed(self, name: str) -> Owed | None:
        raw = self._memory.get(_key(name)) if self._memory is not None else None
        try:
            return msgpack.decode(raw, type=Owed) if raw else None
        except DecodeError:
            return None  # of another version: the next day's run is not forgotten


def _key(name: str) -> str:
    return f"owed:{name}"


def _nothing() -> None:
    """Nobody waits for a later attempt."""
