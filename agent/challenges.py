"""Answers the console's challenges: the reader proves what files hold; the answers stay, in memory alone, until the console has them.

They are in no file of this host: whoever takes it over later is not to find proofs that were true before.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agent.responder import Deed
from contracts.action import Command, Result
from contracts.event import Value
from contracts.frames import Advance
from contracts.outcome import Failed, Ok, Unavailable
from contracts.wire import Answered, Challenge

ACTION = "integrity_prove"
WHO = "the console's challenge"
MOST = 4
"""Challenges under way, and answers that wait; a console that asks more is not answered at once."""
NOT_WATCHED = "this host does not watch files"


class Doer(Protocol):
    """The part of the core that carries out a command."""

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        """Carry it out; `done` is called exactly once."""


class Challenges:
    """`take`, `answers` and `acknowledged` are the reporter's; what is done happens on the loop's thread."""

    def __init__(
        self,
        core: Doer,
        soon: Callable[[Callable[[], None]], None],
        deeds: Callable[[], Mapping[str, Deed]],
        new_id: Callable[[], str],
        ready: Callable[[], None],
    ) -> None:
        self._core, self._soon, self._deeds, self._new_id, self._ready = core, soon, deeds, new_id, ready
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._waiting: dict[str, Answered] = {}

    def take(self, challenges: Sequence[Challenge]) -> None:
        """Begin to answer; one that is being answered, or whose answer waits, is not begun again."""
        for each in challenges:
            with self._lock:
                known = self._under_way | self._waiting.keys()
                if each.id in known or len(known) >= MOST:
                    continue
                self._under_way.add(each.id)
            self._soon(lambda asked=each: self._begin(asked))  # type: ignore[misc]

    def answers(self) -> tuple[Answered, ...]:
        """Return what the console does not have yet."""
        with self._lock:
            return tuple(self._waiting.values())

    def acknowledged(self, answered: Sequence[Answered]) -> None:
        """Forget what the console has."""
        with self._lock:
            for each in answered:
                self._waiting.pop(each.id, None)

    def _begin(self, asked: Challenge) -> None:
        deed = self._deeds().get(ACTION)
        if deed is None:
            self._answer(Answered(id=asked.id, problem=NOT_WATCHED))
            return
        arguments: dict[str, Value] = {"nonce": asked.nonce, "paths": list(asked.paths), "count": asked.count}
        command = Command(id=self._new_id(), action=ACTION, arguments=arguments, who=WHO, dry_run=False)
        self._core.do_for(deed, command, lambda result: self._answer(_answered(asked.id, result)), lambda _: None)

    def _answer(self, answer: Answered) -> None:
        with self._lock:
            self._under_way.discard(answer.id)
            self._waiting[answer.id] = answer
        self._ready()


def _answered(challenge: str, result: Result) -> Answered:
    match result.outcome:
        case Ok():
            paths, proofs = result.answer.get("paths"), result.answer.get("proofs")
            if isinstance(paths, list) and isinstance(proofs, list) and len(paths) == len(proofs):
                return Answered(id=challenge, proofs=dict(zip(paths, proofs, strict=True)))
            return Answered(id=challenge, problem="the reader's answer could not be understood")
        case Unavailable(detail=detail) | Failed(error=detail):
            return Answered(id=challenge, problem=detail[:500] or "no reason was given")
