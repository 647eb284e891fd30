"""Deeds with a time of day: what the configuration has done every day, without an event and without a person.

One that fails in passing is tried again before its next day, a few times with growing pauses.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

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


class TimedDeeds:
    """The timed deeds by name; `run` starts one. `later` calls back after so many seconds."""

    def __init__(
        self,
        core: Doer,
        new_id: Callable[[], str],
        later: Callable[[float, Callable[[], None]], object] = lambda _, __: None,
    ) -> None:
        self._core, self._new_id, self._later = core, new_id, later
        self._timed: Mapping[str, Timed] = {}
        self._deeds: Mapping[str, Deed] = {}
        self._begun: dict[str, int] = {}

    def use(self, timed: Mapping[str, Timed], deeds: Mapping[str, Deed]) -> None:
        """Take these in place of the former ones."""
        self._timed, self._deeds = timed, deeds

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
                return
            said = outcome.error if isinstance(outcome, Failed) else ""
            pause_s = min(LONGEST_S, timed.retry_s * 2**attempt)
            self._later(pause_s, lambda: self._attempt(name, begun, attempt + 1, said, _nothing))

        self._core.do_for(deed, command, ended, lambda _: None)


def _nothing() -> None:
    """Nobody waits for a later attempt."""
