"""Address and port groups of a rule's header: lists, nesting, negation and variables, made into sets.

As in Suricata, what is negated anywhere in a list is taken out of everything that the list names, and a list that only negates is
taken out of everything there is.
"""

import ipaddress
from collections.abc import Callable, Mapping

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.ranges import minus, union
from collectors.traffic.rules.language.values import Addresses, Ports, Ranges, packed

DEEPEST = 64
ALL_V4: Ranges = ((0, (1 << 32) - 1),)
ALL_V6: Ranges = ((0, (1 << 128) - 1),)
ALL_PORTS: Ranges = ((0, 65_535),)

Leaf = tuple[str, bool]


def addresses(text: str, variables: Mapping[str, str]) -> Addresses:
    """Return the set that an address group of a header stands for."""
    word = text.strip()
    if word == "any":
        return Addresses(True, ALL_V4, packed(ALL_V6))
    taken: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    holes: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for leaf, negated in _leaves(word, variables, False, 0):
        for version, found in _address(leaf):
            (holes if negated else taken)[version].append(found)
    positive = bool(taken[0] or taken[1])
    v4, v6 = (union(kind) for kind in taken) if positive else (ALL_V4, ALL_V6)
    v4, v6 = minus(v4, union(holes[0])), minus(v6, union(holes[1]))
    if not v4 and not v6:
        raise Refused(f"{word}: no address is left")
    return Addresses(v4 == ALL_V4 and v6 == ALL_V6, v4, packed(v6))


def ports(text: str, variables: Mapping[str, str]) -> Ports:
    """Return the set that a port group of a header stands for."""
    word = text.strip()
    if word == "any":
        return Ports(True, ALL_PORTS)
    taken: list[tuple[int, int]] = []
    holes: list[tuple[int, int]] = []
    for leaf, negated in _leaves(word, variables, False, 0):
        (holes if negated else taken).append(_port(leaf))
    left = minus(union(taken) if taken else ALL_PORTS, union(holes))
    if not left:
        raise Refused(f"{word}: no port is left")
    return Ports(left == ALL_PORTS, left)


def _leaves(text: str, variables: Mapping[str, str], negated: bool, depth: int) -> list[Leaf]:
    if depth > DEEPEST:
        raise Refused("groups or variables are nested too deeply, or name each other")
    word = text.strip()
    if word.startswith("!"):
        if word[1:].strip() == "any":
            raise Refused('"!any" leaves nothing')
        return _leaves(word[1:], variables, not negated, depth + 1)
    if word.startswith("["):
        found: list[Leaf] = []
        for item in _items(word):
            found += _leaves(item, variables, negated, depth + 1)
        return found
    if word.startswith("$"):
        value = variables.get(word[1:])
        if value is None:
            raise Refused(f"{word} is not set; set it under the sensor's variables")
        return _leaves(value, variables, negated, depth + 1)
    if not word:
        raise Refused("an item of a group is empty")
    return [(word, negated)]


def _items(word: str) -> list[str]:
    """Return the items of `[…]`, split at the commas of its own level."""
    if not word.endswith("]"):
        raise Refused(f"{word}: a bracket is not closed")
    items, level, begin = [], 0, 1
    for at, char in enumerate(word):
        level += (char == "[") - (char == "]")
        if level == 0 and at != len(word) - 1:
            raise Refused(f"{word}: a bracket is closed too early")
        if level == 1 and char == ",":
            items.append(word[begin:at])
            begin = at + 1
    if level != 0:
        raise Refused(f"{word}: a bracket is not closed")
    return [*items, word[begin:-1]]


def _address(leaf: str) -> list[tuple[int, tuple[int, int]]]:
    if leaf == "any":
        return [(0, ALL_V4[0]), (1, ALL_V6[0])]
    try:
        if "-" in leaf:
            low, high = (ipaddress.ip_address(part.strip()) for part in leaf.split("-"))
            if low.version != high.version or int(low) > int(high):
                raise Refused(f"{leaf} is not a range of addresses")
            return [(int(low.version == 6), (int(low), int(high)))]
        network = ipaddress.ip_network(leaf, strict=False)
    except ValueError:
        raise Refused(f'"{leaf}" is not an address') from None
    return [(int(network.version == 6), (int(network.network_address), int(network.broadcast_address)))]


def _port(leaf: str) -> tuple[int, int]:
    if leaf == "any":
        return ALL_PORTS[0]
    low, colon, high = leaf.partition(":")
    number: Callable[[str, int], int] = lambda word, default: int(word) if word.strip() else default  # noqa: E731
    try:
        found = (number(low, 0), number(high, 65_535) if colon else int(low))
    except ValueError:
        raise Refused(f'"{leaf}" is not a port') from None
    if not 0 <= found[0] <= found[1] <= 65_535:
        raise Refused(f'"{leaf}" is not a port or range of ports')
    return found
