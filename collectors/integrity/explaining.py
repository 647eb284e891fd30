"""Says of changes what accounts for them and what they mean: one event a run of a package tool, and notes on each change that stands out.

Loaded by whoever tells changes, once there are some; without dpkg or rpm there is no provenance, and that is said.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.integrity.folding import Fold, Part, fold
from analysis.integrity.net import net
from analysis.integrity.provenance import judge
from analysis.integrity.records import recorded
from analysis.integrity.semantic.explain import explain, format_of
from analysis.integrity.semantic.sentence import Sentence
from collectors.integrity.packages.desks import desk_of
from collectors.integrity.packages.kinds import HEADER_ALTERED, KEY_NEW, transaction_event
from collectors.integrity.packages.present import at_once
from collectors.integrity.packages.put_off import left
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Event, Severity
from contracts.file_change import Change
from contracts.host import ReadOnlyHost
from contracts.provenance import QUESTION, Provenance, Transaction
from contracts.record import Record


class Note(Record):
    """What is known of one change that stands out: what accounts for it (nothing, mostly), and what it means."""

    provenance: Provenance
    format: str = ""
    sentences: tuple[Sentence, ...] = ()
    diff: str = ""

    @property
    def severity(self) -> Severity:
        """How much it deserves attention: a contradiction of a signed package at least high, else as its gravest sentence."""
        grave = [one.severity for one in self.sentences]
        return max([Severity.HIGH] * self.provenance.contradicts + grave, default=Severity.UNKNOWN)

    @property
    def attack(self) -> tuple[str, ...]:
        """The techniques that its sentences name, each once; T1554 for a contradiction."""
        named = [technique for one in self.sentences for technique in one.attack]
        return tuple(dict.fromkeys(["T1554"] * self.provenance.contradicts + named))


class Explained(Record):
    """What is to be told: events of runs, and the changes that stand out with their notes; and what could not be judged."""

    events: tuple[Event, ...] = ()
    standing_out: tuple[tuple[Change, Note], ...] = ()
    judged: bool = False
    """Whether the changes were judged at all; if not, all of them stand as they are."""
    blind: tuple[Blind, ...] = ()
    is_owed: bool = False
    """Whether a part of a run was judged whose event is made when it ends."""


class Explainer:
    """For one thread. `folder` is one of our own; `archives` are folders where archives may lie besides apt's own."""

    def __init__(
        self,
        host: ReadOnlyHost,
        folder: Path,
        archives: Sequence[str] = (),
        no_diff: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._host = host
        self._desk = desk_of(host, folder, archives)
        self._no_diff = no_diff

    def close(self) -> None:
        """Close the file of packages."""
        self._desk.close()

    def is_busy(self) -> bool:
        """Say whether a run of dpkg or rpm is under way: what it changes is told when it has ended."""
        return self._desk.is_busy()

    def learn(self, between: Callable[[], None] = at_once) -> tuple[Event, ...]:
        """Learn archives that have appeared, each after a call of `between`; returns a word on keys that are new.

        Call it at each notice from apt's folder.
        """
        learnt = self._desk.learn(between)
        new = [KEY_NEW.event(key, what=what) for what, key in _new_keys(learnt.flaws)]
        return (*new, *(HEADER_ALTERED.event(name, what=what) for name, what in learnt.altered))

    def begin(self) -> None:
        """Keep the packages' state as what is before, when none is kept yet. Call it before the first archive is read, which may take long:

        what a run does meanwhile is to be told. Raises `Unavailable` without dpkg and rpm.
        """
        if not self._desk.is_begun():
            self._desk.begin()
            self._desk.settle()

    def check(self) -> None:
        """Raise what asking packages raises now: `Unavailable` where their state cannot be read."""
        self._desk.begin()

    def has_news(self) -> bool:
        """Say whether a run is known whose event was not made."""
        return self._desk.has_news()

    def logs(self) -> tuple[int, ...]:
        """Return a mark of what tells of runs (logs of apt and dpkg, rpm's database), another one after each change."""
        return self._desk.logs()

    def is_held(self, path: bytes) -> bool:
        """Say whether a package held the name when files were last settled."""
        return bool(self._desk.former(path))

    def explain(self, changes: Sequence[Change]) -> Explained:
        """Judge changes that came together; what they explain is settled by this.

        What belongs to a run that is still under way is kept until it ends, then its one event speaks of all. Changes of one name that
        came during runs are judged by what is left of them: dpkg writes `x.dpkg-new` before `x`.
        """
        is_busy = (
            self._desk.is_busy()
        )  # asked before packages are learnt and read: all of a run that is over by now is there then
        told = list(self.learn())
        blind: tuple[Blind, ...] = ()
        late, fresh = self._desk.late, changes
        waits = late is not None and late.is_under_way(is_busy or self._desk.is_busy(), self._now_ms())
        again: Sequence[Change] = ()
        try:
            self._desk.begin()
        except Unavailable as error:
            judged = [(change, recorded(change, self._desk) or Provenance(basis=error.message)) for change in changes]
            blind = (Blind(what=QUESTION, why=error.why, detail=error.message, fix=error.advice),)
        else:
            again = late.changes() if late is not None and not waits else ()
            changes = [*again, *changes]
            if any(not run.told for run in self._desk.transactions):
                changes = net(changes)
            judged = [(change, judge(change, self._desk)) for change in changes]
        if late is not None and waits:
            judged = late.put_off(judged)
        folds, rest = fold(judged, () if blind else self._desk.transactions)
        rest = left(rest, again, fresh) if again else rest
        told += [transaction_event(one) for one in (folds if blind else self._whole(folds))]
        notes = tuple((change, self._note(change, provenance)) for change, provenance in rest)
        if not blind:
            self._desk.settle()
        if again and late is not None:
            late.clear()
        return Explained(
            events=tuple(told), standing_out=notes, judged=True, blind=(*blind, *self.blind()), is_owed=self.is_owed()
        )

    def is_owed(self) -> bool:
        """Say whether a part of a run was judged whose event is made when it ends."""
        return bool(self._desk.parts()) or (self._desk.late is not None and self._desk.late.is_any())

    def _whole(self, folds: Sequence[Fold]) -> list[Fold]:
        """Return the runs that are over, with what was judged of them before; the others are kept."""
        parts = self._desk.parts()
        if not folds and not parts:
            return []
        over, kept = [], {}
        for one in folds:
            run, part = one.transaction, one.and_also(parts.get(one.transaction.id, Part()))
            if run.ended_ms:
                over.append(Fold(transaction=run, levels=part.levels, unproved=part.unproved))
            else:
                kept[run.id] = part
        known = {run.id for run in self._desk.transactions}
        for name, part in parts.items():
            if name not in known:
                run = Transaction(id=name, tool=name.partition("-")[0], started_ms=0, unfinished="its log is gone")
                over.append(Fold(transaction=run, levels=part.levels, unproved=part.unproved))
        self._desk.keep_parts(kept)
        return over

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)

    def _note(self, change: Change, provenance: Provenance) -> Note:
        return _noted(change, provenance, self._no_diff)

    def blind(self) -> tuple[Blind, ...]:
        """Return what could not be verified when it was last looked at: it stands until that is done with success."""
        flaws = self._desk.standing()
        late = self._desk.late.blind() if self._desk.late is not None else ()
        if not flaws:
            return late
        more = f" and {len(flaws) - 3} more" if len(flaws) > 3 else ""
        detail = "; ".join(flaws[:3])[:1000] + more
        return (Blind(what="what some packages ship", why=Why.OTHER, detail=detail, fix=self._desk.fix), *late)


def meanings(changes: Sequence[Change], no_diff: Callable[[bytes], bool]) -> dict[int, Note]:
    """Return what changes mean that no package is asked about, by their `id`: those of a known format whose text is kept."""
    return {
        id(change): _noted(change, Provenance(), no_diff)
        for change in changes
        if (change.old is not None or change.new is not None) and format_of(change.path) is not None
    }


def _noted(change: Change, provenance: Provenance, no_diff: Callable[[bytes], bool]) -> Note:
    if change.old is None and change.new is None:
        return Note(provenance=provenance)
    meaning = explain(change.path, change.old, change.new, no_diff(change.path))
    return Note(provenance=provenance, format=meaning.format, sentences=meaning.sentences, diff=meaning.diff)


def _new_keys(flaws: Sequence[str]) -> list[tuple[str, str]]:
    """Return a sentence and the fingerprint for each key that came later."""
    marks = [flaw.partition(" is signed by keys that came later: ") for flaw in flaws]
    return list({key: (what, key) for what, mark, keys in marks if mark for key in keys.split(", ")}.values())
