"""Sets that rules fill and that are kept between runs (`dataset` with `state` or `save`): handed to the core, and had back from it."""

import hashlib
import re

from collectors.traffic.rules.engine.lookups import Lookups
from contracts.collector import Emit

SETS = "sets"
"""The name of the material, and of the sort that is kept."""
KEEP_S = 60.0
"""So often a set that changed is handed over; and once more at the end."""
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


def file_name(name: str) -> str:
    """Return the name that a set is kept by: readable, and another one for every set."""
    readable = _NO_NAME.sub("-", name.lower()).strip("-._")[:60]
    return f"{readable or 'set'}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.lst"


class KeptSets:
    """Fetches what was kept before rules that ask for it come into use. `ready` is asked until it says so."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._asked = False
        self._kept_s = 0.0
        self.problems: list[str] = []
        """What was wrong with the sets that were had back last."""

    def ready(self, fresh: Lookups, former: Lookups | None) -> bool:
        """Give a fresh ruleset the sets that the former one does not have; return False while they have not come."""
        self.problems = []
        wanted = fresh.lasting - (former.lasting if former is not None else frozenset())
        if not wanted:
            return True
        if not self._asked:
            self._asked = True
            self._emit.fetch(SETS)
        answer = self._emit.fetched(SETS)
        if answer is None:
            return False
        self._asked = False
        pieces = {piece.path: piece for piece in answer.pieces or ()}
        self.problems = [
            f"what was kept of datasets: {piece.problem}" for piece in pieces.values() if piece.role == "trouble"
        ]
        for name in sorted(wanted):
            piece = pieces.get(file_name(name))
            if piece is None:
                continue
            try:
                if piece.problem:
                    raise ValueError(piece.problem)
                fresh.restore(name, piece.data)
            except ValueError as error:
                self.problems.append(f"dataset {name}: what was kept of it: {error}")
        return True

    def tick(self, lookups: Lookups, now_s: float, at_end: bool = False) -> None:
        """Hand over the sets that changed, from time to time."""
        if now_s - self._kept_s < KEEP_S and not at_end:
            return
        self._kept_s = now_s
        for name, content in lookups.changed():
            self._emit.keep(SETS, file_name(name), content)
