"""What a rule is to the engine: when it is looked at, what has to hold before its bytes are, and which pattern stands for it."""

from collections.abc import Callable

from collectors.traffic.protocols import names
from collectors.traffic.rules.engine.patterns import Pattern
from collectors.traffic.rules.engine.sequences import sequences
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.tests import (
    FAMILIES,
    Check,
    Unsupported,
    check,
    flow_check,
    fragment_check,
    of_packet,
    rated,
)
from collectors.traffic.rules.engine.transactions import (
    AT_A_TIME,
    TimedCheck,
    TxCheck,
    is_of_transaction,
    timed_check,
    tx_check,
)
from collectors.traffic.rules.engine.view import BUFFERS as PACKET_BUFFERS
from collectors.traffic.rules.engine.view import Packet
from collectors.traffic.rules.language.protocols import APPLICATION
from collectors.traffic.rules.language.rule import (
    AppProtocol,
    BufferTest,
    Content,
    EventTest,
    FieldTest,
    FlagsTest,
    FlowBits,
    FlowInt,
    IpRep,
    Rule,
    State,
    StreamSize,
    Transform,
    WordTest,
    XBits,
)

IP_ONLY, PACKET, TRANSACTION = range(3)
"""When a rule is looked at: once for each direction of a flow; for packets and stream; for transactions."""

BOTH, TO_SERVER, TO_CLIENT = -1, 0, 1

LAST_STEP = 255

LONGEST = 128
"""Bytes of a literal that are looked for: rules about certificates begin with the same fifty."""
WEAK = 8
"""A literal of so many bytes may be met by chance."""
NEAR = 160
"""Bytes that count as the beginning of a payload."""
COMMON = {0x00: 0.1, 0x01: 0.4, 0x02: 0.6, 0x03: 0.6, 0xFF: 0.6, 0x20: 0.7}
"""What bytes say that are met in any binary protocol, against 1 for others."""
AUTHOR = 1.5
"""What it says for a pattern that the rule's author or its length has chosen: other traffic than this one is known to them."""

_NUMBERS: dict[str, tuple[int, ...]] = {
    "tcp": (6,),
    "tcp-pkt": (6,),
    "tcp-stream": (6,),
    "udp": (17,),
    "icmp": (1, 58),
    "icmpv6": (58,),
    "sctp": (132,),
    "igmp": (2,),
    "gre": (47,),
    "esp": (50,),
}
_TRANSPORT = {"tcp": (6,), "udp": (17,), "both": (6, 17)}
_LOOKS = frozenset({"isset", "isnotset", "notset", "<", "<=", "==", "!=", ">=", ">"})

BufferCheck = Callable[..., bool]
Compiler = Callable[[BufferTest, Rule], BufferCheck]


class BufferPart:
    """One buffer test, on which side's buffer it is made, and the progress from which that buffer is whole."""

    __slots__ = ("absent", "key", "match", "name", "side", "whole")

    def __init__(self, test: BufferTest, match: BufferCheck) -> None:
        known = names.BUFFERS.get(test.buffer)
        self.name = test.buffer
        self.match = match
        self.side = {"to_server": TO_SERVER, "to_client": TO_CLIENT}.get(test.direction, BOTH)
        self.whole = known.whole if known is not None else 0
        self.key = (test.buffer, test.transforms)
        self.absent = any(type(one).__name__ == "Absent" for one in test.matches)


