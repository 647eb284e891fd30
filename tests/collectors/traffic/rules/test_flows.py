"""Loading is not enough: a flow made of a rule's words makes it speak from end to end, with one byte altered it does not.

`HOLDFAST_TRAFFIC_RULES` is how many random rules of Emerging Threats open are tried, `HOLDFAST_SEED` which;
with `HOLDFAST_TRAFFIC_WHOLE` all of its rules are held against each flow, else those of the sample (`make soak-traffic-rules`).
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import pytest

from collectors.traffic.protocols.news import Transaction
from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.checking import check, compiled
from collectors.traffic.rules.engine.prepared import prepare
from collectors.traffic.rules.language.lines import rules as lines
from collectors.traffic.rules.language.rule import BufferTest, Rule
from collectors.traffic.rules.language.ruleset import Loader
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from tests.collectors.traffic.rules.engine import scene
from tests.collectors.traffic.rules.flows import Flow, Maker
from tests.collectors.traffic.rules.synthesis import Unmade

ET_OPEN = Path(__file__).resolve().parents[5] / "shared" / "peers" / "et-open"
RULES = int(os.environ.get("HOLDFAST_TRAFFIC_RULES", "60"))
WHOLE = "HOLDFAST_TRAFFIC_WHOLE" in os.environ
SEED = int(os.environ.get("HOLDFAST_SEED", "4"))
ATTEMPTS = 8
Ends = frozenset[int]


class Trial:
    """The rules of a sample, each with the flow that has been made for it, and why none could be made of the others."""

    def __init__(self, rules: list[Rule], against: list[Rule]) -> None:
        self.rules = {rule.sid: rule for rule in rules}
        self.known = {rule.sid: rule for rule in against}
        self.prepared = prepare(against)
        self.seed = random.Random(SEED)
        self.makers: dict[int, Maker] = {}
        self.unmade: dict[int, str] = {}
        self.also: dict[int, set[int]] = {}
        self.errors: list[str] = []
        self.unaltered: dict[int, str] = {}

    def spoken(self, flows: Iterable[Flow]) -> dict[Ends, set[int]]:
        """Return which rules speak of each flow, all of them in one capture."""
        found: dict[Ends, set[int]] = defaultdict(set)
        packets = [packet for flow in flows for packet in flow.packets]
        for alert in Reading(scene.capture(packets), self.prepared, ReadOptions()).alerts():
            packet = alert.packet
            found[frozenset({packet.source, packet.destination})].add(alert.rule.sid)
        return found

    def make(self) -> None:
        """Make a flow for every rule, again with other bytes where the rule stays silent."""
        for _ in range(ATTEMPTS):
            tried: dict[int, tuple[Maker, Flow]] = {}
            for sid in self.rules.keys() - self.makers.keys():
                try:
                    maker = Maker(self.rules[sid], self.seed)
                    tried[sid] = maker, maker.whole()
                except Unmade as why:
                    self.unmade[sid] = str(why)
            spoken = self.spoken(flow for _, flow in tried.values())
            for sid, (maker, flow) in tried.items():
                said = spoken.get(ends(flow), set())
                if sid in said:
                    self.makers[sid], self.also[sid] = maker, said - {sid}
                    self.unmade.pop(sid, None)
                    self._others(sid, flow)
                elif carries(self.rules[sid], flow):
                    self.errors.append(f"{sid} is silent, although all its buffers pass")
                else:
                    self.unmade[sid] = "parsed into other bytes than were laid out"

    def _others(self, sid: int, flow: Flow) -> None:
        """Note rules that speak of a flow which does not hold their bytes, too."""
        for other in self.also[sid]:
            if not carries(self.known[other], flow):
                self.errors.append(f"{other} speaks of the flow of {sid}, which does not hold its bytes")

    def alter(self) -> None:
        """Alter one byte of every flow's match; where the bytes still stand somewhere else in it, another one."""
        left = dict(self.makers)
        for _ in range(ATTEMPTS):
            tried: dict[int, Flow] = {}
            for sid, maker in left.items():
                try:
                    tried[sid] = maker.changed()
                except Unmade as why:
                    self.unaltered[sid] = str(why)
            spoken = self.spoken(tried.values())
            left = {
                sid: maker for sid, maker in left.items() if sid in tried and sid in spoken.get(ends(tried[sid]), ())
            }
            for sid in left:
                if not carries(self.rules[sid], tried[sid]):
                    self.errors.append(f"{sid} speaks, although a buffer does not pass")
        self.unaltered |= dict.fromkeys(left, "the altered bytes still match as a whole")

    def told(self) -> str:
        """Return what became of the rules, for people."""
        exactly = sum(not also for also in self.also.values())
        lines = [f"{len(self.makers)} of {len(self.rules)} rules speak of the flow made of them, {exactly} alone"]
        lines += self._kinds(
            "made", {sid: maker.rule.app_protocol or maker.rule.protocol for sid, maker in self.makers.items()}
        )
        lines += self._kinds("not made", self.unmade) + self._kinds("not altered", self.unaltered)
        return "\n".join(lines + [f"{sid}: {sorted(also)} speak, too" for sid, also in self.also.items() if also])

    @staticmethod
    def _kinds(what: str, of: dict[int, str]) -> list[str]:
        counted = Counter(of.values()).most_common()
        return [
            f"{what}: {count} {why}"
            + (f": {[sid for sid in sorted(of) if of[sid] == why][:40]}" if what != "made" else "")
            for why, count in counted
        ]


