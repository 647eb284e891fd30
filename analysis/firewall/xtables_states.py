"""What those matches of iptables ask that look at what the kernel knows beside the packet: connections, marks, routes, sockets, sets."""

from collections.abc import Callable

from analysis.firewall.model import AnyOf, Constant, Fib, Field, Match, Maybe, Span, Statement
from analysis.firewall.xtables_lines import Option, Part
from analysis.firewall.xtables_matches import Conditions, Place, each, words_of
from analysis.firewall.xtables_values import (
    NEVER,
    bits,
    is_address,
    is_masked,
    number,
    opposite,
    ports,
    protocol,
    turned,
)
from contracts.errors import Malformed

STATES = {"INVALID": 1, "ESTABLISHED": 2, "RELATED": 4, "NEW": 8, "UNTRACKED": 64, "SNAT": 1 << 8, "DNAT": 1 << 9}
"""Connection states; the last two are bits of the status, put above the others here."""
STATUSES = {"NONE": 0, "EXPECTED": 1, "SEEN_REPLY": 2, "ASSURED": 4, "CONFIRMED": 8}
ADDRESS_TYPES = {
    "UNSPEC": 0,
    "UNICAST": 1,
    "LOCAL": 2,
    "BROADCAST": 3,
    "ANYCAST": 4,
    "MULTICAST": 5,
    "BLACKHOLE": 6,
    "UNREACHABLE": 7,
    "PROHIBIT": 8,
    "THROW": 9,
    "NAT": 10,
    "XRESOLVE": 11,
}
_MULTICAST6 = Span(0xFF << 120, (1 << 128) - 1)
_WITHOUT_CONNECTION = Match(Field("ct state"), "any", Constant(1 | 64))
_WITH_CONNECTION = Match(Field("ct state"), "none", Constant(1 | 64))
_STATE_MASK = 0xFF
_SHIFTED = {1 << 8: 16, 1 << 9: 32}


def state(part: Part, _place: Place) -> Conditions:
    """Return the condition on the connection's state."""
    return each(part, {"state": _state})


def _state(option: Option) -> Conditions:
    wanted = bits(option.value, STATES)
    options: list[Conditions] = []
    if wanted & _STATE_MASK:
        options.append((Match(Field("ct state"), "any", Constant(wanted & _STATE_MASK)),))
    status = sum(bit for flag, bit in _SHIFTED.items() if wanted & flag)
    if status:
        options.append((Match(Field("ct status"), "any", Constant(status)),))
    conditions = options[0] if len(options) == 1 else (AnyOf(tuple(options)),)
    return turned(option.negated, *conditions)


def conntrack(part: Part, place: Place) -> Conditions:
    """Return the conditions on a connection: without one (invalid, untracked) only the state is asked, and anything else says no."""
    states: list[Statement] = []
    others: list[Statement] = []
    for option in part.options:
        if option.name == "ctstate":
            states += _state(option)
        else:
            others += _of_connection(option, place)
    if not others:
        return tuple(states)
    if states:
        return (*states, AnyOf(((_WITHOUT_CONNECTION,), (_WITH_CONNECTION, *others))))
    return (_WITH_CONNECTION, *others)


def _of_connection(option: Option, place: Place) -> Conditions:
    reader = _CONNECTION.get(option.name)
    if reader is None:
        raise Malformed(f"-m conntrack has no --{option.name[:40]} that is known")
    return reader(option, place)


def _tuple_address(direction: str, side: str) -> Callable[[Option, Place], Conditions]:
    def read(option: Option, place: Place) -> Conditions:
        field = Field(f"ct {direction} {place.family.word} {side}")
        return turned(option.negated, is_address(field, option.value, place.family))

    return read


def _tuple_port(direction: str, side: str) -> Callable[[Option, Place], Conditions]:
    return lambda option, _place: turned(
        option.negated, Match(Field(f"ct {direction} {side}"), "==", ports(option.value))
    )