class Compiled:
    """A rule with all that the engine works out once. `order` is its place among all rules; the lower, the earlier it is looked at.

    `literal` is in every payload that passes (b"": not known). `bits` and `looks` are the states that it asks for; `of_packet`: the end of
    a flow in the place of a packet cannot pass it. `reach`: a side, and its first and last step of `app-layer-state`.
    """

    __slots__ = (
        "app_tests",
        "applications",
        "bits",
        "changes",
        "checks",
        "detected_only",
        "direction",
        "events",
        "families",
        "fast",
        "fast_key",
        "flow",
        "header",
        "header_back",
        "headers",
        "hook_progress",
        "kind",
        "literal",
        "looks",
        "of_packet",
        "order",
        "packet_parts",
        "parts",
        "payload",
        "protocols",
        "reach",
        "requires_packet",
        "requires_stream",
        "rule",
        "timed",
        "tx_checks",
        "within_tx",
    )

    def __init__(self, rule: Rule, sets: HeaderSets, compile_buffer: Compiler) -> None:
        self.rule = rule
        self.order = 0
        self.protocols, self.families = _layers(rule)
        self.header = sets.add(rule.source, rule.source_ports, rule.destination, rule.destination_ports)
        self.header_back = -1
        if rule.direction == "<>":
            self.header_back = sets.add(rule.destination, rule.destination_ports, rule.source, rule.source_ports)
        self.applications = _applications(rule)
        self.within_tx = rule.direction == "=>"
        self._state(rule)
        self._tests(rule, sets)
        self.packet_parts = [
            BufferPart(test, compile_buffer(test, rule)) for test in rule.buffers if test.buffer in PACKET_BUFFERS
        ]
        self.parts = [
            BufferPart(test, compile_buffer(test, rule)) for test in rule.buffers if test.buffer not in PACKET_BUFFERS
        ]
        self.payload = compile_buffer(rule.payload, rule) if rule.payload is not None else None
        self.hook_progress = _hook(rule)
        self.kind = self._kind(rule)
        self.direction = self._direction(rule)
        self._payload_needs(rule)
        self.of_packet = self.headers or (self.requires_packet and not self.requires_stream)
        self.fast: Pattern | None = None
        self.fast_key: tuple[str, tuple[Transform, ...]] | None = None
        self.literal = _literal(rule.payload) if rule.payload is not None and self.kind == TRANSACTION else b""
        self._choose(rule)

    def _state(self, rule: Rule) -> None:
        looks = [state for state in rule.state if state.cmd in _LOOKS]
        self.bits = [state for state in looks if isinstance(state, FlowBits)]
        self.looks: list[FlowInt | XBits] = [state for state in looks if not isinstance(state, FlowBits)]
        self.changes: list[State] = [state for state in rule.state if state.cmd not in _LOOKS]

    def _tests(self, rule: Rule, sets: HeaderSets) -> None:
        self.checks: list[Check] = []
        self.headers = False
        if rule.protocol == "arp":
            self.checks.append(_is_arp)
        if rule.hook == "flow_start":
            self.checks.append(lambda packet: packet.begins)
        self.flow = flow_check(rule.flow) if rule.flow is not None else None
        if rule.flow is not None and (found := fragment_check(rule.flow)) is not None:
            self.checks.append(found)
        self.tx_checks: list[TxCheck] = []
        self.timed: list[TimedCheck] = []
        self.reach: list[tuple[int, int, int]] = []
        self.app_tests: list[AppProtocol] = []
        self.events: list[str] = []
        for test in rule.tests:
            if isinstance(test, AppProtocol):
                self.app_tests.append(test)
            elif isinstance(test, EventTest) and test.layer == "app-layer" and test.name.startswith("applayer_"):
                self.events.append(test.name)
            elif isinstance(test, WordTest) and test.name == "app-layer-state":
                self.reach.append(_reach(rule, test))
            elif isinstance(test, WordTest) and test.name in AT_A_TIME:
                self.timed.append(timed_check(test))
            elif is_of_transaction(test):
                self.tx_checks.append(tx_check(test))
            elif isinstance(test, IpRep):
                if (listed := sets.rated(test)) is None:
                    raise Unsupported(f"iprep: no list of the category {test.category} has been read")
                self.checks.append(rated(test, listed))
                self.headers = True
            else:
                self.checks.append(check(test))
                self.headers = self.headers or of_packet(test)
        others = len(rule.tests) - len(self.app_tests)
        self.detected_only = bool(self.app_tests) and not others and rule.payload is None and not rule.buffers

    def _kind(self, rule: Rule) -> int:
        tracks_tx = any(isinstance(state, XBits) and state.track == "tx" for state in rule.state)
        if (
            self.parts
            or self.tx_checks
            or self.timed
            or self.reach
            or self.hook_progress is not None
            or tracks_tx
            or self.within_tx
        ):
            return TRANSACTION
        plain = not (rule.payload or rule.buffers or rule.tests or rule.flow or rule.app_protocol or rule.hook)
        if (plain or _only_ip(rule)) and all(_once(state) for state in rule.state):
            return IP_ONLY
        return PACKET

    def _direction(self, rule: Rule) -> int:
        if rule.flow is not None and rule.flow.direction:
            return TO_CLIENT if rule.flow.direction == "to_client" else TO_SERVER
        if self.within_tx:
            return BOTH
        if self.hook_progress is not None:
            return self.hook_progress[0]
        if self.reach:
            return self.reach[0][0]
        sides = {part.side for part in self.parts} - {BOTH}
        return sides.pop() if len(sides) == 1 else BOTH

    def _payload_needs(self, rule: Rule) -> None:
        """Work out whether the payload's tests are for packets, the stream, or both (as Suricata's SigValidate does for TCP)."""
        self.requires_packet = rule.protocol == "tcp-pkt" or any(_needs_packet(test) for test in rule.tests)
        self.requires_stream = rule.protocol == "tcp-stream"
        if rule.flow is not None and rule.flow.stream == "only_stream":
            self.requires_stream = True
        if rule.flow is not None and rule.flow.stream == "no_stream":
            self.requires_packet = True
        if rule.payload is None or not (self.requires_packet or self.requires_stream):
            self.requires_packet = self.requires_packet or bool(self.packet_parts)
        if rule.payload is not None and not (self.requires_packet or self.requires_stream):
            self.requires_stream = True
            self.requires_packet = any(isinstance(test, StreamSize) for test in rule.tests) or any(
                isinstance(match, Content) and (match.offset is not None or match.depth is not None)
                for match in rule.payload.matches
            )

    def _choose(self, rule: Rule) -> None:
        """Choose the pattern that stands for the rule: the one it asks for, else the longest, in short buffers sooner than in long ones."""
        best = -1000.0
        tests = rule.buffers if self.kind == TRANSACTION else []
        for test in [*tests, *([rule.payload] if rule.payload is not None and self.kind == PACKET else [])]:
            if test.buffer in PACKET_BUFFERS or _has_absent(test):
                continue
            for match in test.matches:
                if not isinstance(match, Content) or match.negated or not match.pattern:
                    continue
                worth = _worth(test, match)
                if worth > best:
                    best = worth
                    self.fast = _pattern(match)
                    self.fast_key = (test.buffer, test.transforms)
        if self.kind == PACKET and self.fast is not None and rule.payload is not None and not rule.payload.transforms:
            self._combine(rule.payload)

    def _combine(self, test: BufferTest) -> None:
        """Let several contents at fixed places stand for the rule, if the pattern is weak and they are stronger."""
        assert self.fast is not None
        if self.fast.span > WEAK:
            return
        chosen, best = self.fast, _strength(self.fast, self.fast.literal)
        for pattern, named in sequences(test):
            strength = _strength(pattern, named) - (0.0 if chosen.literal in named else AUTHOR)
            if strength > best:
                best, self.fast = strength, pattern
        if self.fast is not chosen and not chosen.nocase:
            self.literal = chosen.literal


