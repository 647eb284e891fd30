"""The rules in use: fetched from the core, made in a process of their own, exchanged between two blocks.

What was made is kept by the core and taken from there at the next start, if it was made of the very same files and variables.
"""

import hashlib
import threading
from collections.abc import Callable
from typing import NoReturn

from msgspec.structs import replace

from collectors.traffic.flows.store import Columns
from collectors.traffic.options import Options
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.engine.sealed import NotOpened
from collectors.traffic.rules.forge import NO_TEXT, Broken, Forge, Made, no_text, thresholds, unpack
from collectors.traffic.rules.language.threshold_config import ThresholdConfig
from contracts.collector import Emit, Fetched, Piece
from contracts.plural import plural
from contracts.subjects.traffic import Rules

RULES, CACHE = "rules", "cache"
"""The names of the materials."""
NAME = "rules.packed"
EXAMPLES = 10


class Fresh:
    """A ruleset that is ready: its engine, what the site says beside it, what is to be told of it, and what was wrong with its files."""

    def __init__(self, engine: Engine, config: ThresholdConfig, state: Rules, problems: list[str]) -> None:
        self.engine, self.config, self.state, self.problems = engine, config, state, problems


class Rulebook:
    """Keeps the rules up to date. `poll` is called between blocks and gives a fresh ruleset when one is ready."""

    def __init__(self, options: Options, emit: Emit, now_ms: Callable[[], int]) -> None:
        self.state = Rules(loading=True)
        self._options, self._emit, self._now_ms = options, emit, now_ms
        self._asked_s: float | None = None
        self._signature = ""
        self._key: bytes | None = None
        self._forge: Forge | None = None
        emit.fetch(CACHE)

    def tune(self, options: Options) -> None:
        """Go on with other settings: the rules are made anew when what they depend on differs."""
        former, self._options = self._options, options
        if (former.addresses, former.ports) != (options.addresses, options.ports):
            self._signature = ""
        self._asked_s = None

    def again(self) -> None:
        """Have the rules made anew: the engine that was made of them is of no more use."""
        self._signature, self._asked_s = "", None
        self.state = Rules(loading=True)

    def poll(self, now_s: float, columns: Columns) -> Fresh | None:
        """Move on by one step; returns a ruleset that is ready to be used. Raises `Broken` when one could not be made."""
        if self._key is None:
            kept = self._emit.fetched(CACHE)
            return self._kept(kept, columns) if kept is not None else None
        if self._forge is not None:
            return self._forged(self._forge, columns)
        answer = self._emit.fetched(RULES)
        if answer is None:
            self._ask(now_s)
        elif answer.pieces is not None:
            self._make(answer.signature, answer.pieces, self._key)
        return None

    def _make(self, signature: str, pieces: tuple[Piece, ...], key: bytes) -> None:
        """Have rules made of files; raises `Broken` where some cannot be read and there are rules in use that would be lost by it."""
        self._signature = signature
        unread = [f"{piece.path}: {piece.problem}" for piece in pieces if piece.problem]
        unread += [f"{piece.path}: {NO_TEXT}" for piece in pieces if no_text(piece)]
        if unread and (self.state.loaded or not signature):
            self._stay(f"{unread[0]}{f' (and {len(unread) - 1} more)' if len(unread) > 1 else ''}")
        self.state = replace(self.state, loading=True, problem="")
        self._forge = Forge(pieces, self._options.variables(), key, self._made_of())

    def _stay(self, problem: str) -> NoReturn:
        """Go on with the rules in use, and say why; raises `Broken`."""
        problem = f"{problem}; the rules in use stay"
        self.state = replace(self.state, loading=False, problem=problem)
        raise Broken(problem)

    def close(self) -> None:
        """End what is under way."""
        if self._forge is not None:
            self._forge.close()

    def _ask(self, now_s: float) -> None:
        """Ask the core from time to time whether the files changed."""
        if self._asked_s is not None and now_s - self._asked_s < self._options.rules_every:
            return
        self._asked_s = now_s
        self._emit.fetch(RULES, self._signature)

    def _made_of(self) -> str:
        """Return the name of what the rules are made of: the files' state and the variables."""
        variables = repr((sorted(self._options.addresses.items()), sorted(self._options.ports.items())))
        return f"{self._signature} {hashlib.sha256(variables.encode()).hexdigest()}"

    def _kept(self, kept: Fetched, columns: Columns) -> Fresh | None:
        """Take what was kept, if it is of the files as they are now; anything else is made anew."""
        pieces = {piece.role: piece.data for piece in kept.pieces or () if not piece.problem}
        self._key = pieces.get("key", b"")
        self._signature = kept.signature
        try:
            made = unpack(pieces.get("kept", b""), self._key, self._made_of())
        except NotOpened:
            self._signature = ""  # so that all of it is fetched and made
            return None
        return self._fresh(made, columns, cached=True)

    def _forged(self, forge: Forge, columns: Columns) -> Fresh | None:
        try:
            made = forge.poll()
        except Broken as broken:
            self._forge = None
            self.state = replace(self.state, loading=False, problem=str(broken))
            raise
        if made is None:
            return None
        self._forge = None
        if self.state.loaded and made.told.refused and not made.told.loaded:
            # A page of errors in the place of a ruleset, or a setting that none of them can live with.
            self._stay(f"not one of {plural(len(made.told.refused), 'rule')} loads: {made.told.refused[0]}")
        # Beside the packets: the core may take a while for so much.
        threading.Thread(target=self._emit.keep, args=(CACHE, NAME, made.packed), name="keep", daemon=True).start()
        return self._fresh(made, columns, cached=False)

    def _fresh(self, made: Made, columns: Columns, cached: bool) -> Fresh:
        told = made.told
        self.state = Rules(
            loaded=told.loaded,
            refused=len(told.refused),
            files=told.files,
            signature=self._signature,
            loaded_ms=self._now_ms(),
            seconds=round(told.seconds, 2),
            cached=cached,
            problem="; ".join(told.problems[:EXAMPLES]),
            examples=tuple(str(one) for one in told.refused[:EXAMPLES]),
        )
        engine = Engine(made.prepared, columns)
        return Fresh(engine, thresholds(told.thresholds, self._options.variables()), self.state, told.problems)
