"""Which interfaces a frame passes besides the one it counts for: the ports of a bridge or bond, and what a VLAN or macvlan lies upon."""

from collections.abc import Mapping
from typing import NamedTuple

from analysis.firewall.cohort import Spread
from analysis.firewall.model import Link

LYING_UPON = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"})
"""Kinds of links whose frames come and go by the one that `ip link` names behind the @."""
_DEEPEST = 8
_NOWHERE = ""


class Level(NamedTuple):
    """By which interfaces packets pass at one level; `tagged` are those whose frames bear the tag of a VLAN there."""

    devices: Spread
    tagged: int


def below(links: Mapping[str, Link], name: str) -> tuple[str, ...]:
    """Return the interfaces right below one, by any of which its frames may come and go."""
    link = links.get(name)
    if link is None:
        return ()
    if link.lower:
        return (link.lower,)
    return tuple(one.name for one in links.values() if one.master == name and one.master_kind != "vrf")


def levels(links: Mapping[str, Link], devices: Spread, ports: Spread) -> list[Level]:
    """Return by which interfaces the packets that are at `devices` pass below them, level by level from the highest.

    A packet that may pass by several stands under each of them, and under "" if it may pass by none. `ports` are those that came by a
    port that is known.
    """
    found: list[Level] = []
    upper, tagged = devices, 0
    while len(found) < _DEEPEST:
        values: dict[str, int] = {}
        for name, bits in upper.values.items():
            lower = below(links, name) if name else ()
            link = links.get(name)
            tagged |= bits if link is not None and link.kind == "vlan" else 0
            known = bits & sum(ports.values.get(one, 0) for one in lower)
            for one in lower or (_NOWHERE,):
                values[one] = values.get(one, 0) | (bits & ~known) | (known & ports.values.get(one, 0))
        values = {name: bits for name, bits in values.items() if bits}
        if not any(values):
            break
        upper = Spread(values)
        found.append(Level(upper, tagged))
    return found