def _direction(option: Option, _place: Place) -> Conditions:
    if option.value not in ("ORIGINAL", "REPLY"):
        raise Malformed(f"{option.value[:40]!r} is no direction")
    wanted = (option.value == "REPLY") != option.negated
    return (Match(Field("ct direction"), "==", Span(int(wanted), int(wanted))),)


def _status(option: Option, _place: Place) -> Conditions:
    wanted = bits(option.value, STATUSES)
    return turned(option.negated, Match(Field("ct status"), "any", Constant(wanted)) if wanted else NEVER)


def _protocol(option: Option, _place: Place) -> Conditions:
    wanted = protocol(option.value)
    return turned(option.negated, Match(Field("ct protocol"), "==", Span(wanted, wanted)))


_CONNECTION: dict[str, Callable[[Option, Place], Conditions]] = {
    "ctproto": _protocol,
    "ctorigsrc": _tuple_address("original", "saddr"),
    "ctorigdst": _tuple_address("original", "daddr"),
    "ctreplsrc": _tuple_address("reply", "saddr"),
    "ctrepldst": _tuple_address("reply", "daddr"),
    "ctorigsrcport": _tuple_port("original", "proto-src"),
    "ctorigdstport": _tuple_port("original", "proto-dst"),
    "ctreplsrcport": _tuple_port("reply", "proto-src"),
    "ctrepldstport": _tuple_port("reply", "proto-dst"),
    "ctstatus": _status,
    "ctdir": _direction,
    "ctexpire": lambda option, _place: (Maybe(f"-m conntrack --ctexpire {option.value[:40]}"),),
}


def addrtype(part: Part, place: Place) -> Conditions:
    """Return the conditions on the types of the addresses (`local`, `broadcast` …), of one interface only if it says so."""
    limits = tuple(flag for flag, name in (("iif", "limit-iface-in"), ("oif", "limit-iface-out")) if part.has(name))
    conditions = _addrtype4 if place.family.version == 4 else _addrtype6
    found: list[Statement] = []
    for option in part.options:
        if option.name in ("src-type", "dst-type"):
            side = "saddr" if option.name == "src-type" else "daddr"
            found += turned(option.negated, *conditions(option.value.split(","), side, limits))
        elif option.name not in ("limit-iface-in", "limit-iface-out"):
            raise Malformed(f"-m addrtype has no --{option.name[:40]} that is known")
    return tuple(found)


def _types(names: list[str]) -> list[int]:
    if any(name.upper() not in ADDRESS_TYPES for name in names):
        raise Malformed(f"{','.join(names)[:60]!r} names an unknown type of address")
    return [ADDRESS_TYPES[name.upper()] for name in names]


def _addrtype4(names: list[str], side: str, limits: tuple[str, ...]) -> Conditions:
    fib = Fib((side, *limits), "type")
    ways = tuple((Match(fib, "==", Span(kind, kind)),) for kind in _types(names))
    return ways[0] if len(ways) == 1 else (AnyOf(ways),)


def _addrtype6(names: list[str], side: str, limits: tuple[str, ...]) -> Conditions:
    """Return what ip6tables asks: multicast, unicast and unspec must all hold (!), and of the other types one."""
    field = Field(f"ip6 {side}")
    kinds = _types(names)
    found: list[Statement] = []
    if 5 in kinds:
        found.append(Match(field, "==", _MULTICAST6))
    if 1 in kinds:
        found.append(Match(field, "==", Span(1, _MULTICAST6.low - 1)))
    if 0 in kinds:
        found.append(Match(field, "==", Span(0, 0)))
    fib = Fib((side, *limits), "type")
    looked_up: tuple[Conditions, ...] = tuple((Match(fib, "==", Span(kind, kind)),) for kind in kinds if kind in (2, 4))
    if 7 in kinds:
        looked_up += ((Maybe(f"-m addrtype for an IPv6 {side} of type UNREACHABLE"),),)
    if looked_up:
        found += looked_up[0] if len(looked_up) == 1 else (AnyOf(looked_up),)
    return tuple(found)


