"""Addresses and networks as people and events write them, in one canonical form."""

import ipaddress

from contracts.errors import UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_TEXT = 64
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")


def parse(text: str) -> Network:
    """Return the network that `text` names, an IPv4 address inside an IPv6 one as itself; raises `UsageError`."""
    word = text.strip()
    try:
        found: Network = ipaddress.ip_network(word) if len(word) <= _MAX_TEXT and "%" not in word else _never()
    except ValueError as error:
        raise UsageError(
            f'"{_shown(text)}" is no address and no network',
            advice="write 203.0.113.7, 203.0.113.0/24, 2001:db8::1 or 2001:db8::/64 (without host bits)",
        ) from error
    if found.version == 6 and found.prefixlen >= _MAPPED.prefixlen and found.network_address in _MAPPED:
        return ipaddress.ip_network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - _MAPPED.prefixlen))
    return found


def canonical(network: Network) -> str:
    """Return the text for a network; a single address without its length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def overlap(one: Network, other: Network) -> bool:
    """Say whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


def inside(one: Network, other: Network) -> bool:
    """Say whether all of `one` is in `other`."""
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _never() -> Network:
    raise ValueError


def _shown(text: str) -> str:
    word = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in word)
