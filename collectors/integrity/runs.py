"""What runs of package tools account for, as the collector asks it: when to wait for a run, and what to say without an answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.integrity.learning import WHAT, Learner
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Why
from contracts.event import Event
from contracts.file_change import Change
from contracts.host import ReadOnlyHost

if TYPE_CHECKING:
    from collectors.integrity.explaining import Explained, Explainer
    from collectors.integrity.options import Options
    from collectors.integrity.rules import Rules
    from contracts.open_change import Batch

_PACKAGED = (b"/usr/", b"/etc/", b"/var/", b"/boot/", b"/opt/", b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/")
LEARNING = "the archives of packages are still being read; changes are told as they are"
MOST_WAIT_S = 600
"""So long changes wait for the end of a run of dpkg, which tells what brought them; then they are told as they are."""
MOST_LEARNING_S = 60
"""So long they wait after a start for the archives to be read."""


class Runs:
    """For one thread: the collector's."""

    def __init__(self, host: ReadOnlyHost, options: "Options") -> None:
        self._host, self._options = host, options
        self._folder = Path(getattr(host, "state", "")) / "packages"
        self._learner: Learner | None = None
        self._explainer: Explainer | None = None
        self._begun = False

    def begin(self, *, is_new: bool) -> None:
        """Have archives read, where packages ship what is watched: `is_new` with a baseline, whose packages are what was before."""
        if self._begun or (self._learner is not None and not is_new):
            return
        self._begun = is_new
        rules = self._rules()
        if any(by_packages(root) for root in rules.by_root):
            self._learning(rules).start(is_new=is_new)

    def waits(self, batch: "Batch") -> bool:
        """Say whether changes are told only when the run of dpkg that is under way has ended, but none of them for long."""
        if not any(by_packages(change.path) for change in batch.changes):
            return False
        waited_s = self._host.now().timestamp() - batch.changes[-1].at_ms / 1000
        learner = self._learning()
        if not learner.is_ready:
            learner.start()
            return waited_s < MOST_LEARNING_S
        if waited_s >= MOST_WAIT_S:
            return False
        if self._explaining().is_busy():
            learner.start()  # apt may delete the archives when it is done
            return True
        return learner.is_at_work

    def explained(self, changes: Sequence[Change]) -> "Explained":
        """Return what packages account for; a failure to ask them is said, and takes no change away."""
        from collectors.integrity.explaining import Explained

        theirs = [change for change in changes if by_packages(change.path)]
        events, blind = self._learner.take() if self._learner is not None else ((), ())
        if not theirs:
            return Explained(events=events, blind=blind)
        if not self._learning().is_ready:
            return Explained(events=events, blind=(*blind, Blind(what=WHAT, why=Why.OTHER, detail=LEARNING)))
        try:
            found = self._explaining().explain(theirs)
        except (HoldfastError, OSError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"[:500]
            return Explained(events=events, blind=(*blind, Blind(what=WHAT, why=Why.OTHER, detail=detail)))
        told = (*events, *(one for one in found.events if not _is_told(one, events)))
        return Explained(events=told, standing_out=found.standing_out, judged=True, blind=(*blind, *found.blind))

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
    return (path + b"/").startswith(_PACKAGED)


def _is_told(event: Event, others: Sequence[Event]) -> bool:
    return any((event.kind, event.key) == (other.kind, other.key) for other in others)
