"""Reads rows `ipset …`: each set's elements as keys of the model, and the condition that a match of iptables puts on a packet.

A type is a list of dimensions (`hash:net,port,iface`): for each of them the match says whether the packet's source or destination side is
looked up. A match that names fewer sides than the set has dimensions, or a set of the other family, matches nothing: so does the kernel.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from analysis.firewall.model import (
    AnyOf,
    Binary,
    Concat,
    Constant,
    Element,
    Expression,
    Field,
    Joined,
    Match,
    Maybe,
    Name,
    NamedSet,
    SetRef,
    Span,
    Statement,
)
from analysis.firewall.xtables_lines import words
from analysis.firewall.xtables_values import (
    IPV4,
    IPV6,
    NEVER,
    Family,
    address,
    address_range,
    network,
    number,
    ports,
    protocol,
)
from contracts.errors import Malformed
from contracts.subjects.datapath import Row

RETURN_NOMATCH = " --return-nomatch"
"""Put behind a set's name: the same set with `nomatch` turned round."""

_WITH_NOTHING = ("ip", "net", "port", "iface", "mac", "mark")
Parts = tuple[Span | Name, ...]


class IpSet(msgspec.Struct):
    """One set: its dimensions, `family` (None where the type has none), the members of a list:set, and its elements for the evaluator."""

    name: str
    dimensions: tuple[str, ...] = ()
    family: Family | None = None
    is_hash: bool = True
    markmask: int = 0xFFFFFFFF
    members: "list[IpSet]" = msgspec.field(default_factory=list)
    elements: tuple[Element, ...] = ()
    unread: str = ""

    def conditions(self, sides: str, version: int, return_nomatch: bool = False) -> tuple[Statement, ...]:
        """Return the condition that a packet of IP `version` is in the set, looked up by `sides` (`src`, `dst,src` …)."""
        if not self.dimensions:
            return (Maybe(f"ipset {self.name}: {self.unread or 'its type is not known'}"),)
        chosen = sides.split(",")
        if self.dimensions == ("set",):
            ways = tuple(member.conditions(sides, version, return_nomatch) for member in self.members)
            hidden = ((Maybe(f"ipset {self.name}: {self.unread}"),),) if self.unread else ()
            return (AnyOf(ways + hidden),)
        if len(chosen) < len(self.dimensions) or (self.family is not None and self.family.version != version):
            return (NEVER,)
        fields = self.key(chosen, version)
        key: Expression = fields[0] if len(fields) == 1 else Concat(tuple(fields))
        has_exclusions = return_nomatch and any(element.excluded for element in self.elements)
        return (Match(key, "==", SetRef(self.name + (RETURN_NOMATCH if has_exclusions else ""), ipset=True)),)

    def update_key(self, sides: str, version: int) -> Expression | None:
        """Return what a target adds to or takes from the set; None if it does not fit the set, or the set is a list of sets."""
        chosen = sides.split(",")
        fits = self.family is None or self.family.version == version
        if not self.dimensions or self.dimensions == ("set",) or len(chosen) < len(self.dimensions) or not fits:
            return None
        fields = self.key(chosen, version)
        return fields[0] if len(fields) == 1 else Concat(tuple(fields))

    def key(self, sides: list[str], version: int) -> list[Expression]:
        """Return what is looked up, a field for each part of an element's key."""
        word = "ip" if version == 4 else "ip6"
        fields: list[Expression] = []
        for dimension, side in zip(self.dimensions, sides, strict=False):
            source = side == "src"
            if dimension in ("ip", "net"):
                fields.append(Field(f"{word} {'saddr' if source else 'daddr'}"))
            elif dimension == "port":
                fields += [Field("meta l4proto")] if self.is_hash else []
                fields.append(Field("th sport" if source else "th dport"))
            elif dimension == "iface":
                fields.append(Field("meta iifname" if source else "meta oifname"))
            elif dimension == "mac":
                fields.append(Field("ether saddr" if source else "ether daddr"))
            else:
                fields.append(Binary("&", Field("meta mark"), Constant(self.markmask)))
        return fields

    def named(self) -> dict[str, NamedSet]:
        """Return the set for the evaluator, and, where there are exclusions, the same with them turned round."""
        if self.dimensions == ("set",):
            return {}
        found = {self.name: NamedSet(name=self.name, elements=self.elements, unread=self.unread)}
        if any(element.excluded for element in self.elements):
            turned = tuple(
                Element(one.key, None, one.excluded if _turns_away(one) else not one.excluded) for one in self.elements
            )
            name = self.name + RETURN_NOMATCH
            found[name] = NamedSet(name=name, elements=turned, unread=self.unread)
        return found


def read_ipsets(rows: Mapping[str, Row]) -> dict[str, IpSet]:
    """Return the ipsets by name; one that cannot be read says so in `unread` and is undecided."""
    sets: dict[str, IpSet] = {}
    lists: dict[str, list[str]] = {}
    for key, row in rows.items():
        if not key.startswith("ipset "):
            continue
        name = key.removeprefix("ipset ")
        try:
            name = msgspec.json.decode(name, type=str) if name.startswith('"') else name
            sets[name], lists[name] = _read(name, row)
        except (Malformed, msgspec.DecodeError, ValueError) as error:
            sets[name] = IpSet(name, unread=f"not understood ({str(error)[:120]})")
    for name, members in lists.items():
        for member in members:
            known = sets.get(member)
            if known is None or known.dimensions == ("set",):
                sets[name].unread = sets[name].unread or f"its member {member[:40]!r} was not read"
            else:
                sets[name].members.append(known)
    return sets


