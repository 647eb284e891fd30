"""Rules that wait for a step of a transaction and ask for nothing else: they speak with every packet of that side while the step lasts.

So does Suricata with rules like `alert http1:response_body …` that bring no buffer: the hook keeps no state until the side has gone on. A
ruleset without such rules has no `Lasting`, and pays nothing.
"""

from collections.abc import Iterable
from operator import attrgetter

import numpy as np

from collectors.traffic.protocols import names
from collectors.traffic.protocols.news import Transaction
from collectors.traffic.rules.engine.needs import Needs
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.waiting import Side, Work

_place = attrgetter("place")


def again_at(one: Compiled) -> int:
    """Return the step at which a rule speaks again and again, -1 for none: the last step of a side is looked at once."""
    rule = one.rule
    if (
        one.hook_progress is None
        or rule.buffers
        or rule.payload
        or one.tx_checks
        or one.timed
        or one.reach
        or one.events
    ):
        return -1
    side, step = one.hook_progress
    last = len(names.progress("http" if rule.protocol == "http1" else rule.protocol)[side]) - 1
    return step if step < last else -1


class Lasting:
    """The rules of `again_at`, and the transactions that are at a step which one of them waits for, by direction."""

    def __init__(self, rules: Iterable[Compiled], needs: Needs) -> None:
        self._needs = needs
        self._steps: dict[int, int] = {}
        self._waiting: dict[tuple[int, int], list[int]] = {}
        self._open: dict[int, dict[Transaction, int]] = {}
        for one in rules:
            assert one.hook_progress is not None
            self._steps[one.order] = step = again_at(one)
            self._waiting.setdefault((one.hook_progress[0], step), []).append(one.order)

    def lasts(self, number: int, progress: int) -> bool:
        """Return whether a rule that speaks now is to speak with the next packet, too."""
        return self._steps.get(number) == progress

    def take_over(self, former: "Lasting") -> None:
        """Go on with the transactions that another ruleset's rules waited for, too."""
        for direction, lasting in former._open.items():
            kept = {one: step for one, step in lasting.items() if (direction & 1, step) in self._waiting}
            if kept:
                self._open[direction] = kept

    def forget(self, slots: list[int]) -> None:
        """Drop the flows that ended."""
        for slot in slots:
            self._open.pop(slot * 2, None)
            self._open.pop(slot * 2 + 1, None)

    def add(self, rows: Rows, work: list[Work]) -> None:
        """Add to what comes due in a block the packets of transactions that stay where they are; `work` has its rules already."""
        due: dict[int, dict[int, Work]] = {direction: {} for direction in self._open}
        for one in work:
            if one.changes and any((one.direction & 1, progress) in self._waiting for _, progress, _ in one.changes):
                due.setdefault(one.direction, {})
        for one in work:
            if one.direction in due:
                due[one.direction][one.place] = one
        fresh: list[Work] = []
        for direction, at in due.items():
            fresh += self._follow(rows, direction, at)
        if fresh:
            work += fresh
            work.sort(key=_place)

    def _follow(self, rows: Rows, direction: int, due: dict[int, Work]) -> list[Work]:
        """Go through a direction's packets in time; returns the work of those that had none."""
        lasting = self._open.pop(direction, {})
        fresh: list[Work] = []
        for place in rows.places(direction):
            one = due.get(place)
            changed = {transaction for transaction, _, _ in one.changes} if one is not None else set()
            staying = [
                (transaction, progress) for transaction, progress in lasting.items() if transaction not in changed
            ]
            if staying and (found := self._held(rows, place, direction, staying)):
                if one is None:
                    one = Work(place, direction, Side(), b"")
                    fresh.append(one)
                one.rules = [*(one.rules or [[] for _ in one.changes]), *found]
                one.changes = [*one.changes, *((transaction, progress, -1) for transaction, progress in staying)]
            if one is not None:
                self._note(one, direction & 1, changed, lasting)
        if lasting:
            self._open[direction] = lasting
        return fresh

    def _held(self, rows: Rows, place: int, direction: int, staying: list[tuple[Transaction, int]]) -> list[list[int]]:
        """Return, for each transaction, the rules that wait for its step and whose header holds here; [] when there are none at all."""
        row = int(rows.row_at[place])
        found: list[list[int]] = []
        for _, progress in staying:
            rules = np.array(self._waiting[direction & 1, progress], np.int64)
            held = self._needs.of(rows, np.full(len(rules), row, np.int64), rules)
            found.append(rules[held].tolist())
        return found if any(found) else []

    def _note(self, one: Work, side: int, changed: set[Transaction], lasting: dict[Transaction, int]) -> None:
        """Note which transactions are at a step that a rule waits for; nothing lasts once the conversation cannot be read any more."""
        for transaction, progress, _ in one.changes:
            if transaction not in changed:
                continue
            if (side, progress) in self._waiting and not (one.talk is not None and one.talk.encrypted):
                lasting[transaction] = progress
            else:
                lasting.pop(transaction, None)