def ends(flow: Flow) -> Ends:
    """Return the addresses of a flow as alerts have them."""
    return frozenset(int(ip_address(one)) for one in flow.ends)


def carries(rule: Rule, flow: Flow) -> bool:
    """Return whether the parsed flow holds bytes that pass every test of the rule, asked of the matchers alone."""
    _, _, _, news, changes, _ = scene.fed(flow.packets)
    payloads = [bytes(run.data) for run in news.runs] + [packet[42:] for packet in flow.packets]
    if rule.payload is not None and not any(Matcher(rule.payload)(data, State()) for data in payloads):
        return False
    if rule.app_protocol and all(change.conversation.protocol != rule.app_protocol for change in changes):
        return False
    if not rule.buffers:
        return True
    transactions = {id(change.transaction): change.transaction for change in changes if change.transaction is not None}
    return any(
        all(any(Matcher(test)(one, State()) for one in values(of, test, rule) or [None]) for test in rule.buffers)
        for of in transactions.values()
    )


def values(transaction: Transaction, test: BufferTest, rule: Rule) -> list[bytes]:
    """Return what a transaction has of the buffer that a test is for."""
    direction = rule.flow.direction if rule.flow is not None and test.direction == "both" else test.direction
    sides = {"to_server": (False,), "to_client": (True,)}.get(direction, (False, True))
    return [bytes(one) for side in sides for one in transaction.buffers(test.buffer, side)]


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Return a trial of random rules, read from all files and compiled alone."""
    if WHOLE:
        rules = check([ET_OPEN]).rules
        return tried(Trial(random.Random(SEED).sample(rules, RULES), rules))
    texts = [(str(path), text) for path in sorted(ET_OPEN.glob("*.rules")) for _, text in lines(path.read_bytes())]
    loader = Loader()
    for file, text in random.Random(SEED).sample(texts, RULES):
        loader.read(text.encode("latin-1") + b"\n", file)
    rules = compiled(loader.ruleset).rules
    return tried(Trial(rules, rules))


def tried(trial: Trial) -> Trial:
    """Return a trial after it was made and altered, told to whoever looks on."""
    trial.make()
    trial.alter()
    print(trial.told())
    return trial


def test_a_rule_speaks_of_the_flow_that_is_made_of_it(trial: Trial) -> None:
    assert trial.errors == []
    assert len(trial.makers) >= 0.8 * len(trial.rules)


def test_a_rule_is_silent_when_one_byte_of_its_match_is_altered(trial: Trial) -> None:
    assert len(trial.unaltered) <= 0.05 * len(trial.makers)


def test_the_flow_of_one_rule_makes_it_speak_alone_unless_it_holds_what_others_look_for(trial: Trial) -> None:
    alone = sum(not also for also in trial.also.values())
    assert alone >= (0.75 if WHOLE else 0.95) * len(trial.makers)
