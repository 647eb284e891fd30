"""Deeds with a time of day: what the configuration has done every day, without an event and without a person."""

from collections.abc import Callable, Mapping
from typing import Protocol

from agent.responder import Deed
from contracts.action import Command, Result
from contracts.event import Value
from contracts.frames import Advance
from contracts.record import Record

WHO = "schedule"
"""Who asked, in the event that states how it ended."""


class Timed(Record):
    """One deed: the action, its arguments, and the local time of day (`HH:MM`)."""

    action: str
    arguments: dict[str, Value]
    at: str


class Doer(Protocol):
    """The part of the core that carries out a command."""

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        """Carry it out; `done` is called exactly once."""


class TimedDeeds:
    """The timed deeds by name; `run` starts one."""

    def __init__(self, core: Doer, new_id: Callable[[], str]) -> None:
        self._core, self._new_id = core, new_id
        self._timed: Mapping[str, Timed] = {}
        self._deeds: Mapping[str, Deed] = {}

    def use(self, timed: Mapping[str, Timed], deeds: Mapping[str, Deed]) -> None:
        """Take these in place of the former ones."""
        self._timed, self._deeds = timed, deeds

    def run(self, name: str, done: Callable[[], None]) -> None:
        """Start `name`; `done` is called when it has ended, at once where its action is switched off."""
        timed = self._timed.get(name)
        deed = self._deeds.get(timed.action) if timed is not None else None
        if timed is None or deed is None:
            done()
            return
        command = Command(
            id=self._new_id(), action=timed.action, arguments=dict(timed.arguments), who=WHO, dry_run=False
        )
        self._core.do_for(deed, command, lambda _: done(), lambda _: None)
