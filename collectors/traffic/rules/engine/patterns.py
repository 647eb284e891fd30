"""Prefilters: many literal patterns looked for in one piece of bytes at once, by Hyperscan.

A prefilter only says which rules are worth a whole evaluation; what it may not do is miss one. So what cannot be told here (a place given
by a variable) is left open.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import hyperscan
import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.rules.engine.addresses import expand
from collectors.traffic.rules.engine.kept import Kept

MAX_OFFSET = 65_535
SHORT = 4
"""Fewer bytes than these are met everywhere: Hyperscan itself minds how far in they may end. For longer ones that is looked at where
they are met: a database that minds takes four times as long to make, and is larger.
"""
ANCHORED = 8
"""A pattern of so many bytes that has to be the first ones says so itself: few bytes, zeros among them, are met everywhere in a payload,
and each place told costs more than the looking. Of longer ones a database takes longer to make.
"""
VERSION = str(vars(hyperscan)["__version__"])
"""Hyperscan's: its databases are for one version."""
_NONE: I64 = np.zeros(0, np.int64)
_EXT: Any = vars(hyperscan)["ExpressionExt"]


Key = tuple[str, bool, int]
"""An expression, whether case does not matter, and the highest offset at which it may end (0: any)."""


class Pattern:
    """A literal, or an `expression` of `span` bytes, to look for. `last` is the highest offset at which it may end, 0 for anywhere."""

    __slots__ = ("expression", "last", "literal", "nocase", "span")

    def __init__(
        self, literal: bytes, nocase: bool = False, last: int = 0, expression: str = "", span: int = 0
    ) -> None:
        self.literal = literal.lower() if nocase else literal
        self.nocase = nocase
        self.last = last if 0 < last <= MAX_OFFSET else 0
        self.span = span or len(literal)
        self.expression = expression or "".join(f"\\x{byte:02x}" for byte in self.literal)
        if not expression and self.last == self.span <= ANCHORED:
            self.expression = "^" + self.expression

    @property
    def key(self) -> Key:
        """Return what makes it the same pattern as another."""
        return self.expression, self.nocase, self.last


class Prefilter:
    """Patterns with the numbers of the rules that each stands for. Built once; `find` afterwards. `longest`: bytes of a pattern."""

    def __init__(self, kept: Kept | None = None) -> None:
        """`kept`: what `keep` returned, from a store that has authenticated it."""
        self._keys: dict[Key, int] = {}
        self._members: list[list[int]] = []
        self._spans: list[int] = []
        self._database: Any = None
        self.longest = 0
        if kept is not None:
            self._load(kept)

    def add(self, pattern: Pattern, rule: int) -> None:
        """Let `pattern` stand for a rule."""
        number = self._keys.setdefault(pattern.key, len(self._members))
        if number == len(self._members):
            self._members.append([])
            self._spans.append(pattern.span)
            self.longest = max(self.longest, pattern.span)
        self._members[number].append(rule)

    def compile(self) -> None:
        """Make the database."""
        keys = list(self._keys)
        sizes = [len(members) for members in self._members]
        self._starts: I64 = np.append(0, np.cumsum(sizes, dtype=np.int64))
        self._rules: I64 = np.array([rule for members in self._members for rule in members], np.int64)
        self._lasts: I64 = np.array([last or MAX_OFFSET << 16 for _, _, last in keys], np.int64)
        if not keys:
            return
        expressions = [expression.encode("ascii") for expression, _, _ in keys]
        # The match that is told is the first one: if that ends too far in, all do.
        plain = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
        flags = [plain | (hyperscan.HS_FLAG_CASELESS if nocase else 0) for _, nocase, _ in keys]
        # What is anchored says by itself where it ends.
        minded = [span < SHORT and key[0][:1] != "^" for key, span in zip(keys, self._spans, strict=True)]
        ext = [_ext(last if minds else 0) for (_, _, last), minds in zip(keys, minded, strict=True)]
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=expressions, ids=list(range(len(keys))), elements=len(keys), flags=flags, ext=ext
        )
        self._keys, self._members, self._spans = {}, [], []

    def keep(self) -> Kept:
        """Return the prefilter as it is kept."""
        database = bytes(hyperscan.dumpb(self._database)) if self._database is not None else b""
        return Kept(
            database=database,
            starts=self._starts.tobytes(),
            rules=self._rules.tobytes(),
            lasts=self._lasts.tobytes(),
            longest=self.longest,
        )

    def _load(self, kept: Kept) -> None:
        self._starts = np.frombuffer(kept.starts, np.int64)
        self._rules = np.frombuffer(kept.rules, np.int64)
        self._lasts = np.frombuffer(kept.lasts, np.int64)
        self.longest = kept.longest
        if kept.database:
            self._database = hyperscan.loadb(kept.database, hyperscan.HS_MODE_BLOCK)
            self._database.scratch = hyperscan.Scratch(self._database)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @property
    def rules_of_all(self) -> I64:
        """The rules that any pattern stands for."""
        return self._rules

    def find(self, data: bytes | memoryview) -> list[int]:
        """Return the numbers of the patterns in `data`."""
        numbers: list[int] = self.find_all([0], [data])[1].tolist()
        return numbers

    def find_all(self, names: Sequence[int], pieces: Iterable[bytes | memoryview]) -> tuple[I64, I64]:
        """Return, for pieces with a name each, the names and the numbers of the patterns in them."""
        found: list[int] = []
        numbers: list[int] = []
        ends: list[int] = []
        if self._database is None:
            return _NONE, _NONE
        told, add, ended = found.append, numbers.append, ends.append

        def hit(number: int, _begin: int, end: int, _flags: int, name: int) -> None:
            told(name)
            add(number)
            ended(end)

        # The loop over the pieces is the interpreter's own: most of them have nothing.
        deque(map(self._database.scan, pieces, repeat(hit), repeat(0), names), maxlen=0)
        if not numbers:
            return _NONE, _NONE
        which = np.array(numbers, np.int64)
        near = np.array(ends, np.int64) <= self._lasts[which]
        return np.array(found, np.int64)[near], which[near]

    def pairs(self, names: Sequence[int], pieces: Iterable[bytes | memoryview]) -> tuple[I64, I64]:
        """Return pairs of a piece's name and a rule that a pattern in it stands for; a pair may come twice."""
        found, numbers = self.find_all(names, pieces)
        return expand(found, numbers, self._starts, self._rules) if len(numbers) else (_NONE, _NONE)

    def rules(self, numbers: Sequence[int]) -> set[int]:
        """Return the rules that the patterns stand for."""
        found: set[int] = set()
        for number in numbers:
            found.update(self._rules[self._starts[number] : self._starts[number + 1]].tolist())
        return found


def _ext(last: int) -> Any:
    """Return what makes Hyperscan mind how far in a pattern ends (0: anywhere)."""
    return _EXT(flags=hyperscan.HS_EXT_FLAG_MAX_OFFSET if last else 0, max_offset=last)