def _is_arp(packet: Packet) -> bool:
    return bool(packet.arp)


def _literal(test: BufferTest) -> bytes:
    """Return the longest bytes that are in every buffer that passes, b"" for none."""
    if test.transforms:
        return b""
    contents = [
        match for match in test.matches if isinstance(match, Content) and not match.negated and not match.nocase
    ]
    return max((match.pattern for match in contents), key=len, default=b"")


def _strength(pattern: Pattern, named: bytes) -> float:
    """Return how seldom a pattern that names these bytes is met by chance: zeros are everywhere, the beginning is one place of many."""
    worth = sum(COMMON.get(byte, 1.0) for byte in named)
    return worth + (1.5 if 0 < pattern.last <= NEAR else 0.0)


def _layers(rule: Rule) -> tuple[frozenset[int] | None, frozenset[int]]:
    """Return the IP protocols (None: any) and the families (0: no IP) of a rule's header."""
    word = rule.protocol
    families = frozenset({4, 6})
    if word == "pkthdr":
        return None, frozenset({0, 4, 6})
    if word == "ether":
        return None, frozenset({0, 4, 6})
    if word == "arp":
        return None, frozenset({0})
    if word in ("ipv4", "ipv6"):
        return None, frozenset({4 if word == "ipv4" else 6})
    if word in APPLICATION:
        return frozenset(_TRANSPORT[APPLICATION[word]]), families
    return (frozenset(_NUMBERS[word]) if word in _NUMBERS else None), families


