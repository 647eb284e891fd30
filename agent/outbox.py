"""What goes into the next report, and what an answer means for the spool and the state. No network here.

The rules are those of `docs/design/lanes.md`: critical records first, subjects with a share of their own, and whatever the console says it
holds decides where to go on.
"""

from collections.abc import Callable

from agent.spool.schema import LANES
from agent.spool.spool import Spool
from agent.state import State
from agent.state_parts import last_key
from contracts.event import Event, Kind, Lane, Loss, Severity
from contracts.wire import Ack, Batch, Heartbeat, LanePart, Problem, SubjectPart

MIN_BUDGET = 16 << 10
MAX_BUDGET = 2 << 20
_SINGLE_STEPS = 6
"""How many reports carry one lane at a time after a conflict that does not say which lane it is about."""
_RECORD_OVERHEAD = 64

CONSOLE_BEHIND = Kind(
    name="agent.console_behind",
    meaning="The console holds less than it had acknowledged, as after a restore from a backup; the agent sends again what it still has.",
    title="the console holds the {lane} lane up to {held} and had acknowledged {acknowledged}",
    severity=Severity.MEDIUM,
    fields={"lane": "str", "held": "int", "acknowledged": "int"},
    ocsf_class=6008,
)


class Outbox:
    """Composes reports of one agent and follows the answers. Used by one thread."""

    def __init__(self, spool: Spool, state: State, agent: str, happened: Callable[[Event], None]) -> None:
        self._spool = spool
        self._state = state
        self._agent = agent
        self._happened = happened
        self._told: dict[str, int] | None = None
        """The revisions that the console says it holds, None until it has said so."""
        self._ours: set[str] = set()
        self._pages: dict[str, SubjectPart] = {}
        self._sent: dict[Lane, int] = {}
        self._batch = Batch(agent=agent)
        self._single = 0
        self._leapt: set[Lane] = set()
        self.progress = False
        """Whether the last answer brought anything forward; without it the same report is not sent again at once."""

    def compose(self, heartbeat: Heartbeat | None, budget: int) -> Batch:
        """Return the next report, of about `budget` bytes before compression; it may be empty."""
        lanes: list[LanePart] = []
        left = budget
        for lane in LANES:
            if left < MIN_BUDGET // 4 or (self._single and lanes):
                break
            part = self._spool.pending(lane, left)
            if part is not None:
                lanes.append(part)
                left -= _weight(part)
        subjects: tuple[SubjectPart, ...] = ()
        if self._told is not None and not (self._single and lanes):
            subjects = self._subjects(max(left, budget // 4))
        self._batch = Batch(agent=self._agent, heartbeat=heartbeat, lanes=tuple(lanes), subjects=subjects)
        return self._batch

    def waiting(self) -> bool:
        """Say whether there is anything to send besides a heartbeat."""
        if any(acked < head for acked, head in self._spool.positions().values()):
            return True
        told = self._told
        return told is not None and any(
            told.get(name) != revision or not self._is_ours(name) for name, revision in self._state.subjects().items()
        )

    def acknowledged(self, ack: Ack) -> None:
        """Follow what the console says it durably holds after the last report."""
        self._single = max(0, self._single - 1)
        before = (self._spool.positions(), self._told, len(self._ours))
        for part in self._batch.lanes:
            self._sent[part.lane] = max(self._sent.get(part.lane, 0), _end(part))
        for lane, (acked, head) in self._spool.positions().items():
            held = ack.lanes.get(lane, 0)
            if self._catch_up(lane, held, acked, head):
                continue
            if acked < held <= self._sent.get(lane, 0):
                self._spool.acknowledge(lane, held)
                self._leapt.discard(lane)
        self._told = dict(ack.subjects)
        for page in self._batch.subjects:
            if page.more:
                self._pages[page.subject] = page
                continue
            self._pages.pop(page.subject, None)
            if ack.subjects.get(page.subject) == page.revision and page.subject not in self._ours:
                self._state.hold(page.subject, page.revision)
                self._ours.add(page.subject)
        after = (self._spool.positions(), self._told, len(self._ours))
        self.progress = before != after or any(page.more for page in self._batch.subjects)

    def conflicted(self, problem: Problem) -> bool:
        """Follow a conflict (409); returns whether another report may fare better."""
        self._pages.clear()
        self._told = dict(problem.subjects)
        for page in self._batch.subjects:
            if page.base and page.base == problem.subjects.get(page.subject, 0):
                # It refuses changes on the very revision it names: only everything anew can help.
                self._state.hold(page.subject, 0)
                self._ours.discard(page.subject)
        positions = self._spool.positions()
        moved = False
        for part in self._batch.lanes:
            held = problem.lanes.get(part.lane, 0)
            moved |= self._catch_up(part.lane, held, *positions[part.lane])
        if moved or not self._batch.lanes:
            return True
        if len(self._batch.lanes) > 1 or self._batch.subjects:
            self._single = _SINGLE_STEPS
            return True
        return self._forked(self._batch.lanes[0].lane, problem)

    def failed(self) -> None:
        """Forget how far the pages were when the answer to the last report never came."""
        self._pages.clear()

    def _catch_up(self, lane: Lane, held: int, acked: int, head: int) -> bool:
        """Go to where the console is when that is outside of what waits; returns whether it was."""
        if held > head:
            self._spool.leap(lane, held, f"the console holds records up to {held} and this agent has given out {head}")
            return True
        if held < acked and self._spool.rewind(lane, held):
            event = CONSOLE_BEHIND.event(lane.value, lane=lane.value, held=held, acknowledged=acked)
            self._happened(event)
            return True
        return False

    def _forked(self, lane: Lane, problem: Problem) -> bool:
        """The console holds other records under the same numbers: begin a new chain, once until it helped."""
        if lane in self._leapt:
            return False
        self._leapt.add(lane)
        self._spool.leap(lane, problem.lanes.get(lane, 0), f"the console refused the chain: {problem.error}"[:500])
        return True

    def _subjects(self, budget: int) -> tuple[SubjectPart, ...]:
        told = self._told or {}
        parts: list[SubjectPart] = []
        for name, revision in self._state.subjects().items():
            if budget <= 0:
                break
            if told.get(name) == revision and self._is_ours(name):
                continue
            for part in self._pages_of(name, told.get(name, 0) if self._is_ours(name) else 0, budget):
                parts.append(part)
                budget -= sum(len(key) + len(row) for key, row in part.put.items()) + 256
        return tuple(parts)

    def _pages_of(self, name: str, base: int, budget: int) -> list[SubjectPart]:
        """Return the next pages of a subject, as many as fit."""
        before = self._pages.get(name)
        found: list[SubjectPart] = []
        while budget > 0:
            part = self._state.part(name, base, budget, last_key(before) if before else None)
            if part is None:
                break
            if before is not None and (part.base, part.revision) != (before.base, before.revision):
                before = None  # the rows changed between two pages: from the beginning
                found.clear()
                continue
            found.append(part)
            if not part.more:
                break
            before = part
            budget -= sum(len(key) + len(row) for key, row in part.put.items()) + 256
        return found

    def _is_ours(self, name: str) -> bool:
        """Say whether the console's revision of this subject came out of this very state file."""
        if name not in self._ours and self._state.base_held(name):
            self._ours.add(name)
        return name in self._ours


def _weight(part: LanePart) -> int:
    return sum(_RECORD_OVERHEAD + (0 if isinstance(item, Loss) else len(item.body)) for item in part.items)


def _end(part: LanePart) -> int:
    last = part.items[-1]
    return last.last if isinstance(last, Loss) else last.seq
