"""Random challenges: now and then an agent proves again what files hold, for a nonce that only the console still knows.

The console holds no file and no digest of one. It has a proof made while the host is believed, keeps nonce and proof to itself, and
asks for the same proof later: whoever changed the file meanwhile cannot make it without the former content. What differs is
compared with the changes the host has told; what nobody told of is a finding, and so is an answer that does not come.
"""

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable

from console.challenge_book import Asked, ChallengeBook, Differing, Reference, Standing, changed
from console.settings import ChallengeSettings
from console.store.interface import Store
from console.store.records import EventFilter, FindingKind
from contracts.errors import HoldfastError
from contracts.event import Event
from contracts.file_change import CREATED, DELETED, MODIFIED, RENAMED, TIMESTOMPED, TYPE, UNKNOWN
from contracts.subjects.integrity import SUBJECT
from contracts.wire import NO_PROOF, Answered, Batch, Challenge

POOL = 12
"""So many sets of proofs are kept for an agent: the one asked for again is of an age that nobody foresees."""
SHOWN = 5
_PROOF = re.compile(r"[0-9a-f]{64}")
_OF_CONTENT = frozenset({CREATED, DELETED, MODIFIED, RENAMED, TIMESTOMPED, TYPE, UNKNOWN})
_OF_FOLDERS = frozenset({DELETED, RENAMED, TYPE})
_UNLISTED = ("integrity.transaction", "integrity.transaction_unproved", "integrity.baseline_made")
"""Events that stand for changes without naming each file."""
MANY = "integrity.many_changed"
MOST_EVENTS, MOST_LISTS = 50, 200
"""So many are read to find a path in them; lists are read whole, because the text filter looks through the beginning of long ones."""

Found = Callable[[str, FindingKind, str, int], Awaitable[None]]
"""Records a finding: agent, kind, detail, Unix ms."""


