"""A ruleset made ready for the engine: all that is worked out of the rules before the first packet, in a form that can be kept."""

from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from msgspec.structs import replace

from collectors.traffic.rules.engine import needs, spoken
from collectors.traffic.rules.engine.buffers import BufferFilters
from collectors.traffic.rules.engine.kept import KeptBuffer, KeptOpen, KeptPrefilters
from collectors.traffic.rules.engine.lasting import again_at
from collectors.traffic.rules.engine.lookups import Loaded
from collectors.traffic.rules.engine.needs import NeedTable
from collectors.traffic.rules.engine.plan import IP_ONLY, PACKET, TRANSACTION, Compiled, order
from collectors.traffic.rules.engine.prefilters import Prefilters
from collectors.traffic.rules.engine.sets import HeaderSets, RatedKey, common
from collectors.traffic.rules.language.rule import (
    Addresses,
    BufferTest,
    Datarep,
    Dataset,
    FieldTest,
    IpRep,
    Ports,
    Rule,
    StreamSize,
)
from collectors.traffic.rules.lists import lookups
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from contracts.record import Record


class Prepared(Record):
    """A ruleset made ready. Rules have numbers: their order. `rules` are theirs in msgpack, one behind the other, `ends` where each ends.

    `listed`: rules about addresses alone, with their headers; `unlisted`: rules about packets that no pattern stands for. `counting`,
    `sizing`: some rule asks for a flow's packets or bytes, for a stream's size. `streaming`: the rules that look at streams. `spoken`: the
    headers of rules about transactions, by protocol. `lists`: what the lists that rules name hold. `rated`: which addresses tests of
    reputation mean. `again`: rules that speak while a step lasts.
    """

    rules: bytes
    ends: bytes
    addresses: list[Addresses]
    ports: list[Ports]
    headers: list[tuple[int, int, int, int]]
    needs: NeedTable
    packets: KeptPrefilters
    buffers: list[KeptBuffer]
    open_buffers: list[KeptOpen]
    listed: list[tuple[int, int]]
    unlisted: list[int]
    asked: list[int]
    counting: bool
    sizing: bool
    streaming: list[int]
    spoken: dict[str, list[int]]
    lists: list[Loaded] = []
    rated: list[tuple[RatedKey, Addresses]] = []
    again: list[int] = []

    def __len__(self) -> int:
        return len(self.ends) // 8


class Later:
    """The compiled tests of one buffer, compiled when they are first needed: of a large ruleset most never are."""

    __slots__ = ("_match", "_rule", "_test")

    def __init__(self, test: BufferTest, rule: Rule) -> None:
        self._test = test
        self._rule = rule
        self._match: Matcher | None = None

    def __call__(self, data: bytes | None, state: State, begin: int = 0, whole: bool = True) -> bool:
        """Return whether the buffer passes, as `Matcher` does."""
        if self._match is None:
            self._match = Matcher(self._test, self._rule.base64)
        return self._match(data, state, begin, whole)


def _now(test: BufferTest, rule: Rule) -> Matcher:
    """Return the compiled tests of one buffer, of a rule that is about to be evaluated."""
    return Matcher(test, rule.base64)


def prepare(rules: Iterable[Rule]) -> Prepared:
    """Make rules ready that `checking` has found good."""
    sets = HeaderSets()
    compiled = [Compiled(rule, sets, Later) for rule in rules]
    for one in compiled:
        _narrow(one, sets)
    order(compiled)
    encoder = msgspec.msgpack.Encoder()
    lists = _lists(compiled)
    encoded = [encoder.encode(_without(one.rule)) for one in compiled]
    buffers, open_buffers = BufferFilters(compiled).keep()
    tests = [test for one in compiled for test in one.rule.tests]
    return Prepared(
        rules=b"".join(encoded),
        ends=np.cumsum([len(one) for one in encoded], dtype=np.int64).tobytes(),
        addresses=list(sets.address_of),
        ports=list(sets.port_of),
        headers=sets.headers,
        needs=needs.table(compiled),
        packets=Prefilters(compiled).keep(),
        buffers=buffers,
        open_buffers=open_buffers,
        listed=[(one.order, one.header if one.header_back < 0 else -1) for one in compiled if one.kind == IP_ONLY],
        unlisted=[one.order for one in compiled if one.kind == PACKET and one.fast is None],
        asked=_asked(compiled, sets),
        counting=any(isinstance(test, FieldTest) and test.name in ("flow.pkts", "flow.bytes") for test in tests),
        sizing=any(isinstance(test, StreamSize) for test in tests),
        streaming=[one.order for one in compiled if _follows(one)],
        spoken=spoken.headers(compiled),
        lists=lists,
        rated=list(sets.rated_of.items()),
        again=[one.order for one in compiled if again_at(one) >= 0],
    )


