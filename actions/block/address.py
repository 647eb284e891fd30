"""Addresses and networks as people and events write them, in one canonical form."""

import ipaddress
from collections.abc import Iterable

from contracts.errors import UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_TEXT = 64
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")


def parse(text: str) -> Network:
    """Return the network that `text` names, an IPv4 address inside an IPv6 one as itself; raises `UsageError`."""
    word = text.strip()
    try:
        if len(word) > _MAX_TEXT or "%" in word:
            raise ValueError
        found: Network = ipaddress.ip_network(word, strict=False)
    except ValueError as error:
        advice = "write 203.0.113.7, 203.0.113.0/24, 2001:db8::1 or 2001:db8::/64"
        raise UsageError(f'"{_shown(text)}" is no address and no network', advice=advice) from error
    address, slash, _ = word.partition("/")
    if slash and ipaddress.ip_address(address) != found.network_address:
        raise UsageError(f"{word} has bits beyond its length", advice=f"write {found}, or {address} for that one alone")
    if found.version == 6 and found.prefixlen >= _MAPPED.prefixlen and found.network_address in _MAPPED:
        return ipaddress.ip_network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - _MAPPED.prefixlen))
    return found


def check_never(words: Iterable[str]) -> None:
    """Raise `ValueError` for a word of a `never` setting that names no network: it would protect nobody."""
    for word in words:
        try:
            ipaddress.ip_network(word.partition("%")[0], strict=False)
        except ValueError as error:
            shown = _shown(word)
            raise ValueError(
                f'never: "{shown}" is no address and no network; write 192.0.2.10 or 192.0.2.0/24'
            ) from error


def canonical(network: Network) -> str:
    """Return the text for a network; a single address without its length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def overlap(one: Network, other: Network) -> bool:
    """Say whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


def inside(one: Network, other: Network) -> bool:
    """Say whether all of `one` is in `other`."""
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _shown(text: str) -> str:
    word = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in word)
