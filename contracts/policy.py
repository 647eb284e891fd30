"""The declared policy of the firewall: who may reach which service of this host. Everything else that arrives is refused.

Declared once in the configuration (`firewall.policy`), rendered, compared with reality and enforced from this one type. It checks itself:
what is wrong is a `ValueError` whose text begins with the setting within the policy (`services.ssh.ports[1]: …`).
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from contracts.record import Record

Network = IPv4Network | IPv6Network

MAX_PORT = 65535
LOOPBACK = "lo"
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_INTERFACE = re.compile(r"[^\s/\"*{}@\\]{1,15}")

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,30}$", examples=["office", "node-exporter"])]


class Zone(Record):
    """A part of the world: what arrives by one of `interfaces` (any, if none is named) from one of `networks` (any, likewise)."""

    interfaces: Annotated[
        tuple[str, ...], Meta(description="Names of the interfaces it arrives by; none: any.", examples=[["eth1"]])
    ] = ()
    networks: Annotated[
        tuple[str, ...],
        Meta(description="Networks it comes from; none: any.", examples=[["198.51.100.0/24", "2001:db8:7::/48"]]),
    ] = ()


class Service(Record):
    """Something on this host that others may reach."""

    ports: Annotated[
        tuple[str, ...], Meta(description="Ports and ranges.", examples=[["22"], ["80", "8000-8010"]], min_length=1)
    ]
    protocols: Annotated[
        tuple[Literal["tcp", "udp"], ...], Meta(description="Its protocols.", min_length=1, max_length=2)
    ] = ("tcp",)
    sources: Annotated[
        tuple[str, ...],
        Meta(description="Zones and networks that may reach it; none: anybody.", examples=[["office", "192.0.2.0/24"]]),
    ] = field(name="from", default=())
    family: Annotated[Literal["both", "ipv4", "ipv6"], Meta(description="Over which protocol of the network.")] = "both"
    rate: Annotated[
        str,
        Meta(
            description="How many new connections one source (one /64 of IPv6) may open; empty: any number.",
            examples=["30/minute"],
            pattern=r"^([1-9][0-9]{0,5}/(second|minute|hour|day))?$",
        ),
    ] = ""
    burst: Annotated[int, Meta(description="How many beyond the rate at once.", ge=1, le=100_000)] = 5


class Policy(Record):
    """Who may reach what. Without services nothing is declared."""

    enforce: Annotated[
        bool,
        Meta(
            description="Whether `holdfast firewall policy apply` may load it; otherwise it is only compared with reality."
        ),
    ] = False
    zones: Annotated[dict[Name, Zone], Meta(description="Parts of the world by name, for `from` of the services.")] = {}
    services: Annotated[
        dict[Name, Service],
        Meta(
            description="What may be reached, by name; everything else that arrives is refused.",
            examples=[{"ssh": {"ports": [22], "from": ["198.51.100.0/24"]}, "web": {"ports": [80, 443]}}],
        ),
    ] = {}
    ping: Annotated[bool, Meta(description="Whether echo requests are answered; what IP itself needs always is.")] = (
        True
    )
    dhcp: Annotated[bool, Meta(description="Whether answers of DHCP and DHCPv6 servers are let in.")] = True
    forward: Annotated[
        Literal["accept", "drop"],
        Meta(
            description="What becomes of packets for others (containers, routed networks): accept leaves them to the other rules, "
            "drop refuses new connections."
        ),
    ] = "accept"
    protect: Annotated[
        tuple[str, ...],
        Meta(
            description="Where this host must always get through to (ADDRESS:PORT) besides its console, backup targets for example; "
            "a policy that would cut them is refused.",
            examples=[["192.0.2.20:22", "[2001:db8::20]:22"]],
        ),
    ] = ()

    def __post_init__(self) -> None:
        for problem in problems(self):
            raise ValueError(problem)

    @property
    def declared(self) -> bool:
        """Whether there is a policy at all."""
        return bool(self.services)


def problems(policy: Policy) -> Iterator[str]:
    """Yield what is wrong with a policy, each beginning with the setting."""
    if policy.zones and not policy.services:
        yield "services: none is declared, so the policy is empty; name what may be reached"
    if policy.enforce and not policy.services:
        yield "enforce: there is no policy to enforce; declare services"
    for name, zone in policy.zones.items():
        yield from _zone(f"zones.{name}", zone)
    yield from _contradictions(policy.zones)
    for name, service in policy.services.items():
        yield from _service(f"services.{name}", service, policy.zones)
    for index, text in enumerate(policy.protect):
        try:
            endpoint(text)
        except ValueError as error:
            yield f"protect[{index}]: {error}"


def port_range(text: str) -> tuple[int, int]:
    """Return first and last port of `22` or `8000-8010`; raises `ValueError`."""
    match = _PORTS.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no port; write a port like 22 or a range like 8000-8010')
    first, last = int(match[1]), int(match[2] or match[1])
    for port in (first, last):
        if not 1 <= port <= MAX_PORT:
            raise ValueError(f'"{text}": {port} is not a port from 1 to {MAX_PORT}')
    if last < first:
        raise ValueError(f'"{text}" ends before it begins; write {last}-{first}')
    return first, last


def network(text: str) -> Network:
    """Return the network that `text` names (an address is a network of one); raises `ValueError`."""
    try:
        found = ip_network(text)
    except ValueError as error:
        try:
            wide = ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f'"{text}" is not a network; write it like 198.51.100.0/24 or 2001:db8::/32') from error
        raise ValueError(f'"{text}" has bits beyond its length; write {wide}') from error
    if found.version == 6 and found.prefixlen >= 96 and found.network_address.ipv4_mapped is not None:
        four = f"{found.network_address.ipv4_mapped}/{found.prefixlen - 96}".removesuffix("/32")
        raise ValueError(f'"{text}" arrives as IPv4; write {four}')
    return found


def endpoint(text: str) -> tuple[str, int]:
    """Return address and port of `192.0.2.20:22` or `[2001:db8::20]:22`; raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    form = f'"{text}" is no address with port; write it like 192.0.2.20:22 or [2001:db8::20]:22'
    if not colon or not port.isascii() or not port.isdecimal() or len(port) > 5:
        raise ValueError(form)
    try:
        found = ip_network(host[1:-1] if is_bracketed else host)
    except ValueError as error:
        raise ValueError(form) from error
    if (
        found.num_addresses != 1
        or "/" in host
        or is_bracketed != (found.version == 6)
        or not 1 <= int(port) <= MAX_PORT
    ):
        raise ValueError(form)
    return str(found.network_address), int(port)


