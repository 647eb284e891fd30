"""Reads archives of packages in a thread of its own, because there may be thousands; the next look tells what came of it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.coverage import Blind
from contracts.errors import Why
from contracts.event import Event
from contracts.host import ReadOnlyHost
from contracts.provenance import QUESTION

AGAIN_S = 900.0
"""What could not be verified is looked at again so often, though nothing that is known of has changed."""
EVERY_S = 3.0
"""While a run of dpkg is under way, archives that came meanwhile are looked for this often: apt may delete them after it."""


class Learner:
    """Learns archives; for one thread besides its own. `is_ready` once everything that lay there was read.

    `blind` is what could not be verified when it was last looked at: it stands until that is done with success.
    """

    def __init__(
        self, host: ReadOnlyHost, folder: Path, archives: Sequence[str], is_secret: Callable[[bytes], bool]
    ) -> None:
        self._host, self._folder, self._archives, self._is_secret = host, folder, archives, is_secret
        self._began_s: float | None = None
        self._lock = threading.Lock()
        self._events: tuple[Event, ...] = ()
        self.blind: tuple[Blind, ...] = ()
        self.is_ready = False
        self.is_at_work = False

    def start(self) -> None:
        """Read what has appeared, unless that is under way or was done a moment ago."""
        now_s = self._host.monotonic()
        with self._lock:
            if self.is_at_work or (self._began_s is not None and now_s - self._began_s < EVERY_S):
                return
            self._began_s, self.is_at_work = now_s, True
        threading.Thread(target=self._run, name="packages", daemon=True).start()

    def again(self) -> None:
        """Look again at what could not be verified, from time to time."""
        if self.blind and self._began_s is not None and self._host.monotonic() - self._began_s >= AGAIN_S:
            self.start()

    def take(self) -> tuple[Event, ...]:
        """Return the words on new keys since this was last asked."""
        with self._lock:
            found, self._events = self._events, ()
        return found

    def _run(self) -> None:
        events, blind = self._round()
        with self._lock:
            self._events += events
            self.blind = blind
            self.is_at_work, self.is_ready = False, True

    def _round(self) -> tuple[tuple[Event, ...], tuple[Blind, ...]]:
        from collectors.integrity.book import FILE
        from collectors.integrity.explaining import Explainer
        from collectors.integrity.giving_way import GivesWay

        try:
            explainer = Explainer(self._host, self._folder, self._archives, no_diff=self._is_secret)
            try:
                gives_way = GivesWay(self._folder.parent / FILE, explainer.is_busy)
                return explainer.learn(gives_way), explainer.blind()
            finally:
                explainer.close()
        except Exception as error:  # noqa: BLE001  # it is told, not lost with the thread
            return (), (Blind(what=QUESTION, why=Why.OTHER, detail=f"{type(error).__name__}: {error}"[:500]),)