def _follows(one: Compiled) -> bool:
    """Return whether a rule looks at bytes of streams."""
    return one.payload is not None and (one.requires_stream or one.kind == TRANSACTION)


def _narrow(one: Compiled, sets: HeaderSets) -> None:
    """Narrow the header, by which candidates are found, to the lists of reputation that the rule asks for."""
    rule, ends, either = one.rule, [one.rule.source, one.rule.destination], None
    tests = [test for test in rule.tests if isinstance(test, IpRep) and test.op != "isnotset"]
    if not tests or one.header_back >= 0 or one.within_tx:
        return
    for test in tests:
        assert test.listed is not None  # else it would not have been compiled
        if test.side == "any":
            either = test.listed
        for side, name in enumerate(("src", "dst")):
            if test.side in (name, "both"):
                ends[side] = common(ends[side], test.listed)
    if either is not None:
        one.header_back = sets.add(ends[0], rule.source_ports, common(ends[1], either), rule.destination_ports)
        ends[0] = common(ends[0], either)
    one.header = sets.add(ends[0], rule.source_ports, ends[1], rule.destination_ports)


def _lists(compiled: list[Compiled]) -> list[Loaded]:
    """Return what the lists of all rules hold, each once."""
    found: dict[tuple[str, bool], Loaded] = {}
    for one in compiled:
        for match in lookups(one.rule):
            rated = isinstance(match, Datarep)
            kept = isinstance(match, Dataset) and bool(match.state)
            if match.values or kept:
                filled = kept and not match.load
                found[match.name, rated] = Loaded(
                    name=match.name,
                    rated=rated,
                    values=match.values,
                    type=match.type,
                    kept=kept,
                    lasting=filled and isinstance(match, Dataset) and not match.save_only,
                    filled=filled,
                )
    return list(found.values())


def _without(rule: Rule) -> Rule:
    """Return a rule without the values of its lists: they are kept beside the rules, once."""
    if any(isinstance(test, IpRep) for test in rule.tests):
        tests = [replace(test, listed=None) if isinstance(test, IpRep) else test for test in rule.tests]
        rule = replace(rule, tests=tests)
    if not any(match.values for match in lookups(rule)):
        return rule

    def bare(test: BufferTest | None) -> BufferTest | None:
        if test is None:
            return None
        matches = [replace(one, values={}) if isinstance(one, Datarep | Dataset) else one for one in test.matches]
        return replace(test, matches=matches)

    buffers = [one for one in map(bare, rule.buffers) if one is not None]
    return replace(rule, payload=bare(rule.payload), base64=bare(rule.base64), buffers=buffers)


def _asked(compiled: list[Compiled], sets: HeaderSets) -> list[int]:
    """Return the address sets of the headers that are held against many packets, but for those of lists."""
    open_rules = [one for one in compiled if one.kind != IP_ONLY or one.header_back >= 0]
    headers = {header for one in open_rules for header in (one.header, one.header_back) if header >= 0}
    return sorted({number for header in headers for number in (sets.headers[header][0], sets.headers[header][2])})


class Book:
    """The rules of a prepared set by their number, each read and compiled when it is first needed."""

    def __init__(self, prepared: Prepared) -> None:
        self.sets = HeaderSets()
        self.sets.restore(prepared.addresses, prepared.ports, prepared.headers)
        self.sets.rated_of = dict(prepared.rated)
        self._rules = prepared.rules
        self._ends = np.frombuffer(prepared.ends, np.int64)
        self._decode: Callable[[bytes], Rule] = msgspec.msgpack.Decoder(Rule).decode
        self.known: dict[int, Compiled] = {}
        """The rules that have been needed."""

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> Compiled:
        """Return a rule by its number."""
        found = self.known.get(number)
        if found is None:
            begin = int(self._ends[number - 1]) if number else 0
            rule = self._decode(self._rules[begin : int(self._ends[number])])
            found = self.known[number] = Compiled(rule, self.sets, _now)
            found.order = number
        return found
