"""Walks all packets through chains at once: rules, jumps, verdict maps, policies, with what was certain and what both ways.

For every packet this keeps whether it may have ended (`ended`) and whether it may still be on its way; if both holds, it is undecided.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from analysis.firewall.cohort import Spread
from analysis.firewall.expressions import Expressions, Split
from analysis.firewall.fields import TRACKED, ZONES, Packets
from analysis.firewall.model import (
    AnyOf,
    Assign,
    Chain,
    Constant,
    Divert,
    Match,
    Maybe,
    NamedSet,
    Nat,
    Not,
    NoTrack,
    Rule,
    SetRef,
    Statement,
    Table,
    Unknown,
    Update,
    Verdict,
    VerdictMap,
)
from analysis.firewall.translating import Translator

_DEEPEST = 16
_NO_RULE = Rule(statements=(), text="")
_ZONES = frozenset(f"ct {direction}zone" for direction in ZONES)
_WRITABLE = frozenset(("ct mark", "ct label", "ct event", "ct helper", "ct secmark"))
_MOST_STEPS = 200_000


class Leg(StrEnum):
    """Which packet of a connection it is: the first, the answer to it, or the one that completes a TCP connection."""

    FIRST = ""
    ANSWER = "answer"
    THIRD = "third packet"


class Trail(NamedTuple):
    """One thing that happened: to which packets surely (`sure`) or perhaps (`may`, which holds `sure`).

    `kind` is accept, drop, reject, jump, goto, return, nat, set, policy-accept, policy-drop, or a `Cause.what` for what is no rule.
    """

    kind: str
    hook: str
    table: Table | None
    chain: Chain | None
    rule: Rule | None
    sure: int
    may: int
    text: str = ""
    leg: "Leg | None" = None


class Doubt(NamedTuple):
    """Something that was undecided for the packets in `bits`, in words."""

    bits: int
    text: str
    rule: Rule | None
    place: str


class _Frame:
    """One chain being walked. `sure` are packets that are certainly in it; `away` those that may have left it alive."""

    __slots__ = ("away", "chain", "returned", "sure")

    def __init__(self, chain: Chain, sure: int) -> None:
        self.chain = chain
        self.sure = sure
        self.returned = 0
        self.away = 0


class Walker:
    """Walks `packets`; `ended` gathers those that may have been dropped or taken, `refused` those that may have been rejected.

    `trail` is what happened, `doubts` what was open.
    """

    def __init__(
        self, packets: Packets, expressions: Expressions, translator: Translator, ipsets: Mapping[str, NamedSet]
    ) -> None:
        self.packets = packets
        self.expressions = expressions
        self.translator = translator
        self.ended = self.refused = 0
        self.trail: list[Trail] = []
        self.doubts: list[Doubt] = []
        self.hook = ""
        self.leg = Leg.FIRST
        self.initialised = {True: 0, False: 0}
        """Packets whose destination (True) or source (False) was up for translation already: it is only once."""
        self.unordered = 0
        """More than 0 while steps are tried in several orders: nothing that is remembered then may be taken for certain."""
        self._ipsets = ipsets
        self._table = Table(family="", name="", chains={})
        self._accepted = 0
        self._bound = self._bound_surely = 0
        self._steps = 0

    def find_set(self, ref: SetRef) -> NamedSet | None:
        """Return the set that a reference in the table now walked means."""
        return self._ipsets.get(ref.name) if ref.ipset else self._table.sets.get(ref.name)

    def note(self, kind: str, bits: int, text: str, *, may: int = 0) -> None:
        """Put on the trail what is no rule: routing, rp_filter, martian, forwarding …"""
        if bits | may:
            self.trail.append(Trail(kind, self.hook, None, None, None, bits, bits | may, text, self.leg))

    def doubt(self, bits: int, text: str, rule: Rule | None = None) -> None:
        """Name what could not be decided for `bits`."""
        if bits:
            self.doubts.append(Doubt(bits, text, rule, self._place() if rule else ""))

    def fates(self, step: Callable[[int], int], live: int) -> tuple[int, int]:
        """Run `step` on `live`; return who may come out of it alive and who may have ended in it."""
        ended, refused = self.ended, self.refused
        self.ended = self.refused = 0
        alive = step(live)
        here = (self.ended | self.refused) & live
        self.ended, self.refused = self.ended | ended, self.refused | refused
        return alive, here

    def _place(self) -> str:
        return f"{self._table.family.removeprefix('legacy-')} {self._table.name}"

    # ---- base chains

    def base(self, table: Table, chain: Chain, live: int, *, sure: int | None = None) -> int:
        """Walk `live` through a base chain and return those that may come out of it alive. `sure`: those that certainly enter it."""
        if not live:
            return 0
        self._table, self._accepted, self._steps = table, 0, 0
        sure, bound = live if sure is None else sure, self._bound
        if table.unsure:
            self.doubt(live, table.unsure)
            sure = 0
        if chain.unread:
            self._lost(chain, live)
        back = self._chain(chain, live, sure & ~self._bound, 0)
        policy = chain.base.policy if chain.base else "accept"
        alive = self._accepted
        if policy == "drop":
            self.ended |= back
            # Whether it surely came here, nobody needs to know: what comes out alive says it.
            self._trace("policy-drop", chain, None, back & ~self._accepted, back)
        else:
            alive |= back
            self._trace("policy-accept", chain, None, back & ~self._accepted, back)
        return alive | (live & ~sure) | (live & bound)

    def begin_nat(self, bound: int = 0, surely: int = 0) -> None:
        """Start the translations of one hook; `bound` are packets that may be translated already, `surely` those that are."""
        self._bound, self._bound_surely = bound, surely

    @property
    def bound(self) -> tuple[int, int]:
        """Packets that a translation may have bound since `begin_nat`, and those that one surely has."""
        return self._bound, self._bound_surely

    def _lost(self, chain: Chain, live: int) -> None:
        self.ended |= live
        self._accepted |= live
        text = f"chain {self._table.family} {self._table.name} {chain.name}: {chain.unread}"
        self._trace("unknown", chain, None, 0, live, text)
        self.doubt(live, text)

    def _trace(self, kind: str, chain: Chain | None, rule: Rule | None, sure: int, may: int, text: str = "") -> None:
        if may:
            self.trail.append(Trail(kind, self.hook, self._table, chain, rule, sure, may, text, self.leg))

    # ---- chains and rules

    def _chain(self, chain: Chain, live: int, sure: int, depth: int) -> int:
        """Walk one chain; return the packets that may reach its end or return from it."""
        if depth > _DEEPEST:
            self.ended |= live
            self._accepted |= live
            self.doubt(
                live,
                f"chain {self._table.family} {self._table.name} {chain.name}: jumps deeper than {_DEEPEST} or in a circle",
            )
            return live
        if chain.unread and depth:
            self._lost(chain, live)
        frame = _Frame(chain, sure)
        for rule in chain.rules:
            if not live:
                break
            self._steps += 1
            if self._steps > _MOST_STEPS:
                self.ended |= live
                self._accepted |= live
                self.doubt(live, f"table {self._table.family} {self._table.name}: more than {_MOST_STEPS} steps")
                break
            live = self._rule(rule, frame, live, depth)
        return live | frame.returned

    def _certain(self, frame: _Frame, bits: int) -> int:
        """Return those of `bits` of whom no possible way is anywhere else than here."""
        return bits & frame.sure & ~frame.returned & ~self._accepted & ~self._bound

    def _rule(self, rule: Rule, frame: _Frame, live: int, depth: int) -> int:
        """Apply one rule to `live`; return who may go on to the next one."""
        sure = may = live
        for statement in rule.statements:
            if isinstance(statement, Match):
                found = self.expressions.split(statement)
                undecided = found.hit & found.miss & may
                if undecided:
                    self.doubt(undecided, self.expressions.doubt(statement.left), rule)
                may &= found.hit
                sure &= found.hit & ~found.miss
            elif isinstance(statement, Verdict):
                return (live & ~sure) | self._act(statement, rule, frame, sure, may, depth)
            elif isinstance(statement, VerdictMap):
                return self._verdict_map(statement, rule, frame, live, sure, may, depth)
            elif isinstance(statement, Nat):
                return self._nat(statement, rule, frame, live, sure, may)
            elif isinstance(statement, Maybe | AnyOf | Not):
                sure, may = self._condition(statement, rule, sure, may)
            else:
                sure, may = self._effect(statement, rule, frame, sure, may)
            if not may:
                return live
        return live

    def _condition(self, statement: Statement, rule: Rule, sure: int, may: int) -> tuple[int, int]:
        """Return who surely and who perhaps meets a condition out of `sure` and `may`."""
        if isinstance(statement, Match):
            found = self.expressions.split(statement)
            self.doubt(found.hit & found.miss & may, self.expressions.doubt(statement.left), rule)
            return sure & found.hit & ~found.miss, may & found.hit
        if isinstance(statement, Maybe):
            self.doubt(may, statement.text, rule)
            return 0, may
        if isinstance(statement, AnyOf):
            any_sure = any_may = 0
            for option in statement.options:
                one_sure, one_may = self._all(option, rule, sure, may)
                any_sure, any_may = any_sure | one_sure, any_may | one_may
            return any_sure, any_may
        if isinstance(statement, Not):
            one_sure, one_may = self._all(statement.conditions, rule, may, may)
            return sure & ~one_may, may & ~one_sure
        self.doubt(may, getattr(statement, "text", type(statement).__name__), rule)
        return 0, may

    def meets(self, conditions: tuple[Statement, ...], bits: int) -> tuple[int, int]:
        """Return which of `bits` surely and which perhaps meet all conditions, which are no rule's; nothing is doubted."""
        doubts, self.doubts = self.doubts, []
        found = self._all(conditions, _NO_RULE, bits, bits)
        self.doubts = doubts
        return found

    def _all(self, conditions: tuple[Statement, ...], rule: Rule, sure: int, may: int) -> tuple[int, int]:
        for condition in conditions:
            sure, may = self._condition(condition, rule, sure, may)
        return sure, may

    # ---- verdicts

    def _act(self, verdict: Verdict, rule: Rule, frame: _Frame, sure: int, may: int, depth: int) -> int:
        """Do what a verdict says and return who of `may` may go on to the next rule all the same."""
        kind = verdict.kind
        if kind == "accept":
            self._trace("accept", frame.chain, rule, sure, may)
            self._accepted |= may
            return 0
        if kind in ("drop", "reject"):
            self._trace(kind, frame.chain, rule, sure, may)
            if kind == "drop":
                self.ended |= may
            else:
                self.refused |= may
            return 0
        if kind == "return":
            self._trace("return", frame.chain, rule, sure, may)
            frame.returned |= may
            return 0
        if kind in ("jump", "goto"):
            return self._jump(verdict, rule, frame, sure, may, depth)
        if kind == "continue":
            return may
        self._undecided(rule, frame, may, "a program decides (queue)" if kind == "queue" else kind)
        return 0 if kind == "queue" else may

    def _jump(self, verdict: Verdict, rule: Rule, frame: _Frame, sure: int, may: int, depth: int) -> int:
        target = self._table.chains.get(verdict.chain)
        if target is None:
            self._undecided(rule, frame, may, f"chain {verdict.chain} is not known")
            return may
        self._trace(verdict.kind, frame.chain, rule, sure, may, verdict.chain)
        back = self._chain(target, may, self._certain(frame, sure), depth + 1)
        if verdict.kind == "goto":
            frame.returned |= back
            return 0
        return back

    def _undecided(self, rule: Rule, frame: _Frame, may: int, text: str) -> None:
        """The packets may end here, be accepted, or go on."""
        self.ended |= may
        self._accepted |= may
        self._trace("unknown", frame.chain, rule, 0, may, text)
        self.doubt(may, text, rule)

    def _verdict_map(
        self, found: VerdictMap, rule: Rule, frame: _Frame, live: int, sure: int, may: int, depth: int
    ) -> int:
        """Apply a verdict map and return who may go on to the next rule."""
        key = self.expressions.value(found.key)
        index, unread, open_bits = self.expressions.index(found.where, found.key)
        verdicts: dict[Verdict, int] = {}
        missed = several = 0
        for value, bits in key.values.items():
            element = index.find(value) if bits & may else None
            if element is not None and isinstance(element.data, Verdict):
                verdicts[element.data] = verdicts.get(element.data, 0) | bits
            else:
                missed |= bits
        strange = may & (
            key.unknown | (missed if unread else 0) | (open_bits & key.present) | self._updated(found.where)
        )
        if strange:
            self._undecided(rule, frame, strange, self.expressions.doubt(found.key))
        taken = missed | strange
        for bits in verdicts.values():
            several |= taken & bits
            taken |= bits
        self.doubt(several & may, self.expressions.doubt(found.key), rule)
        rest = (live & ~sure) | (may & (missed | strange | ~key.present))
        for verdict, bits in verdicts.items():
            rest |= self._act(verdict, rule, frame, sure & bits & ~several, bits & may, depth)
        return rest

    def _updated(self, where: object) -> int:
        """Return the packets that may have changed a named set on their way."""
        if not isinstance(where, SetRef):
            return 0
        bits = 0
        for name, _, _, _, may, _ in self.packets.updates:
            bits |= may if name == where.name else 0
        return bits

    # ---- effects

    def _effect(self, statement: Statement, rule: Rule, frame: _Frame, sure: int, may: int) -> tuple[int, int]:
        if isinstance(statement, Assign):
            return self._assign(statement, rule, frame, sure, may)
        if isinstance(statement, NoTrack):
            fresh = self.packets.base[TRACKED].values.get(0, 0) & may
            here = self._certain(frame, sure)
            self.packets.assign(TRACKED, Spread({1: fresh}), fresh & here, fresh)
            self.packets.assign("ct state", Spread({64: fresh}), fresh & here, fresh)
            self._trace("set", frame.chain, rule, sure & fresh, fresh, "notrack")
        elif isinstance(statement, Update):
            if statement.conditions:
                sure, may = self._all(statement.conditions, rule, sure, may)
            values = self.expressions.value(statement.key)
            sure, may = sure & values.present, may & values.present
            known = self._certain(frame, sure) & ~values.unknown
            self.packets.updates.append((statement.name, statement.key, values, known, may, statement.delete))
        elif isinstance(statement, Divert | Unknown):
            self._undecided(rule, frame, may, statement.text)
            sure = 0
        return sure, may

    def _assign(self, statement: Assign, rule: Rule, frame: _Frame, sure: int, may: int) -> tuple[int, int]:
        self.expressions.partial = 0
        value = self.expressions.value(statement.value)
        self.doubt(self.expressions.partial & may, self.expressions.doubt(statement.value), rule)
        sure, may = sure & value.present & ~self.expressions.partial, may & value.present
        name = statement.field.name
        if name in _ZONES:
            self.packets.put_in_zone(name, value, self._certain(frame, sure), may)
            self._trace("set", frame.chain, rule, sure, may, f"{name} set {self._said(statement)}")
            return sure, may
        if name.startswith("ct ") and name not in _WRITABLE:
            return sure, may
        target = may
        if name.startswith("ct "):
            held = self.packets.base[TRACKED]
            target &= held.values.get(2, 0)  # without a connection there is nothing to write to
        elif (former := self.packets.get(name)) is not None and name.split(" ")[0] != "meta":
            target &= former.present
        if name == "ct label":
            value = Spread({}, value.present)
        plain = Spread(
            {one: bits for one, bits in value.values.items() if isinstance(one, int | str)},
            value.unknown | _odd(value),
        )
        self.packets.assign(name, plain, self._certain(frame, sure) & target, target)
        self._trace("set", frame.chain, rule, sure & target, target, f"{name} set {self._said(statement)}")
        return sure, may

    def _said(self, statement: Assign) -> str:
        """Return in words what a statement assigns."""
        value = statement.value
        return _shown(value.value) if isinstance(value, Constant) else self.expressions.doubt(value)

    def _nat(self, nat: Nat, rule: Rule, frame: _Frame, live: int, sure: int, may: int) -> int:
        certain = self._certain(frame, sure)
        self.expressions.partial = 0
        done = self.translator.apply(nat, self._table.family, self.hook, certain, may)
        if done.unsure & may:
            self.doubt(done.unsure & may, done.text, rule)
        doubtful = done.left | self.expressions.partial
        given = [self.expressions.doubt(one) for one in (nat.address, nat.port) if one is not None]
        self.doubt(self.expressions.partial & may, " . ".join(given), rule)
        sure, may, certain = sure & done.reached & ~doubtful, may & done.reached, certain & ~doubtful
        if done.dropped & may:
            self.ended |= done.dropped & may
            self._trace("drop", frame.chain, rule, sure & done.dropped, done.dropped & may, done.text)
        kept = may & ~done.dropped
        self._trace("nat", frame.chain, rule, sure & kept, kept)
        self._accepted |= kept
        self._bound |= kept
        self._bound_surely |= certain & kept
        return live & ~sure


def _odd(value: Spread) -> int:
    bits = 0
    for one, had in value.values.items():
        if not isinstance(one, int | str):
            bits |= had
    return bits


def _shown(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) else value


__all__ = ["Doubt", "Leg", "Split", "Trail", "Walker"]
