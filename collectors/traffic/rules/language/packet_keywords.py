"""Keywords about the headers of a packet: IP, TCP, ICMP, their flags and options, decoder and stream events."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

import re

from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import NONE, OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U8, U16, U32, integer, number
from collectors.traffic.rules.language.rule import EventTest, FieldTest, FlagsTest, IpProto, IpRep, Number, WordTest

TCP_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128, "2": 64, "1": 128, "0": 0, "N": 0}
FRAGMENT_BITS = {"M": 1, "D": 2, "R": 4}
IP_OPTIONS = frozenset(
    ["rr", "lsrr", "eol", "nop", "ts", "sec", "esec", "ssrr", "satid", "any", "cipso", "rtralt", "qs"]
)
IP_PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "ip-in-ip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
}

EVENT_ALIASES = {
    "3whs_synack_resend_with_different_ack": "3whs_synack_resend_with_diff_ack",
    "est_synack_resend_with_different_ack": "est_synack_resend_with_diff_ack",
}
"""Names that published rules use for stream events of another name."""

_FLAGS = re.compile(r"([+*!]?)([FSRPAUEC120N]+)([+*!]?)(?:,\s*([FSRPAUEC120]+))?$")
_BITS = re.compile(r"([+*!]?)\s*([MDR]+)$")
_EVENT = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*$")


def _field(name: str, highest: int) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.rule.tests.append(FieldTest(name, number(argument, highest)))

    return Keyword(apply, quotes=OPTIONAL)


def _tos(draft: Draft, argument: str, negated: bool) -> None:
    """Read `8`, `!8`, a comparison, or `x1f`: the keyword's own way of writing hexadecimal."""
    draft.rule.tests.append(FieldTest("tos", number(re.sub(r"^(\s*!?\s*)[xX]", r"\g<1>0x", argument), U8)))


