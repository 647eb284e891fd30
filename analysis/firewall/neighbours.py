"""Whether those on a link can find this host over IPv6: rules that let a port in, and not the question for its link address, let nobody in.

Over IPv4 that question is ARP, which no rule of the IP families sees. What is asked here is a neighbour solicitation (RFC 4861).
"""

from collections.abc import Iterable

from analysis.firewall.addresses import number
from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Datapath
from analysis.firewall.probe import SOLICITATION, Probe, Verdict

_ETHER = 1
_ASKING = "fe80::5e11:c17e:d0e5:1"
"""Any neighbour: his own address on the link."""


def hidden(datapath: Datapath, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return, by interface and own IPv6 address there, what keeps neighbours from finding it; those that can be found are not in it."""
    places = [place for place in dict.fromkeys(places) if _asks(datapath, *place)]
    probes = [
        Probe(family=6, protocol=SOLICITATION, source=_ASKING, destination=address, port=0, interface=interface)
        for interface, address in places
    ]
    if not probes:
        return {}
    answers = evaluate(datapath, probes)
    return {
        place: answers.answer(index, steps=False).causes[-1].text
        for index, (place, verdict) in enumerate(zip(places, answers.verdicts(), strict=True))
        if verdict is Verdict.BLOCKED
    }


def _asks(datapath: Datapath, interface: str, address: str) -> bool:
    """Say whether neighbours of a link have to ask for an address that it has."""
    link = datapath.network.links.get(interface)
    if ":" not in address or link is None or link.type != _ETHER or link.point_to_point:
        return False
    return any((held[3], held[0]) == number(address) for held in link.addresses)
