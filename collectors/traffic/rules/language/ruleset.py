"""Whole rules files -> the rules that load, and the reason for each that does not."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from collectors.traffic.rules.language.classification import Classes
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.lines import LONGEST_RULE, rules
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.variables import Variables

MOST_REFUSED = 100_000
"""Rules of one file that do not load, each named; what comes behind so many is not read: it is no file of rules for this engine."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that is not loaded. `sid` is 0 when it has none that can be read."""

    file: str
    line: int
    sid: int
    reason: str

    def __str__(self) -> str:
        name = f"sid {self.sid}: " if self.sid else ""
        return f"{self.file}:{self.line}: {name}{self.reason}"


@dataclass(slots=True)
class Ruleset:
    """What was read: `rules` in the order of the files, `refused`, and what is only odd (`notes`)."""

    rules: list[Rule] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Loader:
    """Reads files one after the other into one `ruleset`; of rules with the same sid and gid the one with the highest rev stays."""

    def __init__(self, variables: Variables | None = None, classes: Classes | None = None) -> None:
        self.ruleset = Ruleset()
        self._parser = Parser(variables)
        self._classes = classes or Classes()
        self._known: dict[tuple[int, int], int] = {}

    def read(self, data: bytes, name: str) -> None:
        """Read the rules of one file's content, up to `MOST_REFUSED` that do not load; that the rest was not read is named, too."""
        most = len(self.ruleset.refused) + MOST_REFUSED
        for line, text in rules(data):
            if len(self.ruleset.refused) >= most:
                reason = f"{MOST_REFUSED:,} rules before it do not load; this and the rest of the file was not read"
                self.ruleset.refused.append(Refusal(name, line, 0, reason))
                self.ruleset.notes.append(f"{name}:{line}: {reason}")
                return
            try:
                if len(text) > LONGEST_RULE:
                    raise Refused(f"the rule has {len(text)} characters, more than {LONGEST_RULE}")
                rule = self._parser.rule(text)
            except Refused as refused:
                self.ruleset.refused.append(Refusal(name, line, sid_of(text), str(refused)))
                continue
            except (ArithmeticError, LookupError, RecursionError, ValueError) as error:
                # Whatever one rule says, the others load.
                reason = f"it cannot be read: {type(error).__name__}: {error}"
                self.ruleset.refused.append(Refusal(name, line, sid_of(text), reason))
                continue
            rule.file, rule.line = name, line
            self._classes.apply(rule)
            self._keep(rule)

    def _keep(self, rule: Rule) -> None:
        at = self._known.get((rule.gid, rule.sid))
        kept = self.ruleset.rules
        if at is None:
            self._known[rule.gid, rule.sid] = len(kept)
            kept.append(rule)
            return
        old = kept[at]
        newer = rule.rev > old.rev
        loser, winner = (old, rule) if newer else (rule, old)
        kept[at] = winner
        reason = f"there is another rule with this sid, with rev {winner.rev}, in {winner.file}:{winner.line}"
        self.ruleset.refused.append(Refusal(loser.file, loser.line, loser.sid, reason))


def load(paths: Iterable[Path], variables: Variables | None = None, classes: Classes | None = None) -> Ruleset:
    """Return the rules of the files; raises `OSError` for one that cannot be read."""
    loader = Loader(variables, classes)
    for path in paths:
        loader.read(path.read_bytes(), str(path))
    return loader.ruleset


def sid_of(text: str) -> int:
    """Return the sid of a rule that may be broken, or 0."""
    for part in text.split(";"):
        word, colon, value = part.partition(":")
        number = value.strip()
        if colon and word.strip(" \t(").endswith("sid") and number.isascii() and number.isdigit() and len(number) <= 10:
            return int(number)
    return 0
