"""Holds the evaluator against the kernel: one round loads a ruleset, sends its probes, evaluates the same, and compares.

A disagreement is confirmed alone and with patience before it counts, made as small as it goes, and reported so that it can be replayed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import UNTRACED, Answer, Cause, Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.probing import Outcome, Prober, Shot
from tests.analysis.firewall.kernel.rulesets import Rule, Ruleset
from tests.analysis.firewall.kernel.scene import sender_of
from tests.analysis.firewall.kernel.tags import ON_THE_WAY
from tests.analysis.firewall.kernel.topology import ADDRESSES, INTERFACES, SWITCHES, World
from tests.analysis.firewall.kernel.xtables_strategies import tags_of

PATIENCE_S = 0.6
FAULTY_LINE = re.compile(r"/dev/stdin:(\d+):")
COUNTS = ("rulesets", "refused", "probes", "agreed", "reachable", "uncertain", "unnamed", "moot", "disagreed")
FAULTY_XLINE = re.compile(r"line:? (\d+)")


@dataclass
class Tally:
    """Counts over many rounds; `decided_by` counts by tag the probes that a rule with it decided, `unknown` what made probes uncertain.

    `unnamed` are those of the uncertain that name nothing that is not known: there must be none.
    """

    rulesets: int = 0
    refused: int = 0
    probes: int = 0
    agreed: int = 0
    reachable: int = 0
    uncertain: int = 0
    unnamed: int = 0
    moot: int = 0
    disagreed: int = 0
    decided_by: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Add what `other` counted."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.decided_by += other.decided_by
        self.unknown += other.unknown


@dataclass(frozen=True)
class Disagreement:
    """A probe of which the kernel made something else than was predicted, or that is uncertain and names nothing unknown."""

    ruleset: Ruleset
    shot: Shot
    answer: Answer
    outcome: Outcome

    def report(self) -> str:
        """Say what was loaded, sent, predicted and seen, and how to see it again."""
        probe, answer = self.shot.probe, self.answer
        lines = [
            "an uncertain answer names nothing unknown"
            if answer.verdict is Verdict.UNCERTAIN
            else "kernel and evaluator disagree",
            "---- ruleset",
            self.ruleset.text(),
            "---- probe",
            f"from {self.shot.sender}: {msgspec.json.encode(probe).decode()}",
            f"---- predicted: {answer.verdict}, to {answer.destination} port {answer.port} by {answer.interface or 'no interface'}",
            *(f"cause: {_line(cause)}" for cause in answer.causes),
            *(
                f"step: {step.hook}: {step.chain} #{step.handle}: {step.text}{' (maybe)' if step.maybe else ''}"
                for step in answer.steps
            ),
            *(f"unknown: {text}" for text in answer.unknown),
            "---- the kernel",
            f"{'reachable' if self.outcome.reachable else 'not reachable'}: {self.outcome}",
            "---- replay: python -m tests.analysis.firewall.kernel.soak --replay FILE, with this line in FILE",
            self.encode(),
        ]
        return "\n".join(lines)

    def encode(self) -> str:
        """Return ruleset and shot as one line of JSON."""
        probe = msgspec.to_builtins(self.shot.probe)
        shot = {"sender": self.shot.sender, "band": self.shot.band, "probe": probe}
        return msgspec.json.encode({"ruleset": self.ruleset.encode(), "shot": shot}).decode()


def _line(cause: Cause) -> str:
    where = " ".join(part for part in (cause.family, cause.table, cause.chain) if part)
    return f"{'answer: ' if cause.answer else ''}{cause.what} {where} #{cause.handle}: {cause.text}"


class Harness:
    """Plays rounds in one world."""

    def __init__(self, world: World, prober: Prober) -> None:
        self.world = world
        self.prober = prober
        self.tally = Tally()

    def load(self, ruleset: Ruleset) -> Ruleset | None:
        """Load `ruleset`, leaving out the rules that nft refuses; returns what is loaded, or None when it cannot be."""
        for _ in range(6):
            answer = self.world.loader.ask(do="load", **ruleset.order(SWITCHES))
            if not answer:
                return ruleset
            smaller = without_refused(ruleset, answer["refused"])
            if smaller == ruleset:
                self.tally.refused += 1
                self.tally.unknown[f"refused: {answer['refused'][:160]}"] += 1
                return None
            ruleset = smaller
        return None

    def play(self, ruleset: Ruleset, shots: Sequence[Shot]) -> list[Disagreement]:
        """Play one round, count it, and return the confirmed disagreements."""
        loaded = self.load(ruleset)
        if loaded is None:
            return []
        seen = self.look(loaded)
        if seen is None:
            return []
        datapath, tags = seen
        last, outcomes = self.prober.fire_twice(shots)
        answers = evaluate(datapath, [shot.probe for shot in last])
        self.tally.rulesets += 1
        found = []
        for number, (shot, outcome) in enumerate(zip(last, outcomes, strict=True)):
            answer = answers.answer(number)
            self.tally.probes += 1
            if answer.verdict is Verdict.UNCERTAIN:
                self.tally.uncertain += 1
                self.tally.unknown.update(answer.unknown[:1] or ["(nothing named)"])
                if not names_something(answer):
                    self.tally.unnamed += 1
                    found.append(Disagreement(loaded, shot, answer, outcome))
            elif moot(loaded, shot, answer):
                self.tally.moot += 1
            elif agrees(answer, outcome):
                self.tally.agreed += 1
                self.tally.reachable += outcome.reachable
                self.tally.decided_by.update(list(deciding(answer, tags)))
            elif confirmed := self.confirm(loaded, datapath, shot):
                self.tally.disagreed += 1
                found.append(confirmed)
            else:
                self.tally.agreed += 1
        return found

    def look(self, loaded: Ruleset) -> tuple[Any, Mapping[tuple[str, str, str, int], Rule]] | None:
        """Read what is loaded, as the product does; returns the datapath and the rules by family, table, chain and handle.

        None when nft itself cannot list the ruleset: the product says so and evaluates nothing.
        """
        answer = self.world.loader.ask(do="rows")
        unreadable = answer.get("unreadable", "") or broken(answer["blind"])
        if unreadable:
            self.tally.refused += 1
            self.tally.unknown[f"unreadable: {unreadable[:160]}"] += 1
            return None
        rows = msgspec.convert(answer["rows"], dict[str, Row])
        assert not answer["blind"], f"the collector is blind in places: {answer['blind']}\n{loaded.text()}"
        return read(rows), places(loaded, rows)

    def confirm(self, loaded: Ruleset, datapath: Any, shot: Shot) -> Disagreement | None:
        """Send `shot` again, alone and patiently; returns the disagreement if it is still there."""
        self.world.loader.ask(do="forget")
        (aimed,) = self.prober.aim([shot])
        (outcome,) = self.prober.fire([aimed], PATIENCE_S)
        answer = evaluate(datapath, [aimed.probe]).answer(0)
        if answer.verdict is Verdict.UNCERTAIN:
            return None if names_something(answer) else Disagreement(loaded, aimed, answer, outcome)
        if moot(loaded, aimed, answer) or agrees(answer, outcome):
            return None
        return Disagreement(loaded, aimed, answer, outcome)

    def again(self, ruleset: Ruleset, shot: Shot) -> Disagreement | None:
        """Load `ruleset` and try one shot."""
        loaded = self.load(ruleset)
        if loaded is None:
            return None
        seen = self.look(loaded)
        return self.confirm(loaded, seen[0], shot) if seen else None

    def smallest(self, found: Disagreement, tries: int = 250) -> Disagreement:
        """Return the same disagreement with as little around it as a greedy search finds."""
        shrunk = True
        while shrunk and tries > 0:
            shrunk = False
            for smaller in found.ruleset.smaller():
                tries -= 1
                if tries <= 0:
                    break
                if again := self.again(smaller, found.shot):
                    found, shrunk = again, True
                    break
        return found


def broken(blind: Sequence[Mapping[str, str]]) -> str:
    """Return what the product says where nft aborts while it lists a ruleset (one of two comparisons that it joins to a range), else ""."""
    return next(
        (spot["detail"] for spot in blind if spot["what"].startswith("what the tables hold that nft cannot")), ""
    )


def without_refused(ruleset: Ruleset, message: str) -> Ruleset:
    """Return `ruleset` without the rules that `message` (of nft or of a restore) complains about; unchanged when it names none."""
    if not message.startswith("nft"):
        return _without_refused_line(ruleset, message)
    lines = "".join(table.script() for table in ruleset.tables).splitlines()
    wrong = {lines[int(number) - 1] for number in FAULTY_LINE.findall(message) if int(number) <= len(lines)}
    tables = []
    for table in ruleset.tables:
        chains = []
        for chain in table.chains:
            prefix = f"add rule {table.family} {table.name} {chain.name} "
            chains.append(replace(chain, rules=tuple(rule for rule in chain.rules if prefix + rule.text not in wrong)))
        sets = tuple(declared for declared in table.sets if f" {declared}" not in wrong)
        tables.append(replace(table, chains=tuple(chains), sets=sets))
    return replace(ruleset, tables=tuple(tables))


def _without_refused_line(ruleset: Ruleset, message: str) -> Ruleset:
    tool = message.split(":")[0].split()[0]
    line = FAULTY_XLINE.search(message)
    if line is None:
        return ruleset
    script = "".join(table.script() for table in ruleset.xtables if table.tool == tool).splitlines()
    number = int(line[1])
    wrong = script[number - 1] if number <= len(script) else ""
    tables = tuple(
        replace(table, rules=tuple(rule for rule in table.rules if table.tool != tool or rule.text != wrong))
        for table in ruleset.xtables
    )
    return replace(ruleset, xtables=tables)


def places(loaded: Ruleset, rows: Mapping[str, Row]) -> dict[tuple[str, str, str, int], Rule]:
    """Return the rules of nftables by family, table, chain and handle."""
    found = {}
    for table in loaded.tables:
        for chain in table.chains:
            order = rows[f"chain {table.family} {table.name} {chain.name}"].order
            for handle, rule in zip(order, chain.rules, strict=True):
                found[table.family, table.name, chain.name, handle] = rule
    return found


def moot(loaded: Ruleset, shot: Shot, answer: Answer) -> bool:
    """Say whether a packet is sent to where nobody takes it: back to the namespace it came from, or where its destination is not.

    What they make of it is not the doing of this host.
    """
    home = sender_of(answer.destination) if answer.destination else ""
    if shot.sender == "host" and answer.destination and (not home or (home != "host" and loaded.routing)):
        return True
    if not answer.forwarded or not answer.destination:
        return False
    if not home or (answer.interface and answer.interface != INTERFACES[home]):
        return True
    here = ADDRESSES[shot.sender][shot.probe.family]
    return shot.sender != "host" and answer.destination in here


def names_something(answer: Answer) -> bool:
    """Say whether an uncertain answer names what it does not know."""
    return bool(answer.unknown) and not any(UNTRACED in text for text in answer.unknown)


def agrees(answer: Answer, outcome: Outcome) -> bool:
    """Say whether the kernel did what was predicted: the verdict, and where the packet was heard, if it was."""
    if (answer.verdict is Verdict.REACHABLE) is not outcome.reachable:
        return False
    if not (outcome.reachable and outcome.place and answer.destination):
        return True
    return (outcome.address, outcome.port) == (answer.destination, answer.port)


def deciding(answer: Answer, rules: Mapping[tuple[str, str, str, int], Rule]) -> Iterable[str]:
    """Yield once each the tags of what decided: those of the deciding rules, and of the rules on the way that change what follows."""
    tags: dict[str, None] = {}
    for cause in answer.causes:
        if cause.what != "rule":
            tags[f"cause {cause.what}"] = None
            continue
        rule = rules.get((cause.family, cause.table, cause.chain, cause.handle))
        tags.update(dict.fromkeys(rule.tags if rule else tags_of(cause.text)))
    for step in answer.steps:
        if step.maybe:
            continue
        family, table, chain = [*step.chain.split(" ", 2), "", ""][:3]
        rule = rules.get((family, table, chain, step.handle))
        tags.update((tag, None) for tag in (rule.tags if rule else tags_of(step.text)) if tag in ON_THE_WAY)
    return tags
