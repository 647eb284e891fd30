"""The values that iptables and ipset write (addresses, ports, protocols, flags, marks) as spans, fields and comparisons of the model."""

from typing import NamedTuple

from analysis.firewall import values
from analysis.firewall.model import AnyOf, Binary, Constant, Expression, Field, Match, Name, Not, Span, Statement
from contracts.errors import Malformed

PROTOCOLS = {
    "all": 0,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ggp": 3,
    "ipencap": 4,
    "ipv4": 4,
    "st": 5,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "pup": 12,
    "udp": 17,
    "hmp": 20,
    "xns-idp": 22,
    "rdp": 27,
    "iso-tp4": 29,
    "dccp": 33,
    "xtp": 36,
    "ddp": 37,
    "idpr-cmtp": 38,
    "ipv6": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "idrp": 45,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ipv6-crypt": 50,
    "ah": 51,
    "ipv6-auth": 51,
    "skip": 57,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "icmp6": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "rspf": 73,
    "vmtp": 81,
    "eigrp": 88,
    "ospf": 89,
    "ax.25": 93,
    "ipip": 94,
    "etherip": 97,
    "encap": 98,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "isis": 124,
    "sctp": 132,
    "fc": 133,
    "mobility-header": 135,
    "ipv6-mh": 135,
    "mh": 135,
    "udplite": 136,
    "mpls-in-ip": 137,
    "manet": 138,
    "hip": 139,
    "shim6": 140,
    "wesp": 141,
    "rohc": 142,
    "ethernet": 143,
    "mptcp": 262,
}
"""Names that iptables knows by itself or finds in `/etc/protocols`, which is the same list everywhere."""

NEVER = AnyOf(())
"""A condition that no packet meets."""


class Family(NamedTuple):
    """What differs between iptables and ip6tables: the version, its word in nftables' names, and the width of an address."""

    version: int
    word: str
    bits: int

    def address(self, side: str) -> Field:
        """Return the field of the address: `side` is saddr or daddr."""
        return Field(f"{self.word} {side}")


IPV4 = Family(4, "ip", 32)
IPV6 = Family(6, "ip6", 128)


def family_of(name: str) -> Family:
    """Return the family of a table: ip, ip6, legacy-ip or legacy-ip6."""
    return IPV6 if name.endswith("6") else IPV4


def number(text: str, most: int = 0xFFFFFFFF) -> int:
    """Return a number in decimal, hexadecimal (0x) or octal (0), as C's strtoul reads it; raises `Malformed`."""
    try:
        body = text.strip()
        value = int(body, 8) if len(body) > 1 and body[0] == "0" and body[1:].isdigit() else int(body, 0)
    except ValueError as error:
        raise Malformed(f"{text[:60]!r} is not a number") from error
    if not 0 <= value <= most:
        raise Malformed(f"{text[:60]!r} is not between 0 and {most}")
    return value


def span(text: str, most: int = 0xFFFFFFFF, separator: str = ":") -> Span:
    """Return `5`, `5:9`, `:9` or `5:` as a span up to `most`; raises `Malformed`."""
    low, colon, high = text.partition(separator)
    if not colon:
        return Span(number(low, most), number(low, most))
    found = Span(number(low, most) if low else 0, number(high, most) if high else most)
    if found.low > found.high:
        raise Malformed(f"{text[:60]!r} runs backwards")
    return found


def ports(text: str, separator: str = ":") -> Span:
    """Return a port or a range of ports as a span; raises `Malformed`."""
    return span(text, 0xFFFF, separator)


def protocol(text: str) -> int:
    """Return the number of a protocol given by name or number; raises `Malformed`."""
    known = PROTOCOLS.get(text.lower())
    return number(text, 0xFFFF) if known is None else known


def address(text: str, family: Family) -> int:
    """Return an address as a number; raises `Malformed`."""
    found = values.address(text)
    if found is None or found[0] != family.version:
        raise Malformed(f"{text[:60]!r} is not an address of IPv{family.version}")
    return found[1]


def address_range(text: str, family: Family) -> Span:
    """Return `a-b` or `a` as a span; raises `Malformed`."""
    low, dash, high = text.partition("-")
    found = Span(address(low, family), address(high if dash else low, family))
    if found.low > found.high:
        raise Malformed(f"{text[:90]!r} runs backwards")
    return found


def network(text: str, family: Family) -> Span:
    """Return `a`, `a/24` as a span of addresses; raises `Malformed` (for a mask with gaps too)."""
    value, mask = masked_address(text, family)
    gap = ~mask & ((1 << family.bits) - 1)
    if gap & (gap + 1):
        raise Malformed(f"{text[:90]!r} has a mask with gaps")
    return Span(value, value | gap)


def masked_address(text: str, family: Family) -> tuple[int, int]:
    """Return (address & mask, mask) of `a`, `a/24` or `a/255.255.0.0`; raises `Malformed`."""
    host, slash, rest = text.partition("/")
    full = (1 << family.bits) - 1
    if not slash:
        mask = full
    elif rest.isdigit():
        mask = full ^ (full >> number(rest, family.bits))
    else:
        mask = address(rest, family)
    return address(host, family) & mask, mask


def is_address(field: Expression, text: str, family: Family) -> Match:
    """Return the condition that `field` is in the network `text`, whose mask may have gaps."""
    value, mask = masked_address(text, family)
    gap = ~mask & ((1 << family.bits) - 1)
    if gap & (gap + 1):
        return Match(Binary("&", field, Constant(mask), family.bits), "==", Span(value, value))
    return Match(field, "==", Span(value, value | gap))


def masked(text: str, most: int = 0xFFFFFFFF) -> tuple[int, int]:
    """Return (value, mask) of `v` or `v/m`; raises `Malformed`."""
    value, slash, mask = text.partition("/")
    return number(value, most), number(mask, most) if slash else most


def is_masked(field: Expression, text: str, most: int = 0xFFFFFFFF) -> Match:
    """Return the condition that `field`, masked, is the value of `v/m`."""
    value, mask = masked(text, most)
    return Match(field if mask == most else Binary("&", field, Constant(mask)), "==", Span(value, value))


def interface(text: str) -> Name:
    """Return the name of an interface; `eth+` stands for all that begin so. Raises `Malformed` for a name the model cannot say."""
    if text.endswith("*"):
        raise Malformed(f"an interface whose name ends in an asterisk: {text[:40]!r}")
    return Name(text[:-1] + "*") if text.endswith("+") else Name(text)


def bits(text: str, names: dict[str, int]) -> int:
    """Return the sum of the flags that `text` lists, separated by commas; raises `Malformed`."""
    total = 0
    for name in text.split(","):
        if name.upper() not in names:
            raise Malformed(f"{name[:40]!r} is none of {', '.join(names)}")
        total |= names[name.upper()]
    return total


def turned(negated: bool, *conditions: Statement) -> tuple[Statement, ...]:
    """Return the conditions, or, `negated`, their exact opposite."""
    return (Not(conditions),) if negated else conditions


def opposite(negated: bool, match: Match) -> Match:
    """Return the comparison, or the one of the other sense; a packet without the field meets neither."""
    return Match(match.left, "!=" if match.operator == "==" else "==", match.right) if negated else match