def marked(name: str) -> Callable[[Part, Place], Conditions]:
    """Return the reader of `mark` (of the packet) or `connmark` (of the connection; without one the kernel says no in any case)."""
    return lambda part, _place: each(
        part, {"mark": lambda option: (opposite(option.negated, is_masked(Field(name), option.value)),)}
    )


def owner(part: Part, _place: Place) -> Conditions:
    """Return the conditions on the socket's owner; a packet without a socket matches only what is negated."""

    def one(name: str) -> Callable[[Option], Conditions]:
        def read(option: Option) -> Conditions:
            low, dash, high = option.value.partition("-")
            found = Span(number(low), number(high if dash else low))
            if part.has("suppl-groups") and name == "meta skgid":
                has_socket = Match(Field("meta skgid"), ">=", Constant(0))
                return turned(option.negated, has_socket, Maybe(words_of(part)))
            return turned(option.negated, Match(Field(name), "==", found))

        return read

    return each(
        part,
        {
            "uid-owner": one("meta skuid"),
            "gid-owner": one("meta skgid"),
            "socket-exists": lambda option: turned(option.negated, Match(Field("meta skuid"), ">=", Constant(0))),
            "suppl-groups": lambda _option: (),
        },
    )


def rpfilter(part: Part, place: Place) -> Conditions:
    """Return whether the sender's address would be answered by the interface it came in by (`--loose`: by any)."""
    known = ("loose", "validmark", "accept-local", "invert")
    for option in part.options:
        if option.name not in known:
            raise Malformed(f"-m rpfilter has no --{option.name[:40]} that is known")
    flags = ("saddr", *(("mark",) if part.has("validmark") else ()), *(() if part.has("loose") else ("iif",)))
    ways: list[Conditions] = [(Match(Fib(flags, "present"), "==", Span(1, 1)),)]
    if part.has("loose"):
        ways.append((Match(Field("meta iiftype"), "==", Span(_LOOPBACK, _LOOPBACK)),))
    if part.has("accept-local"):
        ways.append((Match(Fib(("saddr",), "type"), "==", Span(2, 2)),))
    if place.family.version == 6:
        ways.append((Match(Field("ip6 saddr"), "==", Span(0, 0)),))
    return turned(part.has("invert"), *(ways[0] if len(ways) == 1 else (AnyOf(tuple(ways)),)))


_LOOPBACK = 772  # ARPHRD_LOOPBACK


def devgroup(part: Part, _place: Place) -> Conditions:
    """Return the conditions on the groups of the interfaces."""

    def group(name: str) -> Callable[[Option], Conditions]:
        return lambda option: (
            opposite(option.negated, is_masked(Field(name), option.value.replace("default", "0x0"))),
        )

    return each(part, {"src-group": group("meta iifgroup"), "dst-group": group("meta oifgroup")})


def realm(part: Part, _place: Place) -> Conditions:
    """Return the condition on the realm of the route; one given by name is not known."""

    def value(option: Option) -> Conditions:
        if not option.value[:1].isdigit():
            return (Maybe(words_of(part)),)
        return turned(option.negated, is_masked(Field("meta rtclassid"), option.value))

    return each(part, {"realm": value})


def in_set(part: Part, place: Place) -> Conditions:
    """Return the condition that the packet is in an ipset; counters of its element, where asked for, are taken both ways."""
    option = part.get("match-set")
    if option is None or len(option.values) != 2:
        raise Malformed("-m set without --match-set NAME FLAGS")
    known = place.ipsets.get(option.values[0])
    if known is None:
        conditions: Conditions = (Maybe(f"-m set of {option.values[0][:40]!r}, an ipset that was not read"),)
    else:
        conditions = known.conditions(option.values[1], place.family.version, part.has("return-nomatch"))
    counted = any(other.name.startswith(("packets-", "bytes-")) for other in part.options)
    return turned(option.negated, *conditions, *((Maybe(words_of(part)),) if counted else ()))
