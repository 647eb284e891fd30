"""Reads the commonest element of sets, an address or a network, by the short way: there may be hundreds of thousands."""

from typing import Any

from analysis.firewall.model import Span
from analysis.firewall.values import address, network


def address_key(item: Any) -> Span | None:
    """Return the address or network that an element in nft's JSON is, None for anything else; an impossible length raises `ValueError`."""
    if type(item) is dict and "elem" in item:
        item = item["elem"]["val"]
    if type(item) is str:
        found = address(item)
        return None if found is None else Span(found[1], found[1])
    if type(item) is not dict or "prefix" not in item:
        return None
    prefix = item["prefix"]
    found = address(prefix["addr"])
    return None if found is None else Span(*network(found[1], prefix["len"], 32 if found[0] == 4 else 128))
