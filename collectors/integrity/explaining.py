"""Says of changes what accounts for them and what they mean: one event a run of a package tool, and notes on each change that stands out.

Loaded by whoever tells changes, once there are some; without dpkg there is no provenance, and that is said.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.integrity.folding import fold
from analysis.integrity.provenance import judge
from analysis.integrity.records import recorded
from analysis.integrity.semantic.explain import explain
from analysis.integrity.semantic.sentence import Sentence
from collectors.integrity.packages.desk import PackageDesk
from collectors.integrity.packages.kinds import KEY_NEW, transaction_event
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Event, Severity
from contracts.file_change import Change
from contracts.host import ReadOnlyHost
from contracts.provenance import Provenance
from contracts.record import Record

_WHAT = "which package accounts for a change"


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


class Explainer:
    """For one thread. `folder` is one of our own; `archives` are folders where archives may lie besides apt's own."""

    def __init__(
        self,
        host: ReadOnlyHost,
        folder: Path,
        archives: Sequence[str] = (),
        no_diff: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._desk = PackageDesk(host, folder, archives)
        self._no_diff = no_diff
        self._flaws: dict[str, None] = {}

    def close(self) -> None:
        """Close the file of packages."""
        self._desk.close()

    def is_busy(self) -> bool:
        """Say whether a run of dpkg is under way: what it changes is told when it has ended."""
        return self._desk.is_busy()

    def learn(self) -> tuple[Event, ...]:
        """Learn archives that have appeared; returns a word on keys that are new. Call it at each notice from apt's folder."""
        learnt = self._desk.learn()
        self._flaws |= dict.fromkeys(learnt.flaws)
        return tuple(KEY_NEW.event(key, what=what) for what, key in _new_keys(learnt.flaws))

    def begin(self) -> tuple[Event, ...]:
        """Learn, and keep dpkg's state as what is before: call it when a baseline is made. Without dpkg nothing is kept."""
        told = self.learn()
        try:
            self._desk.begin()
            self._desk.settle()
        except Unavailable as error:
            self._flaws[error.message] = None
        return told

    def explain(self, changes: Sequence[Change]) -> Explained:
        """Judge changes that came together, after the run that brought them; what they explain is settled by this."""
        told = list(self.learn())
        blind: tuple[Blind, ...] = ()
        try:
            self._desk.begin()
        except Unavailable as error:
            judged = [(change, recorded(change, self._desk) or Provenance(basis=error.message)) for change in changes]
            blind = (Blind(what=_WHAT, why=error.why, detail=error.message, fix=error.advice),)
        else:
            judged = [(change, judge(change, self._desk)) for change in changes]
        folds, rest = fold(judged, () if blind else self._desk.transactions)
        told += [transaction_event(one) for one in folds]
        notes = tuple((change, self._note(change, provenance)) for change, provenance in rest)
        if not blind:
            self._desk.settle()
        return Explained(events=tuple(told), standing_out=notes, judged=True, blind=(*blind, *self.blind()))

    def _note(self, change: Change, provenance: Provenance) -> Note:
        if change.old is None and change.new is None:
            return Note(provenance=provenance)
        meaning = explain(change.path, change.old, change.new, self._no_diff(change.path))
        return Note(provenance=provenance, format=meaning.format, sentences=meaning.sentences, diff=meaning.diff)

    def blind(self) -> tuple[Blind, ...]:
        """Return what could not be verified since this was last asked."""
        flaws, self._flaws = list(self._flaws), {}
        if not flaws:
            return ()
        more = f" and {len(flaws) - 3} more" if len(flaws) > 3 else ""
        fix = "Run apt update, or put the archives into a folder named in collectors.integrity.packages.archives."
        return (
            Blind(what="what some packages ship", why=Why.OTHER, detail="; ".join(flaws[:3])[:1000] + more, fix=fix),
        )


def _new_keys(flaws: Sequence[str]) -> list[tuple[str, str]]:
    """Return a sentence and the fingerprint for each key that came later."""
    marks = [flaw.partition(" is signed by keys that came later: ") for flaw in flaws]
    return list({key: (what, key) for what, mark, keys in marks if mark for key in keys.split(", ")}.values())
