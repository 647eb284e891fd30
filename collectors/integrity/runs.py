"""What runs of package tools account for, as the collector asks it: when to wait for a run, and what to say without an answer."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.integrity.book import FILE
from collectors.integrity.learning import Learner
from collectors.integrity.requests import Rest, requests
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.event import Event
from contracts.file_change import Change
from contracts.host import ReadOnlyHost
from contracts.provenance import QUESTION

if TYPE_CHECKING:
    from collectors.integrity.explaining import Explained, Explainer
    from collectors.integrity.options import Options
    from collectors.integrity.rules import Rules
    from contracts.open_change import Batch

_NEVER_PACKAGED = (b"/var/tmp/", b"/var/run/", b"/var/lock/")
_PACKAGED = (b"/usr/", b"/etc/", b"/var/", b"/boot/", b"/opt/", b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/")
LEARNING = "the archives of packages are still being read; changes are told as they are"
MOST_WAIT_S = 600
"""So long changes wait for the end of a run of dpkg, which tells what brought them; then they are told as they are."""
MOST_LEARNING_S = 60
"""So long they wait after a start for the archives to be read."""
MOST_REST_S = 30.0
"""So long, after a run has ended, what it wrote last is waited for, which may be a name that changes all the time."""
_FAILURES = (HoldfastError, OSError, ValueError, sqlite3.Error)
"""What asking packages may raise: it is said, and takes no change away."""


class Runs:
    """For one thread: the collector's."""

    def __init__(self, host: ReadOnlyHost, options: "Options") -> None:
        self._host, self._options = host, options
        self._folder = Path(getattr(host, "state", "")) / "packages"
        self._learner: Learner | None = None
        self._explainer: Explainer | None = None
        self._secrets: Callable[[bytes], bool] | None = None
        self._mark: tuple[int, ...] = ()
        """The logs as they were when nothing in them was left to tell."""
        self._flaw: Blind | None = None
        self._rest: Rest | None = None
        self._rest_logs: tuple[int, ...] = ()
        self._asked_s = 0.0
        self._rested: tuple[int, ...] | None = None
        """The logs for whose last line everything is in the journal, as asked before it was read."""
        self.is_owed = True
        """Whether part of a run may have been judged that is to be told when it ends."""

    def begin(self) -> None:
        """Take note of dpkg's state as it was before all that will be told, and have archives read, where packages ship what is watched."""
        if self._learner is not None:
            return
        rules = self._rules()
        learner = self._learning(rules)
        if any(by_packages(root) for root in rules.by_root):
            self._begin_packages()
            learner.start()

    def _begin_packages(self) -> None:
        """Have packages asked from now on; what hinders that, such as another package manager than dpkg, stands until it does no more."""
        try:
            self._explaining().begin()
            if self._flaw is not None:
                self._explaining().check()
            self._flaw = None
        except _FAILURES as error:
            self._flaw = _blind(error)

    def look(self) -> None:
        """Call it before the journal is read: only what was written there by then is known to be all that a run has brought."""
        rest = self._rest
        late = self._host.monotonic() > self._asked_s + MOST_REST_S
        self._rested = self._rest_logs if rest is not None and (rest.done or rest.error or late) else None

    def waits(self, batch: "Batch") -> bool:
        """Say whether changes are told only when the run that is under way has ended and all of it was seen, but none of them for long."""
        theirs = [change for change in batch.changes if by_packages(change.path)]
        if not theirs:
            return False
        waited_s = self._host.now().timestamp() - batch.changes[-1].at_ms / 1000
        try:
            return self._waits(theirs, waited_s)
        except _FAILURES:
            return False  # `explained` asks again, and says it

    def _waits(self, theirs: Sequence[Change], waited_s: float) -> bool:
        learner = self._learning()
        if not learner.is_ready:
            learner.start()
            return waited_s < MOST_LEARNING_S and self._concerns_archives(theirs)
        if waited_s >= MOST_WAIT_S:
            return False
        if self._explaining().is_busy():
            self._rest = None
            learner.start()  # apt may delete the archives when it is done
            return True
        return learner.is_at_work or self._is_unrested()

    def _concerns_archives(self, changes: Sequence[Change]) -> bool:
        """Say whether what archives ship may account for a change: a package holds it, or a run was not told yet."""
        explainer = self._explaining()
        return explainer.is_busy() or explainer.has_news() or any(explainer.is_held(one.path) for one in changes)

    def _is_unrested(self) -> bool:
        """Say whether a run has ended of which more may come: names that were written last are looked at last, or still wait for a look."""
        logs = self._explaining().logs()
        if logs in (self._mark, self._rested):
            return False
        if not self._explaining().has_news():
            self._mark = logs
            return False
        if self._rest is None or self._rest_logs != logs:
            self._rest, self._rest_logs, self._asked_s = Rest(), logs, self._host.monotonic()
            try:
                requests(Path(getattr(self._host, "state", "")) / FILE).put(self._rest)
            except Unavailable as error:  # nobody watches: there is nothing to wait for
                self._rest.fail(error.message)
        return True

    def explained(self, changes: Sequence[Change], *, more_waits: bool = False) -> "Explained":
        """Return what packages account for; a failure to ask them is said, and takes no change away.

        With `more_waits` a run that was judged in part is not over, whatever its log says.
        """
        from collectors.integrity.explaining import Explained

        theirs = [change for change in changes if by_packages(change.path)]
        events = self._learner.take() if self._learner is not None else ()
        if self._learner is not None:
            self._learner.again()
        if self._flaw is not None:
            self._begin_packages()
        try:
            if not theirs and (more_waits or not self._owes()):
                return Explained(events=events, blind=self._blind())
            if not self._learning().is_ready:
                is_learning = Blind(what=QUESTION, why=Why.OTHER, detail=LEARNING)
                return Explained(events=events, blind=(*self._blind(), is_learning))
            found = self._explaining().explain(theirs)
        except _FAILURES as error:
            self._flaw = _blind(error)
            return Explained(events=events, blind=self._blind())
        self.is_owed = found.is_owed
        self._flaw = next((spot for spot in found.blind if spot.what == QUESTION), None)
        self._learning().blind = tuple(spot for spot in found.blind if spot.what != QUESTION)
        told = (*events, *(one for one in found.events if not _is_told(one, events)))
        return Explained(events=told, standing_out=found.standing_out, judged=True, blind=self._blind())

    def _blind(self) -> tuple[Blind, ...]:
        """Return what could not be asked or verified when it was last tried, whether anything has changed since or not."""
        learnt = self._learner.blind if self._learner is not None else ()
        own = (self._flaw,) if self._flaw is not None and self._flaw not in learnt else ()
        return (*learnt, *own)

    def _owes(self) -> bool:
        """Say whether a run that was judged in part is over, so that its event is due though nothing else changed."""
        if not self.is_owed or self._learner is None or not self._learner.is_ready or self._explaining().is_busy():
            return False
        self.is_owed = self._explaining().is_owed()
        return self.is_owed

    def is_secret(self, path: bytes) -> bool:
        """Say whether the lines of a file are never shown."""
        if self._secrets is None:
            self._secrets = self._rules().is_secret
        return self._secrets(path)

    def _learning(self, rules: "Rules | None" = None) -> Learner:
        if self._learner is None:
            secret = (rules or self._rules()).is_secret
            self._learner = Learner(self._host, self._folder, self._options.packages.archives, secret)
        return self._learner

    def _explaining(self) -> "Explainer":
        if self._explainer is None:
            from collectors.integrity.explaining import Explainer

            archives = self._options.packages.archives
            self._explainer = Explainer(self._host, self._folder, archives, no_diff=self._rules().is_secret)
        return self._explainer

    def _rules(self) -> "Rules":
        from collectors.integrity.options import watched
        from collectors.integrity.rules import Rules

        return Rules(watched(self._options), self._host.files)


def by_packages(path: bytes) -> bool:
    """Say whether packages ship files there."""
    return (path + b"/").startswith(_PACKAGED) and not (path + b"/").startswith(_NEVER_PACKAGED)


def _blind(error: Exception) -> Blind:
    if isinstance(error, Unavailable):
        return Blind(what=QUESTION, why=error.why, detail=error.message, fix=error.advice)
    return Blind(what=QUESTION, why=Why.OTHER, detail=f"{type(error).__name__}: {error}"[:500])


def _is_told(event: Event, others: Sequence[Event]) -> bool:
    return any((event.kind, event.key) == (other.kind, other.key) for other in others)
