"""What routing makes of one packet that arrives: delivered here, forwarded, or dropped as martian, by rp_filter, for want of a route …"""

from typing import NamedTuple

from analysis.firewall.network import (
    ANYCAST,
    BROADCAST,
    LOCAL_TYPE,
    MULTICAST,
    UNICAST,
    Flow,
    Found,
    Router,
)
from analysis.firewall.values import written

TCP = 6
_ALL_NODES = 0xE0000001
_KINDS = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}


class Decision(NamedTuple):
    """`way` is local, forward, drop or unsure; `cause` and `text` say why it is dropped or unsure; `devices` it may be forwarded by.

    `doubt` names what could not be decided although there is a way.
    """

    way: str
    cause: str = ""
    text: str = ""
    devices: tuple[str, ...] = ()
    doubt: str = ""


def decide(router: Router, flow: Flow) -> Decision:
    """Return what becomes of a packet that arrived by `flow.iif`."""
    link = router.links.get(flow.iif)
    if link is not None and link.master_kind == "vrf":
        return Decision("unsure", "unknown", f"{flow.iif} belongs to the VRF {link.master}")
    return _six(router, flow) if flow.family == 6 else _four(router, flow)


def _four(router: Router, flow: Flow) -> Decision:
    source, target, device = flow.source, flow.destination, flow.iif
    if source >> 28 == 0xE or source == 0xFFFFFFFF or source >> 24 == 0:
        return _martian(flow, "no host has this source address")
    if target == 0xFFFFFFFF:
        return _broadcast(router, flow)
    if target >> 24 == 0:
        return _martian(flow, "no host has this destination address")
    if 127 in (target >> 24, source >> 24) and not router.any_of(device, "route_localnet"):
        return _martian(flow, "loopback addresses come from the loopback interface only")
    if target >> 28 == 0xE:
        return _multicast(flow)
    found = router.lookup(flow)
    if found.unsure:
        return Decision("unsure", "unknown", found.unsure)
    if found.kind == BROADCAST:
        return _broadcast(router, flow)
    if found.kind == LOCAL_TYPE:
        return _validate(router, flow, Decision("local"))
    if not router.forwards(4, device):
        if found.kind == UNICAST:
            return Decision(
                "drop", "forwarding", f"{written(4, target)} is not here, and {device} does not forward (ip_forward)"
            )
        return Decision("drop", "routing", _no_route(flow, found))
    if found.kind != UNICAST:
        return Decision("drop", "routing", _no_route(flow, found))
    return _validate(router, flow, Decision("forward", devices=found.devices))


def _validate(router: Router, flow: Flow, decision: Decision) -> Decision:
    """Check the source as `fib_validate_source` does: own addresses from outside, and the reverse path."""
    device, source = flow.iif, flow.source
    strictness = router.rp_filter(device)
    accepts_own = router.any_of(device, "accept_local")
    if not strictness and not router.validates:
        if not accepts_own and router.is_own(4, source):
            return _martian(flow, "the source is an address of this host")
        return decision
    mark = flow.mark if router.any_of(device, "src_valid_mark") else 0
    ahead = (
        decision.devices[0] if decision.devices else ""
    )  # a packet to be forwarded is looked up as if it came from there
    found = router.lookup(Flow(4, source, flow.destination, iif=ahead, mark=mark))
    if found.unsure:
        return Decision("unsure", "unknown", found.unsure)
    if found.kind == 0 or found.kind in _KINDS:
        if not strictness:
            return decision
        return Decision("drop", "rp_filter", f"rp_filter of {device}: no route back to {written(4, source)}")
    if found.kind != UNICAST and not (found.kind == LOCAL_TYPE and accepts_own):
        return _martian(flow, "the source is an address of this host, or no host's")
    if device in found.devices:
        return decision
    link = router.links.get(device)
    has_address = link is not None and any(entry[3] == 4 for entry in link.addresses)
    if strictness == 1 or (strictness and not has_address):
        way = ", ".join(found.devices)
        return Decision("drop", "rp_filter", f"rp_filter of {device}: the way back to {written(4, source)} is by {way}")
    return decision


def _six(router: Router, flow: Flow) -> Decision:
    source, target, device = flow.source, flow.destination, flow.iif
    if router.switch(f"net.ipv6.conf.{device}.disable_ipv6", 0):
        return Decision("drop", "routing", f"IPv6 is switched off on {device} (disable_ipv6)")
    if 1 in (source, target):
        return _martian(flow, "::1 comes from the loopback interface only")
    if source >> 120 == 0xFF or source == 0 or target == 0:
        return _martian(flow, "no host has this address")
    if target >> 120 == 0xFF:
        return _multicast(flow)
    near = _is_near(target)
    found = router.lookup(flow._replace(oif=device) if near else flow)
    if found.unsure:
        return Decision("unsure", "unknown", found.unsure)
    if found.kind == LOCAL_TYPE:
        return Decision("local")
    if found.kind == ANYCAST:
        return (
            Decision("drop", "routing", "TCP to an anycast address is not answered")
            if flow.protocol == TCP
            else Decision("local")
        )
    if found.kind != UNICAST:
        return Decision("drop", "routing", _no_route(flow, found))
    if not router.forwards(6, device):
        return Decision(
            "drop",
            "forwarding",
            f"{written(6, target)} is not here, and nothing is forwarded (net.ipv6.conf.all.forwarding)",
        )
    if near or _is_near(source):
        return Decision("drop", "routing", "link-local addresses are not forwarded")
    return Decision("forward", devices=found.devices)


def _broadcast(router: Router, flow: Flow) -> Decision:
    if flow.protocol == TCP:
        return Decision("drop", "routing", "TCP to a broadcast address is not answered")
    return _validate(router, flow, Decision("local"))


def _multicast(flow: Flow) -> Decision:
    if flow.protocol == TCP:
        return Decision("drop", "routing", "TCP to a multicast address is not answered")
    if flow.destination == _ALL_NODES:
        return Decision("local")
    return Decision("unsure", "unknown", f"whether this host is in the group {written(flow.family, flow.destination)}")


def _martian(flow: Flow, why: str) -> Decision:
    source, target = written(flow.family, flow.source), written(flow.family, flow.destination)
    return Decision("drop", "martian", f"martian: {source} to {target} by {flow.iif}: {why}")


def _no_route(flow: Flow, found: Found) -> str:
    kind = {BROADCAST: "broadcast", MULTICAST: "multicast", **_KINDS}.get(found.kind, "")
    if not kind:
        return f"no route to {written(flow.family, flow.destination)}"
    return f"{written(flow.family, flow.destination)} is routed as {kind} ({found.text})"


def _is_near(address: int) -> bool:
    return address >> 118 == 0xFE80 >> 6
