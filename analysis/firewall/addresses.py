"""Addresses and networks as numbers, and back: what is compared thousands of times is compared as integers."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

WIDTHS = {4: 32, 6: 128}


@lru_cache(maxsize=4096)
def number(address: str) -> tuple[int, int]:
    """Return (family, number) of an address in text, an IPv4 address mapped into IPv6 as IPv4; raises `ValueError`."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.version, int(found)


@lru_cache(maxsize=4096)
def text(family: int, value: int) -> str:
    """Return the canonical text of an address."""
    return str(IPv4Address(value) if family == 4 else IPv6Address(value))


@lru_cache(maxsize=1024)
def span(network: str) -> tuple[int, int, int]:
    """Return (family, first, last) of a network in text; raises `ValueError`."""
    found = ip_network(network, strict=False)
    return found.version, int(found.network_address), int(found.broadcast_address)


@lru_cache(maxsize=1024)
def span_text(family: int, low: int, high: int) -> str:
    """Return a span as people write it: one address, a network, or `FIRST-LAST`."""
    if low == high:
        return text(family, low)
    size = high - low + 1
    if size & (size - 1) == 0 and low % size == 0:
        return f"{text(family, low)}/{WIDTHS[family] - size.bit_length() + 1}"
    return f"{text(family, low)}-{text(family, high)}"


@lru_cache(maxsize=1024)
def is_public(family: int, value: int) -> bool:
    """Say whether routers of the internet carry packets to the address (not so RFC 1918, RFC 4193, loopback, link-local …)."""
    return (IPv4Address(value) if family == 4 else IPv6Address(value)).is_global


@lru_cache(maxsize=1024)
def why_not_routed(family: int, value: int) -> str:
    """Return what an address that is not public is."""
    address = IPv4Address(value) if family == 4 else IPv6Address(value)
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_private:
        return "a private address"
    return "not an address of the internet"


@lru_cache(maxsize=1024)
def is_loopback(family: int, value: int) -> bool:
    """Say whether an address is one of the host itself by definition (127.0.0.0/8, ::1)."""
    return (IPv4Address(value) if family == 4 else IPv6Address(value)).is_loopback


@lru_cache(maxsize=1024)
def is_link_local(family: int, value: int) -> bool:
    """Say whether an address counts on its link alone (169.254.0.0/16, fe80::/10)."""
    return (IPv4Address(value) if family == 4 else IPv6Address(value)).is_link_local


@lru_cache(maxsize=1024)
def is_multicast(family: int, value: int) -> bool:
    """Say whether an address is that of a group (or of everybody: 255.255.255.255)."""
    address = IPv4Address(value) if family == 4 else IPv6Address(value)
    return address.is_multicast or (family == 4 and value == (1 << 32) - 1)
