"""What a policy must not cut, as probes to evaluate: SSH sessions, console, backup targets, and what the policy itself protects."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from agent.cli.sessions import Session, sessions
from contracts.policy import Policy, endpoint

if TYPE_CHECKING:
    from analysis.firewall.model import Datapath
    from analysis.firewall.policy_diff import Target


class Need(NamedTuple):
    """A place elsewhere that this host must get through to: what it is, its host (a name or an address), the port."""

    name: str
    host: str
    port: int


def targets(datapath: "Datapath", policy: Policy, needs: Iterable[Need]) -> "tuple[list[Target], list[str]]":
    """Return what must stay reachable, and what of that cannot be told."""
    open_sessions, unknown = sessions()
    found = [target for each in open_sessions if (target := _session(datapath, each)) is not None]
    wanted = [(f"the protected address {text}", *endpoint(text)) for text in policy.protect]
    notes = [f"may cut SSH sessions that cannot be seen: {text}" for text in unknown]
    for need in needs:
        addresses, trouble = _resolve(need.host, need.port)
        wanted += [(need.name, address, need.port) for address in addresses]
        notes += [f"may cut {need.name}: {trouble}"] if trouble else []
    for name, address, port in wanted:
        target = _outward(datapath, name, address, port)
        if target is not None:
            found.append(target)
    return found, notes


def _session(datapath: "Datapath", each: Session) -> "Target | None":
    """Return the session as a new connection from the same peer, because that is how its owner comes back; None on this host itself."""
    from analysis.firewall.addresses import number
    from analysis.firewall.policy_diff import Target
    from analysis.firewall.probe import Probe
    from analysis.firewall.vantages import route_back

    if ip_address(each.peer).is_loopback:
        return None
    family, peer = number(each.peer)
    interface = route_back(datapath.network, family, peer) or _holder(datapath, each.address)
    probe = Probe(
        family=family,
        protocol="tcp",
        source=each.peer,
        destination=each.address,
        port=each.port,
        interface=interface,
    )
    return Target(name=f"the SSH session of {each.user} from {each.peer} to port {each.port}", probe=probe)


def _outward(datapath: "Datapath", name: str, address: str, port: int) -> "Target | None":
    """Return a connection of this host itself to `address`; None where it has no address to begin it with."""
    from analysis.firewall.addresses import number, text
    from analysis.firewall.policy_diff import Target
    from analysis.firewall.probe import Probe
    from analysis.firewall.vantages import route_back

    family, there = number(address)
    link = datapath.network.links.get(route_back(datapath.network, family, there))
    own = [
        own
        for own, _, _, kind, scope in (link.addresses if link is not None else ())
        if kind == family and scope != "link"
    ]
    if not own:
        return None
    probe = Probe(family=family, protocol="tcp", source=text(family, own[0]), destination=address, port=port)
    return Target(name=name, probe=probe)


def _holder(datapath: "Datapath", address: str) -> str:
    """Return the interface that has `address`."""
    from analysis.firewall.addresses import number

    wanted = number(address)
    for name, link in datapath.network.links.items():
        if any((kind, own) == wanted for own, _, _, kind, _ in link.addresses):
            return name
    return ""


def _resolve(host: str, port: int) -> tuple[list[str], str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return [], f"{host} does not resolve ({(error.strerror or str(error)).lower()})"
    return sorted({str(each[4][0]) for each in found}), ""
