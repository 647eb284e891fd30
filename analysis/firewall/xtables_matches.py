"""What each match of iptables asks of a packet, as conditions of the model: headers here, states of the kernel in `xtables_states.py`.

Read against the kernel's own matches (`net/netfilter/xt_*.c`, `net/ipv4/netfilter/ipt_*.c`, `net/ipv6/netfilter/ip6t_*.c`): where
the kernel answers no whatever is negated, the comparison is turned round; where it answers yes then, the whole condition is.
"""

from collections.abc import Callable, Mapping

import msgspec

from analysis.firewall.ipset import IpSet
from analysis.firewall.model import AnyOf, Binary, Constant, Field, Match, Maybe, Span, Statement
from analysis.firewall.xtables_lines import Option, Part
from analysis.firewall.xtables_values import (
    NEVER,
    Family,
    address_range,
    bits,
    interface,
    is_address,
    masked,
    number,
    opposite,
    ports,
    protocol,
    span,
    turned,
)
from contracts.errors import Malformed

Conditions = tuple[Statement, ...]
TCP_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}
PACKET_TYPES = {"unicast": 0, "host": 0, "broadcast": 1, "multicast": 2, "otherhost": 3}
_EXTENSION_HEADERS = frozenset(("prot", "proto", "protocol"))


class Place(msgspec.Struct, frozen=True):
    """Where a rule stands: the family, the ipsets there are, and the hooks its chain is reached from (built-in chains by name)."""

    family: Family
    ipsets: Mapping[str, IpSet] = msgspec.field(default_factory=dict)
    hooks: frozenset[str] = frozenset()


Reader = Callable[[Part, Place], Conditions]


def words_of(part: Part, flag: str = "-m") -> str:
    """Return a match or target in iptables' words, shortened."""
    text = f"{flag} {part.name}"
    for option in part.options:
        text += f"{' !' if option.negated else ''} --{option.name} {' '.join(option.values)}".rstrip()
    return text if len(text) <= 160 else text[:157] + "..."


def undecided(part: Part, _place: Place) -> Conditions:
    """Return the condition that is taken both ways, named in iptables' words."""
    return (Maybe(words_of(part)),)


def each(part: Part, readers: Mapping[str, Callable[[Option], Conditions]]) -> Conditions:
    """Return the conditions of all options of a match; raises `Malformed` for one that is not among `readers`."""
    found: list[Statement] = []
    for option in part.options:
        reader = readers.get(option.name)
        if reader is None:
            raise Malformed(f"-m {part.name} has no --{option.name[:40]} that is known")
        found += reader(option)
    return tuple(found)


def addresses(part: Part, place: Place) -> Conditions:
    """Return what the rule itself asks: addresses, interfaces, protocol, fragment."""
    family = place.family

    def side(name: str) -> Callable[[Option], Conditions]:
        def one(option: Option) -> Conditions:
            options = tuple((is_address(family.address(name), text, family),) for text in option.value.split(","))
            return turned(option.negated, *(options[0] if len(options) == 1 else (AnyOf(options),)))

        return one

    return each(
        part,
        {
            "source": side("saddr"),
            "destination": side("daddr"),
            "in-interface": _interface("meta iifname"),
            "out-interface": _interface("meta oifname"),
            "protocol": _protocol,
            "fragment": lambda option: () if option.negated else (NEVER,),
            "ipv4": lambda _option: () if family.version == 4 else (NEVER,),
            "ipv6": lambda _option: () if family.version == 6 else (NEVER,),
        },
    )


def _interface(name: str) -> Callable[[Option], Conditions]:
    def one(option: Option) -> Conditions:
        if option.value in ("+", "*"):
            return turned(option.negated)
        return turned(option.negated, Match(Field(name), "==", interface(option.value)))

    return one


def _protocol(option: Option) -> Conditions:
    wanted = protocol(option.value)
    return turned(option.negated, *((Match(Field("meta l4proto"), "==", Span(wanted, wanted)),) if wanted else ()))


