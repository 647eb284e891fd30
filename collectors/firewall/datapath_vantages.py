"""From where reachability is judged: the places that the configuration names, or those that follow from routes and addresses."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from collectors.firewall.datapath_network import documents
from collectors.firewall.datapath_rows import Sheet, compact
from contracts.subjects.datapath import Vantage

INTERNET = "internet"
LOOPBACK = "loopback"
_ANYBODY = {"4": "0.0.0.0/0", "6": "::/0"}
_BACK = ("127.0.0.0/8", "::1/128")


def put(sheet: Sheet, configured: Iterable[Vantage]) -> None:
    """Put the vantages on `sheet`: those that are configured, or without any the derived ones."""
    wanted = tuple(configured) or derived(documents(sheet, "link"), documents(sheet, "route"))
    for vantage in wanted:
        sheet.put("vantage", vantage.name, document=compact(vantage).decode())


def derived(
    links: Iterable[tuple[str, Mapping[str, Any]]], routes: Iterable[tuple[str, Mapping[str, Any]]]
) -> Iterator[Vantage]:
    """Yield the internet by each interface of a default route, every attached network, and this host itself."""
    ways: dict[str, dict[str, None]] = {}
    for family, route in routes:
        if route.get("dst") == "default" and route.get("type", "unicast") == "unicast":
            for interface in _interfaces(route):
                ways.setdefault(interface, {})[_ANYBODY[family]] = None
    for interface, sources in ways.items():
        name = INTERNET if len(ways) == 1 else f"{INTERNET} by {interface}"
        yield Vantage(name=name, sources=tuple(sources), interface=interface)
    for _, link in links:
        if "LOOPBACK" in link.get("flags", ()) or "UP" not in link.get("flags", ()) or _is_port(link):
            continue
        for network in dict.fromkeys(_networks(link)):
            yield Vantage(name=f"{link['ifname']} {network}", sources=(network,), interface=link["ifname"])
    yield Vantage(name=LOOPBACK, sources=_BACK, interface="lo")


def _interfaces(route: Mapping[str, Any]) -> list[str]:
    ways = [route, *route.get("nexthops", ())]
    return [str(way["dev"]) for way in ways if "dev" in way]


def _is_port(link: Mapping[str, Any]) -> bool:
    """Say whether a link is a bridge's port: what arrives there arrives, for IP, at the bridge."""
    return bool(link.get("linkinfo", {}).get("info_slave_kind") in ("bridge", "bond", "team"))


def _networks(link: Mapping[str, Any]) -> Iterator[str]:
    for entry in link.get("addr_info", ()):
        address = entry.get("address", entry.get("local"))  # of a point-to-point link: the other end
        try:
            network = ipaddress.ip_network(f"{address}/{entry.get('prefixlen')}", strict=False)
        except ValueError:
            continue
        if "address" in entry or network.num_addresses > 1:
            yield str(network)
