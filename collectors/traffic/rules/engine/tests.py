"""Tests of a packet beside its payload: keywords of headers, flows, streams and events, each made into a function of the packet."""

import struct
from collections.abc import Callable

from collectors.traffic.decode import table as columns
from collectors.traffic.decode.events import BITS
from collectors.traffic.rules.engine.fields import FIELDS, Field
from collectors.traffic.rules.engine.sets import AddressSet
from collectors.traffic.rules.engine.view import TCP, UDP, Packet
from collectors.traffic.rules.language.rule import (
    AppProtocol,
    EventTest,
    FieldTest,
    FlagsTest,
    Flow,
    IpProto,
    IpRep,
    StreamSize,
    Test,
    WordTest,
)

Check = Callable[[Packet], bool]

_CALL = struct.Struct("!4x5I")
"""Of a call: its number (passed over), kind, version of RPC, program, version, procedure."""

IP_OPTIONS = {
    "rr": 7,
    "lsrr": 131,
    "lsrre": 131,
    "eol": 0,
    "nop": 1,
    "ts": 68,
    "sec": 130,
    "ssrr": 137,
    "satid": 136,
    "esec": 133,
    "qs": 25,
    "cipso": 134,
    "rtralt": 148,
}


class Unsupported(Exception):
    """The engine cannot evaluate this rule; the message says which keyword."""


def check(test: Test) -> Check:
    """Return the function of a test; raises `Unsupported`."""
    if isinstance(test, FieldTest):
        return _field(test)
    if isinstance(test, FlagsTest):
        return _flags(test)
    if isinstance(test, IpProto):
        return _ip_proto(test)
    if isinstance(test, StreamSize):
        return _stream_size(test)
    if isinstance(test, EventTest):
        return _event(test)
    if isinstance(test, WordTest):
        return _word(test)
    raise Unsupported(f"{type(test).__name__} is not a test of a packet")


def rated(test: IpRep, listed: AddressSet) -> Check:
    """Return the function of a test of reputation, by the addresses for which it holds (that have a score, for `isset` and `isnotset`)."""
    wanted = test.op != "isnotset"

    def source(packet: Packet) -> bool:
        return packet.family != 0 and listed.has(packet.family, packet.source) == wanted

    def destination(packet: Packet) -> bool:
        return packet.family != 0 and listed.has(packet.family, packet.destination) == wanted

    match test.side:
        case "src":
            return source
        case "dst":
            return destination
        case "both":
            return lambda packet: source(packet) and destination(packet)
    return lambda packet: source(packet) or destination(packet)


def of_packet(test: Test) -> bool:
    """Return whether a test reads the packet itself, so that a flow's end in the place of a packet cannot pass it."""
    return not (isinstance(test, StreamSize) or (isinstance(test, FieldTest) and test.name.startswith("flow.")))


def flow_check(flow: Flow) -> Check | None:
    """Return the function of the `flow` keyword, without its parts about streams (`only_stream`, `no_stream`) and fragments."""
    checks: list[Check] = []
    if flow.direction:
        client = flow.direction == "to_client"
        checks.append(lambda packet: packet.slot >= 0 and packet.to_client == client)
    if flow.state == "established":
        checks.append(lambda packet: packet.established)
    elif flow.state == "not_established":
        checks.append(lambda packet: packet.slot >= 0 and not packet.established)
    return _all(checks) if checks else None


def fragment_check(flow: Flow) -> Check | None:
    """Return the function of the part of `flow` that is about fragments."""
    if not flow.fragment:
        return None
    wanted = flow.fragment == "only_frag"
    return lambda packet: bool(packet.flags & columns.REASSEMBLED) == wanted


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    return lambda packet: all(one(packet) for one in checks)


def _field(test: FieldTest) -> Check:
    if test.name in ("flow.pkts", "flow.bytes"):
        return _flow_count(test)
    if test.name == "vlan.id":
        return _vlan(test)
    field: Field | None = FIELDS.get(test.name)
    if field is None:
        raise Unsupported(f"{test.name} is not evaluated")
    holds = test.number.holds

    def of_field(packet: Packet) -> bool:
        value = field(packet)
        return value is not None and holds(value)

    return of_field


def _flow_count(test: FieldTest) -> Check:
    what, holds, side = test.name.partition(".")[2], test.number.holds, test.index

    def count(packet: Packet) -> bool:
        if packet.slot < 0:
            return False
        server, client = packet.counted(what, False), packet.counted(what, True)
        match side:
            case "toserver":
                return holds(server)
            case "toclient":
                return holds(client)
            case "either":
                return holds(server) or holds(client)
        return holds(server + client)

    return count


def _vlan(test: FieldTest) -> Check:
    holds, index = test.number.holds, test.index

    def vlan(packet: Packet) -> bool:
        count, word = int(packet.table.vlan_count[packet.row]), int(packet.table.vlan[packet.row])
        ids = [word >> 16 * place & 0xFFFF for place in range(min(count, 3))]
        if index in ("", "any"):
            return any(holds(one) for one in ids)
        if index == "all":
            return bool(ids) and all(holds(one) for one in ids)
        place = int(index)
        return -len(ids) <= place < len(ids) and holds(ids[place])

    return vlan


