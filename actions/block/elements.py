"""Puts networks into our sets and takes them out again: at once where nothing is in the way, in one transaction where something is."""

import ipaddress
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from actions.block import table
from actions.block.address import Network, canonical, inside, overlap
from actions.block.saved import Entry, Saved
from contracts.blocking import TABLE, decode, encode, set_name
from contracts.errors import HoldfastError
from contracts.host import Host, ReadOnlyHost
from contracts.netfilter import Element, NoSuchSet, Overlap
from contracts.record import Record


class Busy(HoldfastError):
    """The sets changed under our hands, again and again."""

    permanent = False


class Placed(Record):
    """How a network got into its set: `covered_by` an element that holds it already, or in the place of those `replaced`."""

    covered_by: str = ""
    replaced: tuple[str, ...] = ()
    until_ms: int = 0
    """Until when it is there now: those it replaced may have lasted longer than what was asked for."""
    loaded: bool = False
    """Whether the table was not there and was loaded with everything saved."""


def place(host: Host, saved: Saved, what: str, network: Network, entry: Entry, now_ms: int) -> Placed:
    """Put `network` into its set; the table is loaded first where it is gone. Raises `Unavailable`, `NotLoaded`, `Busy`."""
    name = set_name(what, network.version)
    element = as_element(canonical(network), entry, now_ms)
    loaded = False
    for _ in range(3):
        try:
            host.netfilter.add(TABLE, name, [element])
            return Placed(until_ms=entry.until_ms, loaded=loaded)
        except NoSuchSet:
            table.load(host, table.script(saved, now_ms))
            loaded = True
        except Overlap:
            try:
                return _beside(host, what, network, entry, now_ms, loaded)
            except NoSuchSet:
                continue
    raise Busy(f"the set {name} of table inet {TABLE} comes and goes", advice="look which tool flushes the firewall")


def remove(host: Host, what: str, networks: Sequence[Network]) -> list[str]:
    """Take `networks` out of their sets; return those that were there."""
    gone = []
    for network in networks:
        try:
            host.netfilter.delete(TABLE, set_name(what, network.version), [canonical(network)])
            gone.append(canonical(network))
        except NoSuchSet:
            continue  # it is not there, which is what was wanted
    return gone


def overlapping(host: ReadOnlyHost, what: str, network: Network) -> list[Element]:
    """Return the elements that share addresses with `network`; none where the table is not there."""
    try:
        found = host.netfilter.elements(TABLE, set_name(what, network.version))
    except NoSuchSet:
        return []
    return [one for one in found if any(overlap(network, part) for part in parts(one))]


def entries(host: ReadOnlyHost, what: str, now_ms: int) -> dict[str, Entry]:
    """Return what the kernel's two sets of `what` hold, as it is saved; nothing where the table is not there."""
    found: dict[str, Entry] = {}
    for version in (4, 6):
        try:
            elements = host.netfilter.elements(TABLE, set_name(what, version))
        except NoSuchSet:
            continue
        for one in elements:
            note = decode(one.comment)
            until_ms = now_ms + one.left_ms if one.timeout_ms else 0
            for part in parts(one):
                found[canonical(part)] = Entry(
                    since_ms=note.since_ms, until_ms=until_ms, who=note.who, reason=note.reason, cause=note.cause
                )
    return found


def parts(element: Element) -> list[Network]:
    """Return the networks that an element's interval consists of."""
    if not element.last:
        return [ipaddress.ip_network(element.network)]
    first, last = ipaddress.ip_address(element.network), ipaddress.ip_address(element.last)
    return list(ipaddress.summarize_address_range(first, last))


def as_element(network: str, entry: Entry, now_ms: int) -> Element:
    """Return the element that holds `entry` in the kernel."""
    return Element(network=network, timeout_ms=entry.left_ms(now_ms), comment=encode(table.note(entry)))


def without(entries: Mapping[str, Entry], networks: Sequence[str]) -> dict[str, Entry]:
    """Return `entries` without `networks`."""
    return {network: entry for network, entry in entries.items() if network not in networks}


def _beside(host: Host, what: str, network: Network, entry: Entry, now_ms: int, loaded: bool) -> Placed:
    """Place `network` where other elements share addresses with it."""
    name = set_name(what, network.version)
    found = overlapping(host, what, network)
    for one in found:
        until_ms = now_ms + one.left_ms if one.timeout_ms else 0
        holds_all = any(inside(network, part) for part in parts(one))
        lasts_longer = not until_ms or (entry.until_ms and until_ms >= entry.until_ms - 1000)
        if holds_all and (lasts_longer or one.network != canonical(network)):
            return Placed(covered_by=one.network, until_ms=until_ms, loaded=loaded)
    gone = [canonical(part) for one in found for part in parts(one)]
    lasting = [one for one in found if not one.timeout_ms]
    latest = max((now_ms + one.left_ms for one in found), default=0)
    until_ms = 0 if lasting or not entry.until_ms else max(entry.until_ms, latest)
    element = as_element(canonical(network), replace(entry, until_ms=until_ms), now_ms)
    host.netfilter.change(TABLE, {name: found}, {name: [element]})
    return Placed(replaced=tuple(gone), until_ms=until_ms, loaded=loaded)