def transport(name: str) -> Reader:
    """Return the reader of a transport's match: ports, and flags where it has them."""

    def port(field: str) -> Callable[[Option], Conditions]:
        return lambda option: (opposite(option.negated, Match(Field(f"{name} {field}"), "==", ports(option.value))),)

    readers: dict[str, Callable[[Option], Conditions]] = {
        "sport": port("sport"),
        "source-port": port("sport"),
        "dport": port("dport"),
        "destination-port": port("dport"),
        "tcp-flags": _flags,
        "syn": lambda option: _flags(Option("tcp-flags", ("FIN,SYN,RST,ACK", "SYN"), option.negated)),
    }

    def read(part: Part, place: Place) -> Conditions:
        unseen = Part(part.name, [option for option in part.options if option.name in _NOT_IN_A_PROBE])
        seen = Part(part.name, [option for option in part.options if option.name not in _NOT_IN_A_PROBE])
        return each(seen, readers) + (undecided(unseen, place) if unseen.options else ())

    return read


_NOT_IN_A_PROBE = frozenset(("tcp-option", "chunk-types", "dccp-types", "dccp-option"))


def _flags(option: Option) -> Conditions:
    if len(option.values) != 2:
        raise Malformed("--tcp-flags takes two lists")
    mask, wanted = bits(option.values[0], TCP_FLAGS), bits(option.values[1], TCP_FLAGS)
    match = Match(Binary("&", Field("tcp flags"), Constant(mask)), "==", Span(wanted, wanted))
    return (opposite(option.negated, match),)


def multiport(part: Part, _place: Place) -> Conditions:
    """Return the condition that a port is in a list of ports and ranges; `--ports` looks at both."""
    sides = {
        "sports": ("th sport",),
        "source-ports": ("th sport",),
        "dports": ("th dport",),
        "destination-ports": ("th dport",),
        "ports": ("th sport", "th dport"),
    }
    found: list[Statement] = []
    for option in part.options:
        if option.name not in sides:
            raise Malformed(f"-m multiport has no --{option.name[:40]} that is known")
        wanted = [ports(text) for text in option.value.split(",")]
        ways = tuple((Match(Field(side), "==", low_high),) for side in sides[option.name] for low_high in wanted)
        found += turned(option.negated, AnyOf(ways))
    return tuple(found)


def icmp(name: str) -> Reader:
    """Return the reader of a type of ICMP (`icmp` or `icmpv6`): `8`, `3/4`, `any`, or a name of iptables."""

    def kind(option: Option) -> Conditions:
        text = option.value
        if text in ("any", "255") or not text[:1].isdigit():
            return (Maybe(f"--{option.name} {text[:60]}"),) if text != "any" else ()
        wanted, _, code = text.partition("/")
        conditions: list[Statement] = [_is(f"{name} type", number(wanted, 255))]
        if code:
            low_high = span(code, 255)
            conditions.append(Match(Field(f"{name} code"), "==", low_high))
        return turned(option.negated, *conditions)

    return lambda part, _place: each(part, {"icmp-type": kind, "icmpv6-type": kind})


def _is(name: str, value: int) -> Match:
    return Match(Field(name), "==", Span(value, value))


def iprange(part: Part, place: Place) -> Conditions:
    """Return the condition that an address is in a range."""

    def side(name: str) -> Callable[[Option], Conditions]:
        return lambda option: turned(
            option.negated, Match(place.family.address(name), "==", address_range(option.value, place.family))
        )

    return each(part, {"src-range": side("saddr"), "dst-range": side("daddr")})


def mac(part: Part, _place: Place) -> Conditions:
    """Return the condition on the sender's hardware address; without an Ethernet header the kernel says no in any case."""

    def source(option: Option) -> Conditions:
        octets = option.value.split(":")
        if len(octets) != 6:
            raise Malformed(f"{option.value[:40]!r} is not a hardware address")
        try:
            value = int("".join(octet.zfill(2) for octet in octets), 16)
        except ValueError as error:
            raise Malformed(f"{option.value[:40]!r} is not a hardware address") from error
        return (opposite(option.negated, _is("ether saddr", value)),)

    return each(part, {"mac-source": source})


def pkttype(part: Part, _place: Place) -> Conditions:
    """Return the condition on whom the frame was sent to."""

    def kind(option: Option) -> Conditions:
        if option.value not in PACKET_TYPES:
            raise Malformed(f"{option.value[:40]!r} is no type of packet")
        return turned(option.negated, _is("meta pkttype", PACKET_TYPES[option.value]))

    return each(part, {"pkt-type": kind})


def length(part: Part, _place: Place) -> Conditions:
    """Return the condition on the packet's length."""
    return each(
        part,
        {
            "length": lambda option: turned(
                option.negated, Match(Field("meta length"), "==", span(option.value, 0xFFFF))
            )
        },
    )


