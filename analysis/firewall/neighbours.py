"""Whether those on a link can find this host: who lets a port in, and does not answer the question for its link address, lets nobody in.

Over IPv6 that question is a neighbour solicitation (RFC 4861), which rules see. Over IPv4 it is ARP, which no rule of the IP families sees,
but which the sysctls `arp_ignore` and `arp_filter` leave without an answer (Documentation/networking/ip-sysctl.rst of the kernel).
"""

from collections.abc import Iterable, Iterator

from analysis.firewall.addresses import number
from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Datapath, Link
from analysis.firewall.network import Flow, Router
from analysis.firewall.probe import SOLICITATION, Probe, Verdict

_ETHER = 1
_SAME_SUBNET, _NOT_OF_HOST, _NEVER = 2, 3, 8
_ASKING = "fe80::5e11:c17e:d0e5:1"
"""Any neighbour: his own address on the link."""


def hidden(datapath: Datapath, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return, by interface and own address there, what keeps neighbours from finding it; those that can be found are not in it."""
    places = [place for place in dict.fromkeys(places) if _asks(datapath, *place)]
    return dict(_solicited(datapath, [place for place in places if ":" in place[1]])) | dict(
        _resolved(datapath, [place for place in places if ":" not in place[1]])
    )


def _solicited(datapath: Datapath, places: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the IPv6 addresses for which a solicitation is blocked, and by what."""
    probes = [
        Probe(family=6, protocol=SOLICITATION, source=_ASKING, destination=address, port=0, interface=interface)
        for interface, address in places
    ]
    if not probes:
        return
    answers = evaluate(datapath, probes)
    for index, (place, verdict) in enumerate(zip(places, answers.verdicts(), strict=True)):
        if verdict is Verdict.BLOCKED:
            yield place, answers.answer(index, steps=False).causes[-1].text


def _resolved(datapath: Datapath, places: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the IPv4 addresses for which ARP is not answered to any neighbour of their link, and by which switch."""
    router: Router | None = None
    for interface, address in places:
        link, (_, own) = datapath.network.links[interface], number(address)
        mode, filters = (_greatest(datapath, interface, name) for name in ("arp_ignore", "arp_filter"))
        if _ignores(mode, link, own):
            yield (interface, address), f"arp_ignore {mode} of {interface}"
        elif filters and (ways := _answered_by(router := router or Router(datapath.network), link, own)):
            yield (interface, address), f"arp_filter of {interface}: the way to its neighbours is by {', '.join(ways)}"


def _greatest(datapath: Datapath, interface: str, name: str) -> int:
    """Return a switch of a link: the greater of its own and everybody's value."""
    switches = datapath.network.switches
    values = (switches.get(f"net.ipv4.conf.{place}.{name}", "0") for place in ("all", interface))
    return max(int(value) if value.isdecimal() else 0 for value in values)


def _ignores(mode: int, link: Link, address: int) -> bool:
    """Say whether `arp_ignore` leaves all neighbours of a link without an answer for an address that the link has."""
    own = [entry for entry in link.addresses if entry[3] == 4]
    if mode == _SAME_SUBNET:
        return not any(length < 32 and address >> (32 - length) == one >> (32 - length) for one, length, *_ in own)
    if mode == _NOT_OF_HOST:
        return all(scope == "host" for one, _, _, _, scope in own if one == address)
    return mode == _NEVER


def _answered_by(router: Router, link: Link, address: int) -> tuple[str, ...]:
    """Return the interfaces by which answers to the neighbours of a link would leave; none if any may leave by the link itself.

    With `arp_filter` only the interface by which it would send to who asks answers him.
    """
    ways: dict[str, None] = {}
    for one, length, _, family, _ in link.addresses:
        if family != 4 or length > 30:
            continue
        low = one >> (32 - length) << (32 - length)
        asking = next(low + step for step in (1, 2, 3) if not router.is_own(4, low + step) or step == 3)
        found = router.lookup(Flow(4, asking, address))
        if found.unsure or link.name in found.devices or not found.devices:
            return ()
        ways |= dict.fromkeys(found.devices)
    return tuple(ways)


def _asks(datapath: Datapath, interface: str, address: str) -> bool:
    """Say whether neighbours of a link have to ask for an address that it has."""
    link = datapath.network.links.get(interface)
    if link is None or link.type != _ETHER or link.point_to_point:
        return False
    return any((held[3], held[0]) == number(address) for held in link.addresses)
