"""The rules in use: fetched from the core, made in a process of their own, exchanged between two blocks."""

from collections.abc import Callable

from msgspec.structs import replace

from collectors.traffic.flows.store import Columns
from collectors.traffic.options import Options
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.forge import Broken, Forge, thresholds
from collectors.traffic.rules.language.threshold_config import ThresholdConfig
from contracts.collector import Emit, Piece
from contracts.subjects.traffic import Rules

MATERIAL = "rules"
EXAMPLES = 10


class Fresh:
    """A ruleset that is ready: its engine, what the site says beside it, what is to be told of it, and what was wrong with its files."""

    def __init__(self, engine: Engine, config: ThresholdConfig, state: Rules, problems: list[str]) -> None:
        self.engine, self.config, self.state, self.problems = engine, config, state, problems


class Rulebook:
    """Keeps the rules up to date. `poll` is called between blocks and gives a fresh ruleset when one is ready."""

    def __init__(self, options: Options, emit: Emit, now_ms: Callable[[], int]) -> None:
        self.state = Rules()
        self._options, self._emit, self._now_ms = options, emit, now_ms
        self._asked_s: float | None = None
        self._signature = ""
        self._pieces: tuple[Piece, ...] = ()
        self._forge: Forge | None = None

    def tune(self, options: Options) -> None:
        """Go on with other settings: the rules are made anew when what they depend on differs."""
        former, self._options = self._options, options
        if (former.addresses, former.ports) != (options.addresses, options.ports):
            self._signature = ""
        self._asked_s = None

    def poll(self, now_s: float, columns: Columns) -> Fresh | None:
        """Move on by one step; returns a ruleset that is ready to be used. Raises `Broken` when one could not be made."""
        if self._forge is not None:
            return self._forged(self._forge, columns)
        answer = self._emit.fetched(MATERIAL)
        if answer is None:
            self._ask(now_s)
        if answer is None or answer.pieces is None:
            return None
        self._signature, self._pieces = answer.signature, answer.pieces
        self.state = replace(self.state, loading=True, problem="")
        self._forge = Forge(self._pieces, self._options.variables())
        return None

    def close(self) -> None:
        """End what is under way."""
        if self._forge is not None:
            self._forge.close()

    def _ask(self, now_s: float) -> None:
        """Ask the core from time to time whether the files changed."""
        if self._asked_s is not None and now_s - self._asked_s < self._options.rules_every:
            return
        self._asked_s = now_s
        self._emit.fetch(MATERIAL, self._signature)

    def _forged(self, forge: Forge, columns: Columns) -> Fresh | None:
        try:
            made = forge.poll()
            if made is None:
                return None
            assert made.prepared is not None
            engine = Engine(made.prepared, columns)
        except Broken as broken:
            self._forge, self._pieces = None, ()
            self.state = replace(self.state, loading=False, problem=str(broken))
            raise
        self._forge = None
        pieces, self._pieces = self._pieces, ()
        self.state = Rules(
            loaded=made.loaded,
            refused=len(made.refused),
            silent=made.silent,
            files=made.files,
            signature=self._signature,
            loaded_ms=self._now_ms(),
            seconds=round(made.seconds, 2),
            problem="; ".join(made.problems[:EXAMPLES]),
            examples=tuple(str(one) for one in made.refused[:EXAMPLES]),
        )
        return Fresh(engine, thresholds(pieces, self._options.variables()), self.state, made.problems)