def hops(part: Part, place: Place) -> Conditions:
    """Return the condition on TTL or hop limit."""
    field = Field("ip ttl" if place.family.version == 4 else "ip6 hoplimit")

    def compare(operator: str) -> Callable[[Option], Conditions]:
        return lambda option: turned(option.negated, Match(field, operator, Constant(number(option.value, 255))))

    def equal(option: Option) -> Conditions:
        value = number(option.value, 255)
        return turned(option.negated, Match(field, "==", Span(value, value)))

    readers: dict[str, Callable[[Option], Conditions]] = {}
    for name in ("ttl", "hl"):
        readers |= {f"{name}-eq": equal, name: equal, f"{name}-lt": compare("<"), f"{name}-gt": compare(">")}
    return each(part, readers)


def service(part: Part, place: Place) -> Conditions:
    """Return the condition on the type of service: `tos` is the whole byte, `dscp` its upper six bits."""
    word = place.family.word

    def tos(option: Option) -> Conditions:
        value, mask = masked(option.value, 255)
        halves = ((f"{word} dscp", value >> 2, mask >> 2, 63), (f"{word} ecn", value & 3, mask & 3, 3))
        conditions: list[Statement] = []
        for name, wanted, kept, full in halves:
            field = Field(name)
            if kept:
                left = field if kept == full else Binary("&", field, Constant(kept))
                conditions.append(Match(left, "==", Span(wanted, wanted)))
            elif wanted:
                conditions.append(NEVER)
        return turned(option.negated, *conditions)

    def dscp(option: Option) -> Conditions:
        return turned(option.negated, _is(f"{word} dscp", number(option.value, 63)))

    return each(part, {"tos": tos, "dscp": dscp})


def congestion(part: Part, place: Place) -> Conditions:
    """Return the condition on the bits of explicit congestion notification."""

    def flag(bit: int) -> Callable[[Option], Conditions]:
        return lambda option: turned(option.negated, Match(Field("tcp flags"), "any", Constant(bit)))

    def ect(option: Option) -> Conditions:
        return turned(option.negated, _is(f"{place.family.word} ecn", number(option.value, 3)))

    return each(part, {"ecn-tcp-cwr": flag(128), "ecn-tcp-ece": flag(64), "ecn-ip-ect": ect})


def no_such_header(_part: Part, _place: Place) -> Conditions:
    """Return no: a probe carries no extension header, and without it the kernel says no whatever is negated."""
    return (NEVER,)


def extension_headers(part: Part, _place: Place) -> Conditions:
    """Return the condition on which extension headers there are: a probe has none, only its transport."""
    option = part.get("header")
    if option is None:
        return (Maybe(words_of(part)),)
    wanted = frozenset(option.value.split(","))
    has_only_protocol = wanted <= _EXTENSION_HEADERS
    if part.has("soft"):
        matches = not option.negated if has_only_protocol else option.negated and not wanted & _EXTENSION_HEADERS
        return () if matches else (NEVER,)
    return () if has_only_protocol != option.negated else (NEVER,)


def plain(part: Part, _place: Place) -> Conditions:
    """Return whether a packet without IPsec matches: `--pol none` says yes, `--pol ipsec` no."""
    option = part.get("pol")
    if option is None or option.value not in ("none", "ipsec"):
        return (Maybe(words_of(part)),)
    return () if option.value == "none" else (NEVER,)


def bridged(part: Part, _place: Place) -> Conditions:
    """Return the condition on bridge ports: only a packet that came in by a bridge can have them, and which, is not known."""
    found: list[Statement] = []
    for option in part.options:
        text = words_of(Part(part.name, [Option(option.name, option.values)]))
        came_by_bridge: Conditions = (Match(Field("meta iifkind"), "==", interface("bridge")), Maybe(text))
        found += turned(option.negated, *came_by_bridge)
    return tuple(found)


def helper(part: Part, _place: Place) -> Conditions:
    """Return the condition on the helper that expected the connection: one that nothing expected has none."""

    def name(option: Option) -> Conditions:
        expected = Match(Field("ct status"), "any", Constant(1))
        return turned(option.negated, expected, Maybe(words_of(part)))

    return each(part, {"helper": name})


def comment(_part: Part, _place: Place) -> Conditions:
    """Return nothing: a comment matches every packet."""
    return ()


def recent(part: Part, _place: Place) -> Conditions:
    """Return what a list of recent addresses asks: writing to it (`--set`) always matches, reading it is taken both ways."""
    option = part.get("set")
    if option is not None:
        return (NEVER,) if option.negated else ()
    return (Maybe(words_of(part)),)
