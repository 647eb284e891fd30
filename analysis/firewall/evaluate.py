"""The public face of the evaluator: many probes at once against one datapath, and for each of them what becomes of it and why."""

from collections.abc import Sequence

from analysis.firewall.journey import Journey
from analysis.firewall.model import Datapath
from analysis.firewall.probe import UNTRACED, Answer, Cause, Probe, Step, Verdict
from analysis.firewall.walking import Doubt, Leg, Trail

_ENDS = frozenset({"drop", "reject", "policy-drop", "routing", "rp_filter", "martian", "forwarding", "unknown"})
_MOST_UNKNOWN = 20
_ALLOWING = frozenset({"accept", "nat"})
_WORDS = {
    "policy-accept": "policy accept",
    "policy-drop": "policy drop",
    "nat": "translated",
    "unknown": "undecided",
}


class Answers:
    """What became of the probes, in their order."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        alive, ended = journey.alive, journey.ended
        self._verdicts = tuple(_verdict(alive >> n & 1, ended >> n & 1) for n in range(len(journey.probes)))
        self._trail = [entry for walker in journey.walkers for entry in walker.trail]
        self._doubts = [entry for walker in journey.walkers for entry in walker.doubts]

    def __len__(self) -> int:
        return len(self._verdicts)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return one verdict per probe."""
        return self._verdicts

    def answer(self, number: int, steps: bool = True) -> Answer:
        """Return verdict, causes, `steps` if wanted, and what is unknown for the probe of that number (made on demand)."""
        bit, verdict = 1 << number, self._verdicts[number]
        trail = [
            entry for entry in self._trail if entry.may & bit and (entry.leg is not Leg.THIRD or entry.kind == "reject")
        ]
        target, port, interface = self._journey.end_of(number)
        causes = _causes(verdict, trail, bit)
        return Answer(
            verdict=verdict,
            causes=causes,
            steps=tuple(dict.fromkeys(_step(entry, bit) for entry in trail)) if steps else (),
            unknown=_unknown(self._doubts, bit) or _untraced(causes) if verdict is Verdict.UNCERTAIN else (),
            forwarded=bool(self._journey.forwarded & bit),
            destination=target,
            port=port,
            interface=interface,
        )


def evaluate(datapath: Datapath, probes: Sequence[Probe]) -> Answers:
    """Follow all `probes` through `datapath`; a probe whose addresses do not parse raises `contracts.errors.UsageError`."""
    journey = Journey(datapath, probes)
    journey.run()
    return Answers(journey)


def _verdict(may_arrive: int, may_end: int) -> Verdict:
    if may_arrive and may_end:
        return Verdict.UNCERTAIN
    return Verdict.REACHABLE if may_arrive else Verdict.BLOCKED


def _causes(verdict: Verdict, trail: list[Trail], bit: int) -> tuple[Cause, ...]:
    """Return what decided: what ended the way; for what arrives, the rules that let it, or the policies if no rule did."""
    found = [entry for entry in trail if entry.kind in _ENDS] if verdict is not Verdict.REACHABLE else []
    if verdict is not Verdict.BLOCKED:
        filtering = [
            entry for entry in trail if entry.hook in ("input", "forward", "prerouting", "output", "postrouting")
        ]
        allowed = [entry for entry in filtering if entry.kind in _ALLOWING and not entry.leg]
        if not any(entry.kind == "accept" for entry in allowed):
            policies = [
                e
                for e in filtering
                if e.kind == "policy-accept" and not e.leg and e.hook in ("input", "forward", "output")
            ]
            allowed += policies
        found = allowed + found
    if not found:
        text = "nothing on its way filters it" if verdict is Verdict.REACHABLE else "it cannot be decided"
        return (Cause(what="policy" if verdict is Verdict.REACHABLE else "unknown", text=text),)
    del bit
    return tuple(dict.fromkeys(_cause(entry) for entry in found))


def _cause(entry: Trail) -> Cause:
    if entry.table is None or entry.chain is None:
        return Cause(what=entry.kind, text=entry.text, answer=bool(entry.leg))
    family = entry.table.family
    if entry.rule is None:
        what = "policy" if entry.kind.startswith("policy") else "unknown"
        text = f"{_WORDS[entry.kind]} of chain {entry.chain.name}" if what == "policy" else entry.text
        return Cause(
            what=what, text=text, family=family, table=entry.table.name, chain=entry.chain.name, answer=bool(entry.leg)
        )
    return Cause(
        what="unknown" if entry.kind == "unknown" else "rule",
        text=entry.rule.text,
        family=family,
        table=entry.table.name,
        chain=entry.chain.name,
        handle=entry.rule.handle,
        answer=bool(entry.leg),
    )


def _step(entry: Trail, bit: int) -> Step:
    chain = f"{entry.table.family} {entry.table.name} {entry.chain.name}" if entry.table and entry.chain else ""
    text = entry.rule.text if entry.rule else (entry.text or _WORDS.get(entry.kind, entry.kind))
    if (
        entry.rule
        and entry.kind in ("jump", "goto", "return", "accept", "drop", "reject")
        and entry.kind not in text.lower()
    ):
        text = f"{text} ({entry.kind})"
    hook = f"{entry.leg} {entry.hook}" if entry.leg else entry.hook
    return Step(
        hook=hook, chain=chain, text=text, handle=entry.rule.handle if entry.rule else 0, maybe=not entry.sure & bit
    )


def _unknown(doubts: list[Doubt], bit: int) -> tuple[str, ...]:
    """Return what was undecided, each once, with the rule it stands in."""
    named: dict[str, None] = {}
    for doubt in doubts:
        if doubt.bits & bit:
            named[f"{doubt.text} in {doubt.place}: {doubt.rule.text}" if doubt.rule else doubt.text] = None
    return tuple(named)[:_MOST_UNKNOWN]


def _untraced(causes: tuple[Cause, ...]) -> tuple[str, ...]:
    """Return what is left to name where the ways part and none of the steps said why: the places at which they end."""
    return (f"which of these it meets: {'; '.join(cause.text for cause in causes)} ({UNTRACED})",)