def _read(name: str, row: Row) -> tuple[IpSet, list[str]]:
    document: dict[str, Any] = msgspec.json.decode(row.document or "{}", type=dict[str, Any])
    method, _, dimensions = str(document.get("type", "")).partition(":")
    found = IpSet(name, tuple(dimensions.split(",")), is_hash=method == "hash", unread=row.unread)
    elements = [str(element) for element in document.get("elements", ())]
    if found.dimensions == ("set",):
        return found, [words(element)[0].text for element in elements if element.strip()]
    if method not in ("hash", "bitmap") or any(dimension not in _WITH_NOTHING for dimension in found.dimensions):
        raise Malformed(f"a set of type {str(document.get('type', ''))[:40]!r}")
    if "ip" in found.dimensions or "net" in found.dimensions:
        found.family = IPV6 if document.get("family") == "inet6" else IPV4
    found.markmask = number(str(document.get("markmask", 0xFFFFFFFF)))
    keys = _Keys(found, document)
    read: list[Element] = []
    for element in elements:
        try:
            read.append(keys.element(element))
        except Malformed as error:
            found.unread = found.unread or str(error)
    found.elements = tuple(read) + (_nearest(read) if found.dimensions == ("net", "iface") else ())
    return found, []


def _nearest(elements: list[Element]) -> tuple[Element, ...]:
    """Return what turns away other interfaces from each network: in hash:net,iface the smallest network that holds an address decides.

    (The kernel's `ip_set_hash_netiface` ends its search at the first network found, whatever the interface.)
    """
    networks = {one.key.parts[0] for one in elements if isinstance(one.key, Joined)}
    return tuple(Element(Joined((network, Name("*"))), None, True) for network in networks)


def _turns_away(element: Element) -> bool:
    """Say whether an element is one of `_nearest`."""
    return isinstance(element.key, Joined) and element.key.parts[-1] == Name("*")


class _Keys:
    """Reads the elements of one set as `ipset save` writes them."""

    def __init__(self, found: IpSet, document: Mapping[str, Any]) -> None:
        self.found = found
        self.family = found.family or IPV4
        self.prefix = int(document["netmask"]) if str(document.get("netmask", "")).isdigit() else self.family.bits
        if "bitmask" in document or self.prefix > self.family.bits:
            raise Malformed("a set with a bitmask, or a netmask that cannot be")
        self.wildcard = False
        readers: dict[str, Callable[[str], Parts]] = {
            "ip": self._address,
            "net": lambda text: (network(text, self.family),),
            "port": self._port,
            "iface": self._interface,
            "mac": _hardware,
            "mark": lambda text: (_single(number(text)),),
        }
        self.readers = [readers[dimension] for dimension in found.dimensions]

    def element(self, text: str) -> Element:
        """Return one element; raises `Malformed`."""
        first, *options = (word.text for word in words(text)) if text.strip() else ("",)
        flags = frozenset(_flags(options))
        self.wildcard = "wildcard" in flags
        values = first.split(",")
        if len(values) < len(self.readers) and self.found.dimensions == ("ip", "mac"):
            return Element(Joined((*self._address(values[0]), Span(0, (1 << 48) - 1))))
        if len(values) != len(self.readers):
            raise Malformed(f"element {text[:60]!r} has not the dimensions of its set")
        parts: list[Span | Name] = []
        for reader, value in zip(self.readers, values, strict=True):
            parts += reader(value)
        key = parts[0] if len(parts) == 1 else Joined(tuple(parts))
        return Element(key, None, "nomatch" in flags)

    def _address(self, text: str) -> Parts:
        if "/" in text or "-" in text:
            return ((network if "/" in text else address_range)(text, self.family),)
        low = address(text, self.family)
        return (Span(low, low | ((1 << (self.family.bits - self.prefix)) - 1)),)

    def _port(self, text: str) -> Parts:
        name, colon, value = text.rpartition(":")
        if not self.found.is_hash:
            return (ports(value, "-"),)
        wanted = protocol(name) if colon else 6
        if wanted in (1, 58):
            return (_single(wanted), Span(0, 0xFFFF))
        return (_single(wanted), ports(value, "-"))

    def _interface(self, text: str) -> Parts:
        if text.startswith("physdev:"):
            raise Malformed(f"a bridge port is looked for ({text[:40]!r})")
        if text.endswith("*"):
            raise Malformed(f"an interface whose name ends in an asterisk: {text[:40]!r}")
        return (Name(text + "*" if self.wildcard else text),)


def _flags(options: Iterable[str]) -> Iterable[str]:
    """Yield the words behind an element that stand alone; a comment is none of them."""
    takes_value = False
    for word in options:
        if not takes_value:
            yield word
        takes_value = not takes_value and word not in ("nomatch", "wildcard")


def _hardware(text: str) -> Parts:
    try:
        return (_single(int(text.replace(":", ""), 16)),)
    except ValueError as error:
        raise Malformed(f"{text[:40]!r} is not a hardware address") from error


def _single(value: int) -> Span:
    return Span(value, value)