def _applications(rule: Rule) -> frozenset[str] | None:
    """Return the conversations' protocols that a rule is for, None for any."""
    word = rule.app_protocol
    if not word:
        return None
    if word in names.PROTOCOLS:
        return names.PROTOCOLS[word] or frozenset({word})
    return frozenset(FAMILIES.get(word, (word,)))


def _hook(rule: Rule) -> tuple[int, int] | None:
    """Return side and progress that a hook of an application protocol waits for."""
    if not rule.hook or rule.protocol not in APPLICATION:
        return None
    return _step(rule, rule.hook)


def _step(rule: Rule, name: str) -> tuple[int, int]:
    """Return side and progress that a state of the rule's protocol means."""
    for side, steps in enumerate(names.progress("http" if rule.protocol == "http1" else rule.protocol)):
        if name in steps:
            return side, steps.index(name)
    for side, steps in enumerate(names.STEPS):
        if name in steps:
            return side, steps.index(name)
    raise Unsupported(f"{rule.protocol}:{name} is not a state that the parser knows")


def _reach(rule: Rule, test: WordTest) -> tuple[int, int, int]:
    """Return the side that `app-layer-state` is about, and between which steps it has to be."""
    side, step = _step(rule, test.words[1])
    return (side, 0, step - 1) if test.words[0] == "<" else (side, step + 1, LAST_STEP)


def _only_ip(rule: Rule) -> bool:
    """Return whether only addresses are looked at: such a rule speaks once for each direction of a flow."""
    if (
        rule.payload is not None
        or rule.buffers
        or rule.app_protocol
        or rule.hook
        or rule.protocol in ("tcp-pkt", "tcp-stream", "pkthdr")
    ):
        return False
    if not (rule.source_ports.any and rule.destination_ports.any) or rule.flow is not None:
        return False
    return all(type(test).__name__ in ("IpProto", "IpRep") for test in rule.tests)


def _once(state: State) -> bool:
    """Return whether looking once in each direction of a flow is enough for a state: not when it asks for what other packets change."""
    return not isinstance(state, FlowInt) and not (isinstance(state, FlowBits) and state.cmd in _LOOKS)


def _needs_packet(test: object) -> bool:
    if isinstance(test, FlagsTest):
        return True
    return isinstance(test, FieldTest) and (test.name == "dsize" or test.name.startswith("tcp."))


def _has_absent(test: BufferTest) -> bool:
    return any(type(match).__name__ == "Absent" for match in test.matches)


_LONG = frozenset(
    {"file.data", "http.response_body", "http.request_body", "http.header", "http.header.raw", "http.header_names"}
)


def _worth(test: BufferTest, match: Content) -> float:
    if match.fast_pattern:
        return 1000.0
    pattern = match.pattern
    worth = float(len(pattern)) + len(set(pattern)) * 0.5
    if test.buffer in (
        "http.method",
        "http.protocol",
        "http.stat_code",
        "http.accept",
        "http.connection",
        "http.accept_enc",
    ):
        worth -= 12
    return worth - 4 if test.buffer in _LONG else worth


def _pattern(match: Content) -> Pattern:
    literal, last = match.pattern, 0
    if isinstance(match.depth, int) and not match.relative and not isinstance(match.offset, str):
        last = match.depth
    if match.chop is not None:
        literal = literal[match.chop[0] : match.chop[0] + match.chop[1]]
    return Pattern(literal[:LONGEST], match.nocase, last)


_ACTIONS = {"pass": 0, "drop": 1, "reject": 2, "rejectsrc": 2, "rejectdst": 2, "rejectboth": 2}


def order(compiled: list[Compiled]) -> None:
    """Give all rules their `order`: by action, then who sets before who asks, then priority, as Suricata does."""

    def key(one: Compiled) -> tuple[int, ...]:
        asks = [_uses([*one.bits, *one.looks], kind) for kind in ("FlowBits", "FlowInt", "XBits")]
        sets = [_uses(one.changes, kind) for kind in ("FlowBits", "FlowInt", "XBits")]
        ranks = [0 if put and not ask else 1 if put else 2 if ask else 3 for put, ask in zip(sets, asks, strict=True)]
        return (_ACTIONS.get(one.rule.action, 3), *ranks, one.rule.priority)

    compiled.sort(key=key)
    for number, one in enumerate(compiled):
        one.order = number


def _uses(states: list[State], kind: str) -> bool:
    return any(type(state).__name__ == kind for state in states)