def _flags(test: FlagsTest) -> Check:
    if "flags" in test.name:
        return lambda packet: (
            packet.protocol == TCP
            and bool(packet.flags & columns.TRANSPORT)
            and _bits(test, int(packet.table.tcp_flags[packet.row]))
        )

    def fragbits(packet: Packet) -> bool:
        # The header's three bits from the top: reserved, don't fragment, more fragments.
        word = packet.word(6, 2, packet.header3) if packet.family == 4 else None
        return word is not None and _bits(test, word >> 13)

    return fragbits


def _bits(test: FlagsTest, value: int) -> bool:
    value &= ~test.ignored
    match test.op:
        case "+":
            return value & test.bits == test.bits
        case "*":
            return value & test.bits != 0
        case "!":
            return value & test.bits != test.bits if test.bits else value != 0
    return value == test.bits


def _ip_proto(test: IpProto) -> Check:
    number = test.number
    match test.op:
        case "!":
            return lambda packet: packet.family != 0 and packet.protocol != number
        case "<":
            return lambda packet: packet.family != 0 and packet.protocol < number
        case ">":
            return lambda packet: packet.family != 0 and packet.protocol > number
    return lambda packet: packet.family != 0 and packet.protocol == number


def _stream_size(test: StreamSize) -> Check:
    holds, side = test.number.holds, test.side

    def size(packet: Packet) -> bool:
        if packet.protocol != TCP or packet.slot < 0 or packet.sizes is None:
            return False
        client, server = packet.sizes
        match side:
            case "client":
                return holds(client)
            case "server":
                return holds(server)
            case "either":
                return holds(client) or holds(server)
        return holds(client) and holds(server)

    return size


def _event(test: EventTest) -> Check:
    name = test.name
    if test.layer == "stream":
        return lambda packet: name in packet.stream_events
    if test.layer != "decode":
        raise Unsupported(f"{test.layer}-event:{name} is not a test of a packet")
    bit = BITS.get(name)
    if bit is None:
        raise Unsupported(f"decode-event:{name} is not recognised by the decoder")
    word, mask = bit // 64, 1 << bit % 64
    return lambda packet: bool(int(packet.table.events[packet.row, word]) & mask)


def _word(test: WordTest) -> Check:
    negated = test.negated
    match test.name:
        case "sameip":
            return lambda packet: packet.family != 0 and packet.source == packet.destination
        case "ipopts":
            kinds = {IP_OPTIONS.get(word, -1) for word in test.words}
            if "any" in test.words:
                return lambda packet: bool(packet.ip_options)
            return lambda packet: bool(kinds & set(packet.ip_options)) != negated
        case "l3_proto":
            families = {4 if word in ("ipv4", "ip4") else 6 for word in test.words}
            return lambda packet: (packet.family in families) != negated
        case "tcpv4-csum" | "tcpv6-csum" | "udpv4-csum" | "udpv6-csum" | "icmpv4-csum" | "icmpv6-csum" | "ipv4-csum":
            return _checksum(test)
        case "rpc":
            return _rpc(test.words)
    raise Unsupported(f"{test.name} is not evaluated")


def _rpc(words: tuple[str, ...]) -> Check:
    """Return the function of `rpc`: a call (RFC 5531) of that program, version and procedure; over TCP behind the mark of its record."""
    wanted = [None if word == "*" else int(word) for word in words]

    def call(packet: Packet) -> bool:
        data = packet.payload[4:] if packet.protocol == TCP else packet.payload
        if packet.protocol not in (TCP, UDP) or len(data) < _CALL.size:
            return False
        kind, version, *named = _CALL.unpack_from(data)
        return (
            kind == 0 and version == 2 and all(want in (None, have) for want, have in zip(wanted, named, strict=False))
        )

    return call


def _checksum(test: WordTest) -> Check:
    layer = test.name.partition("-")[0]
    bit = columns.BAD_IP_CHECKSUM if layer == "ipv4" else columns.BAD_CHECKSUM
    family = 6 if layer.endswith("v6") else 4
    protocol = {"tcp": 6, "udp": 17, "icmpv4": 1, "icmpv6": 58}.get(
        layer.removesuffix("v4").removesuffix("v6") if layer[:4] != "icmp" else layer
    )
    invalid = "invalid" in test.words

    def checksum(packet: Packet) -> bool:
        if packet.family != family or (protocol is not None and packet.protocol != protocol):
            return False
        return bool(packet.flags & bit) == invalid

    return checksum


def application(test: AppProtocol, names: tuple[str, str], final: str, original: str, to_client: bool) -> bool:
    """Return whether the flow's protocols (to server, to client) are what a rule names; an undetected side never matches."""
    word, negated = test.name, test.negated
    match test.side:
        case "final":
            have = [final]
        case "original":
            have = [original]
        case "to_server":
            have = [names[0]]
        case "to_client":
            have = [names[1]]
        case "both":
            return all((same(one, word) != negated) for one in names)
        case "either":
            have = list(names)
        case _:
            have = [names[to_client]]
    return any(one and (same(one, word) != negated) for one in have)


def same(have: str, word: str) -> bool:
    """Return whether a conversation's protocol is one that a rule's word stands for."""
    return have in FAMILIES.get(word, (word,))


FAMILIES: dict[str, tuple[str, ...]] = {
    "http": ("http", "http2", "doh2"),
    "http1": ("http",),
    "http2": ("http2", "doh2"),
    "dns": ("dns", "doh2"),
    "unknown": ("",),
}
"""What else a rule's protocol word stands for."""