def _dsize(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("dsize")
    draft.rule.tests.append(FieldTest("dsize", number(argument, U16)))


def _flags(draft: Draft, argument: str, negated: bool) -> None:
    found = _FLAGS.match(argument.replace(" ", "").upper())
    if not found or (found[1] and found[3]):
        raise Refused(f'flags: "{argument}" is not a list of TCP flags')
    bits = _or(found[2], TCP_FLAGS)
    if found[1] + found[3] in {"!", "*", "+"} and not bits:
        raise Refused("flags: 0 stands without + * or !")
    draft.rule.tests.append(FlagsTest("tcp.flags", found[1] or found[3], bits, _or(found[4] or "", TCP_FLAGS)))


def _or(letters: str, values: dict[str, int]) -> int:
    bits = 0
    for letter in letters:
        bits |= values[letter]
    return bits


def _fragbits(draft: Draft, argument: str, negated: bool) -> None:
    found = _BITS.match(argument.strip().upper())
    if not found:
        raise Refused(f'fragbits: "{argument}" is not a list of M, D and R')
    draft.rule.tests.append(FlagsTest("fragbits", found[1], _or(found[2], FRAGMENT_BITS)))


def _word(name: str, words: frozenset[str]) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        word = argument.strip().lower()
        if word not in words:
            raise Refused(f'{name}: "{argument}" is not one of {", ".join(sorted(words))}')
        draft.rule.tests.append(WordTest(name, (word,)))

    return Keyword(apply, quotes=OPTIONAL)


def _bare(name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.rule.tests.append(WordTest(name))

    return Keyword(apply, NONE)


def _ip_proto(draft: Draft, argument: str, negated: bool) -> None:
    word = argument.strip()
    op = word[0] if word[:1] in {"!", "<", ">"} else "="
    name = word.removeprefix(op).strip().lower()
    value = IP_PROTOCOLS.get(name)
    found = IpProto(op, value if value is not None else integer(name, 0, U8))
    for other in draft.rule.tests:
        if type(other) is IpProto and "=" in (op, other.op):
            raise Refused("ip_proto: one protocol and another test of it exclude each other")
    draft.rule.tests.append(found)


def _iprep(draft: Draft, argument: str, negated: bool) -> None:
    parts = [part.strip() for part in argument.split(",")]
    if len(parts) < 3 or parts[0] not in {"any", "src", "dst", "both"}:
        raise Refused(f'iprep: "{argument}" is not side, category, operator, value')
    if parts[2] in {"isset", "isnotset"} and len(parts) == 3:
        draft.rule.tests.append(IpRep(parts[0], parts[1], parts[2], 0))
        return
    if len(parts) != 4 or parts[2] not in {"=", "<", "<=", ">", ">="}:
        raise Refused(f'iprep: "{parts[2]}" is not an operator')
    draft.rule.tests.append(IpRep(parts[0], parts[1], parts[2], integer(parts[3], 0, 127)))


def _geoip(draft: Draft, argument: str, negated: bool) -> None:
    raise Refused("geoip: no database of countries is read by this sensor")


def _event(layer: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        name = argument.strip().lower()
        if not _EVENT.match(name):
            raise Refused(f'{layer}-event: "{argument}" is not the name of an event')
        name = name.removeprefix("decoder.").removeprefix("stream.")
        draft.rule.tests.append(EventTest(layer, EVENT_ALIASES.get(name, name)))

    return Keyword(apply)


def _vlan_id(draft: Draft, argument: str, negated: bool) -> None:
    amount, comma, layer = (part.strip() for part in argument.partition(","))
    if comma and layer not in {"any", "all", "0", "1", "2", "-1", "-2", "-3"}:
        raise Refused(f'vlan.id: "{layer}" is not a layer')
    found = number(amount, 4095)
    if found.op == "=" and not 1 <= found.low <= 4094:
        raise Refused("vlan.id: tags are between 1 and 4094")
    draft.rule.tests.append(FieldTest("vlan.id", found, layer or "any"))


def _rpc(draft: Draft, argument: str, negated: bool) -> None:
    parts = tuple(part.strip() for part in argument.split(","))
    if not 1 <= len(parts) <= 3 or not all(part == "*" or part.isdigit() for part in parts):
        raise Refused(f'rpc: "{argument}" is not program, version, procedure')
    draft.rule.tests.append(WordTest("rpc", parts))


def _icmp_id(name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.rule.tests.append(FieldTest(name, Number("=", integer(argument.strip().strip('"'), 0, U16))))

    return Keyword(apply, quotes=OPTIONAL)


_CHECKSUM = frozenset({"valid", "invalid"})

KEYWORDS: dict[str, Keyword] = {
    "ttl": _field("ttl", U8),
    "tos": Keyword(_tos, quotes=OPTIONAL),
    "id": _field("id", U16),
    "fragoffset": _field("fragoffset", U16),
    "fragbits": Keyword(_fragbits),
    "ipopts": _word("ipopts", IP_OPTIONS),
    "sameip": _bare("sameip"),
    "ip_proto": Keyword(_ip_proto, quotes=OPTIONAL),
    "l3_proto": _word("l3_proto", frozenset({"ipv4", "ip4", "ipv6", "ip6"})),
    "iprep": Keyword(_iprep),
    "geoip": Keyword(_geoip),
    "dsize": Keyword(_dsize),
    "flags": Keyword(_flags),
    "tcp.flags": Keyword(_flags),
    "seq": _field("tcp.seq", U32),
    "tcp.seq": _field("tcp.seq", U32),
    "ack": _field("tcp.ack", U32),
    "tcp.ack": _field("tcp.ack", U32),
    "window": _field("tcp.window", U16),
    "tcp.window": _field("tcp.window", U16),
    "tcp.mss": _field("tcp.mss", U16),
    "tcp.wscale": _field("tcp.wscale", U8),
    "itype": _field("itype", U8),
    "icode": _field("icode", U8),
    "icmp_id": _icmp_id("icmp_id"),
    "icmp_seq": _icmp_id("icmp_seq"),
    "icmpv6.mtu": _field("icmpv6.mtu", U32),
    "vlan.id": Keyword(_vlan_id),
    "vlan.layers": _field("vlan.layers", 3),
    "rpc": Keyword(_rpc),
    "stream-event": _event("stream"),
    "decode-event": _event("decode"),
    "engine-event": _event("decode"),
    "ipv4-csum": _word("ipv4-csum", _CHECKSUM),
    "tcpv4-csum": _word("tcpv4-csum", _CHECKSUM),
    "tcpv6-csum": _word("tcpv6-csum", _CHECKSUM),
    "udpv4-csum": _word("udpv4-csum", _CHECKSUM),
    "udpv6-csum": _word("udpv6-csum", _CHECKSUM),
    "icmpv4-csum": _word("icmpv4-csum", _CHECKSUM),
    "icmpv6-csum": _word("icmpv6-csum", _CHECKSUM),
}