class Challenges:
    """Asks and judges; all times are the console's own, in Unix ms."""

    def __init__(
        self,
        store: Store,
        book: ChallengeBook,
        settings: ChallengeSettings,
        found: Found,
        chance: random.Random | None = None,
    ) -> None:
        self._store, self._book, self.settings, self._found = store, book, settings, found
        self._chance = chance or random.SystemRandom()
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def standing(self, agent: str) -> Standing:
        """Return how it stands with an agent; raises `HoldfastError` or `OSError` where that cannot be read."""
        return await asyncio.to_thread(self._book.read, agent)

    async def report(self, agent: str, batch: Batch, understands: bool, now: int) -> tuple[Challenge, ...]:
        """Take what a report says, and return what its sender is asked."""
        if batch.heartbeat is None and not batch.answered:
            return ()
        async with self._locks[agent]:
            try:
                former = await self.standing(agent)
            except (HoldfastError, OSError) as error:
                await self._found(agent, FindingKind.UNANSWERED, f"what was known of its files is lost: {error}", now)
                former = Standing()
            standing = former
            for answer in batch.answered:
                standing = await self._answered(agent, standing, answer, now)
            standing = await self._cleared(agent, standing, now)
            standing = await self._overdue(agent, standing, now)
            if batch.heartbeat is not None:
                watches = any(s.subject == SUBJECT and s.state != "unseen" for s in batch.heartbeat.coverage.sights)
                standing = await self._round(agent, standing, watches, understands, now)
            if standing != former:
                try:
                    await asyncio.to_thread(self._book.write, agent, standing)
                except (HoldfastError, OSError) as error:
                    await self._found(agent, FindingKind.UNANSWERED, f"what it proves cannot be kept: {error}", now)
                    return ()
        if not understands:
            return ()
        count = self.settings.files
        return tuple(
            Challenge(id=each.id, nonce=each.nonce, paths=tuple(each.expected), count=0 if each.expected else count)
            for each in standing.asked
        )

    async def _answered(self, agent: str, standing: Standing, answer: Answered, now: int) -> Standing:
        asked = next((each for each in standing.asked if each.id == answer.id), None)
        if asked is None:  # not asked, or so long ago that it was called unanswered: it proves nothing now
            return standing
        standing = changed(standing, asked=tuple(each for each in standing.asked if each.id != answer.id))
        if answer.problem:
            if not asked.expected and not standing.references:
                return changed(standing, detail=answer.problem[:500])
            return await self._missed(agent, standing, f"it answers: {answer.problem[:500]}", now)
        if not asked.expected:
            proofs = {path: proof for path, proof in answer.proofs.items() if _PROOF.fullmatch(proof)}
            learnt = (Reference(nonce=asked.nonce, learnt_ms=asked.asked_ms, proofs=proofs),) if proofs else ()
            return changed(standing, references=(*standing.references, *learnt)[-POOL:])
        different = [path for path, proof in asked.expected.items() if answer.proofs.get(path, NO_PROOF) != proof]
        if not different:
            said = f"{len(asked.expected)} files hold what they held"
            return changed(standing, outcome="held", detail=said, ended_ms=now, held_ms=now)
        more = tuple(Differing(path=path, learnt_ms=asked.learnt_ms, since_ms=now) for path in different)
        return changed(
            standing, differing=(*standing.differing, *more), outcome="differs", detail=_some(different), ended_ms=now
        )

    async def _cleared(self, agent: str, standing: Standing, now: int) -> Standing:
        """Compare what differs with what the host has told; what nobody told of in time is a finding."""
        if not standing.differing:
            return standing
        left = list[Differing]()
        told, unproved, untold = list[str](), list[str](), list[str]()
        for each in standing.differing:
            word = await self._told(agent, each)
            if word == "told":
                told.append(each.path)
            elif now - each.since_ms < self.settings.patience * 1000:
                left.append(each)
            else:
                (unproved if word else untold).append(each.path)
        standing = changed(standing, differing=tuple(left))
        if untold:
            detail = f"other content than before, and the host told of no change: {_some(untold)}"
            await self._found(agent, FindingKind.CHALLENGE_FAILED, detail, now)
            return changed(standing, outcome="failed", detail=detail, ended_ms=now)
        if left or standing.outcome == "failed":
            return standing
        if unproved:
            detail = f"changed while packages were; whether by them is not listed: {_some(unproved)}"
            return changed(standing, outcome="unproved", detail=detail, ended_ms=now)
        return changed(standing, outcome="told", detail=f"changed as the host told: {_some(told)}", ended_ms=now)

    async def _overdue(self, agent: str, standing: Standing, now: int) -> Standing:
        late = [each for each in standing.asked if now - each.asked_ms > self.settings.patience * 1000]
        if not late:
            return standing
        standing = changed(standing, asked=tuple(each for each in standing.asked if each not in late))
        return await self._missed(agent, standing, "no answer came in time, though it reports", now)

    async def _missed(self, agent: str, standing: Standing, why: str, now: int) -> Standing:
        await self._found(agent, FindingKind.UNANSWERED, why, now)
        if standing.outcome == "failed":
            return standing  # the worse of the two stays until a check holds
        return changed(standing, outcome="unanswered", detail=why, ended_ms=now)

    async def _round(self, agent: str, standing: Standing, watches: bool, understands: bool, now: int) -> Standing:
        """Begin a round when its moment has come: one check, if there is something to check, and what is to be learnt."""
        every = self.settings.every
        if not every or now < standing.next_ms or standing.asked or standing.differing:
            return standing
        if not (watches or standing.references):
            return standing
        standing = changed(standing, next_ms=now + int(every * 1000 * self._chance.uniform(0.5, 1.5)))
        if not understands:
            if not standing.references:
                return standing
            return await self._missed(agent, standing, "its agent does not understand challenges any more", now)
        asked = []
        pool = list(standing.references)
        if pool:
            old = pool.pop(self._chance.randrange(len(pool)))
            asked.append(self._ask(now, old.nonce, old.proofs, old.learnt_ms))
        asked += [self._ask(now, self._secret()) for _ in range(1 if len(pool) + 1 >= POOL else 2)]
        return changed(standing, references=tuple(pool), asked=tuple(asked))

    def _ask(self, now: int, nonce: str, expected: dict[str, str] | None = None, learnt_ms: int = 0) -> Asked:
        return Asked(id=self._secret()[:32], nonce=nonce, asked_ms=now, expected=expected or {}, learnt_ms=learnt_ms)

    def _secret(self) -> str:
        return self._chance.randbytes(32).hex()

    async def _told(self, agent: str, differing: Differing) -> str:
        """Return `told` where the host told of this change since, `perhaps` where something else may stand for it, or ""."""
        parts = differing.path.split("/")
        folders = ["/".join(parts[:count]) for count in range(2, len(parts))]
        lists = await self._since(EventFilter(agent=agent, kind=MANY), differing.learnt_ms, MOST_LISTS)
        for path, words in ((differing.path, _OF_CONTENT), *((folder, _OF_FOLDERS) for folder in folders)):
            wanted = EventFilter(agent=agent, kind="integrity.", text=path)
            single = await self._since(wanted, differing.learnt_ms, MOST_EVENTS)
            if any(_names(event, path, words) for event in (*single, *lists)):
                return "told"
        if len(lists) >= MOST_LISTS:
            return "perhaps"
        for kind in _UNLISTED:
            if await self._since(EventFilter(agent=agent, kind=kind), differing.learnt_ms, 1):
                return "perhaps"
        return ""

    async def _since(self, wanted: EventFilter, since_ms: int, limit: int) -> list[Event]:
        """Return events that came since a moment of the console's own clock."""
        page = await self._store.events(wanted, limit=limit)
        return [row.envelope.event for row in page.events if row.received_ms >= since_ms]


def _names(event: Event, path: str, words: frozenset[str]) -> bool:
    """Say whether an event tells of such a change of this very path."""
    fields = event.fields
    said = fields.get("words")
    if path in (fields.get("path"), fields.get("former")):
        return isinstance(said, list) and bool(words.intersection(said))
    lines = fields.get("changes")
    return isinstance(lines, list) and any(_line_names(line, path, words) for line in lines)


def _line_names(line: str, path: str, words: frozenset[str]) -> bool:
    before, found, after = f"{line} ".partition(f" {path} ")
    return bool(found) and bool(words.intersection(f"{before} {after}".split()))


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(path[:200] for path in paths[:SHOWN]) + more
