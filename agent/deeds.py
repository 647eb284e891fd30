"""Commands in a worker: each in a thread of its own, so that a block never waits for a long deed or a look."""

import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from agent import privileges
from agent.channel import Channel, CoreGone, Ending
from agent.execute import act
from agent.hosting import make
from agent.supervision import MAX_AT_ONCE
from contracts.action import Action, Result
from contracts.errors import Malformed, Why
from contracts.frames import Advance, Do, Finished
from contracts.host import Host
from contracts.outcome import Cost, Failed, Unavailable


class Deeds:
    """Carries out commands with the actions of one worker."""

    def __init__(
        self,
        actions: Mapping[str, type[Action]],
        options: Mapping[str, bytes],
        hosts: tuple[Host, Host],
        channel: Channel,
        ending: Ending,
    ) -> None:
        """`hosts` is the real one and the one on which nothing changes."""
        self._actions = actions
        self._options = options
        self._hosts = hosts
        self._channel = channel
        self._ending = ending
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._at_work = 0

    def begin(self, order: Do) -> None:
        """Start `order`; it answers with `Finished` in any case."""
        thread = threading.Thread(target=self._run, args=[order], name=f"do-{order.command.action}", daemon=True)
        with self._lock:
            free = self._at_work < MAX_AT_ONCE
            if free:
                self._at_work += 1
                self._threads.add(thread)
        if free:
            thread.start()
        else:
            refusal = Unavailable(
                why=Why.OTHER, detail=f"{MAX_AT_ONCE} commands are under way", fix="Try again when one has ended."
            )
            self._channel.send(Finished(id=order.id, result=Result(outcome=refusal), cost=Cost()))

    def busy(self) -> bool:
        """Say whether a command is under way."""
        with self._lock:
            return bool(self._threads)

    def _run(self, order: Do) -> None:
        try:
            done = self._carry_out(order)
            # Before the answer: the core may send the next command the moment it has it.
            with self._lock:
                self._at_work -= 1
            self._answer(order, *done)
        except CoreGone:
            self._ending.set()
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _carry_out(self, order: Do) -> tuple[Result, Cost]:
        name = order.command.action
        if name not in self._actions:
            return Result(outcome=Unavailable(why=Why.DISABLED, detail=f"this worker has no action {name}")), Cost()
        try:
            action: Any = make(self._actions[name], self._options.get(name))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Result(outcome=Failed(error=f"the settings of {name} do not fit: {error}", permanent=True)), Cost()
        real, dry = self._hosts
        needed = getattr(action, "capabilities", None)
        if needed is not None:
            privileges.restrict_thread(needed)

        def progress(done: float, total: float, unit: str, what: str = "") -> None:
            self._channel.send(Advance(id=order.id, done=done, total=total, unit=unit, what=what))

        return act(action, dry if order.command.dry_run else real, order.command, progress)

    def _answer(self, order: Do, result: Result, cost: Cost) -> None:
        try:
            self._channel.send(Finished(id=order.id, result=result, cost=cost))
        except Malformed as error:
            failed = Failed(
                error=f"the command ended {type(result.outcome).__name__.lower()}, but its result cannot be encoded: {error}"
            )
            self._channel.send(Finished(id=order.id, result=Result(outcome=failed), cost=cost))