def digest(policy: Policy) -> str:
    """Return a short digest that differs whenever what the policy lets in or refuses does (not `enforce` or `protect`)."""
    bare = msgspec.structs.replace(policy, enforce=False, protect=())
    return blake2b(msgspec.json.encode(bare, order="sorted"), digest_size=6).hexdigest()


def _zone(path: str, zone: Zone) -> Iterator[str]:
    if not (zone.interfaces or zone.networks):
        yield f"{path}: names neither an interface nor a network, so it would be everybody; add one"
    for index, name in enumerate(zone.interfaces):
        if not _INTERFACE.fullmatch(name):
            yield f'{path}.interfaces[{index}]: "{name}" is no name of an interface'
        if name == LOOPBACK:
            yield f"{path}.interfaces[{index}]: this host itself is never refused; name an interface that others arrive by"
    for index, text in enumerate(zone.networks):
        yield from _check(f"{path}.networks[{index}]", text)


def _check(path: str, text: str) -> Iterator[str]:
    try:
        network(text)
    except ValueError as error:
        yield f"{path}: {error}"


def _contradictions(zones: Mapping[str, Zone]) -> Iterator[str]:
    """Yield places that two zones claim word for word: a reader could not tell which of them a packet belongs to."""
    owners: dict[tuple[str, str], str] = {}
    for name, zone in zones.items():
        for place in [(i, n) for i in zone.interfaces or ("",) for n in zone.networks or ("",)]:
            owner = owners.setdefault(place, name)
            if owner != name:
                interface, net = place
                what = " by ".join(filter(None, (net, interface)))
                index = zone.networks.index(net) if net else zone.interfaces.index(interface)
                yield f"zones.{name}.{'networks' if net else 'interfaces'}[{index}]: {what} belongs to the zone {owner} already"


def _service(path: str, service: Service, zones: Mapping[str, Zone]) -> Iterator[str]:
    for index, text in enumerate(service.ports):
        try:
            port_range(text)
        except ValueError as error:
            yield f"{path}.ports[{index}]: {error}"
    if len(set(service.protocols)) < len(service.protocols):
        yield f"{path}.protocols: {service.protocols[0]} stands there twice"
    for index, source in enumerate(service.sources):
        yield from _source(f"{path}.from[{index}]", source, service, zones)


def _source(path: str, source: str, service: Service, zones: Mapping[str, Zone]) -> Iterator[str]:
    if source in zones:
        networks = zones[source].networks
    elif any(char in source for char in ".:/"):
        networks = (source,)
    else:
        yield f'{path}: "{source}" is neither a zone nor a network; zones here: {", ".join(zones) or "none"}'
        return
    found = []
    for text in networks:
        try:
            found.append(network(text))
        except ValueError as error:
            if source not in zones:
                yield f"{path}: {error}"
            return
    wanted = {"ipv4": 4, "ipv6": 6}.get(service.family, 0)
    if wanted and found and all(each.version != wanted for each in found):
        yield f"{path}: {source} has no {service.family} network, and the service is for {service.family} alone"
