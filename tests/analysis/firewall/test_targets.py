"""What is probed: listeners at the addresses a vantage meets, and which socket takes what arrives."""

from ipaddress import ip_address

import msgspec
import pytest

from analysis.firewall.model import Link, Network
from analysis.firewall.published import Candidate
from analysis.firewall.targets import Place, Sockets, Targets, counted
from analysis.firewall.vantages import Viewpoint
from contracts.subjects.ports import Listener

WEB = Listener(protocol="tcp", family=4, address="0.0.0.0", port=80, scope="any", process="nginx")
INTERNET = Viewpoint("internet", 4, "eth0", "8.8.4.4", ("198.51.100.5",), everywhere=True)
INTERNET6 = Viewpoint("internet", 6, "eth0", "2a00::1", ("2001:db8::5",), everywhere=True)
LAN = Viewpoint("lan", 4, "lan", "10.1.0.9", ("10.1.0.1",))
SELF = Viewpoint("loopback", 4, "", "127.0.0.1", ("127.0.0.1",))


def link(name: str, *addresses: str, broadcast: str = "") -> Link:
    end = int(ip_address(broadcast)) if broadcast else -1
    found = [ip_address(address) for address in addresses]
    return Link(name=name, addresses=tuple((int(each), 24, end, each.version, "global") for each in found))


NETWORK = Network(
    links={
        "lo": link("lo", "127.0.0.1", "::1"),
        "eth0": link("eth0", "198.51.100.5", "2001:db8::5"),
        "lan": link("lan", "10.1.0.1", broadcast="10.1.0.255"),
    }
)


def listener(**changes) -> Listener:
    return msgspec.structs.replace(WEB, **changes)


def aims(*points: Viewpoint, listeners: dict[str, Listener] | None = None, candidates: tuple[Candidate, ...] = ()):
    found = Targets(counted(listeners or {}), candidates, NETWORK).aims(points)
    return {(aim.point.vantage, aim.place.address, aim.place.port): aim for aim in found}


def test_a_listener_on_every_address_is_met_at_the_vantages_own() -> None:
    found = aims(INTERNET, LAN, SELF, listeners={"tcp/0.0.0.0:80": WEB})
    assert list(found) == [("internet", "198.51.100.5", 80), ("lan", "10.1.0.1", 80), ("loopback", "127.0.0.1", 80)]
    probe = found["internet", "198.51.100.5", 80].probe()
    assert (probe.source, probe.interface, probe.protocol) == ("8.8.4.4", "eth0", "tcp")


@pytest.mark.parametrize(("v6only", "met"), [(False, True), (None, True), (True, False)])
def test_a_listener_on_every_ipv6_address_takes_ipv4_unless_it_is_told_not_to(v6only, met) -> None:
    both = {"tcp/[::]:80": listener(family=6, address="::", v6only=v6only)}
    assert bool(aims(INTERNET, listeners=both)) is met
    assert aims(INTERNET6, listeners=both)


def test_this_host_sends_to_its_own_address_from_that_address() -> None:
    (aim,) = aims(SELF, listeners={"x": listener(address="10.1.0.1")}).values()
    assert (aim.probe().source, aim.probe().interface) == ("10.1.0.1", "")


def test_what_no_router_carries_is_barred_from_the_internet_and_not_from_a_neighbour() -> None:
    inside = {"x": listener(address="10.1.0.1"), "y": listener(address="127.0.0.1", port=6379)}
    found = aims(INTERNET, LAN, listeners=inside)
    assert (
        found["internet", "10.1.0.1", 80].barred
        == "10.1.0.1 is a private address of lan: no router leads there from internet"
    )
    assert "a loopback address" in found["internet", "127.0.0.1", 6379].barred
    assert found["lan", "10.1.0.1", 80].barred == found["lan", "127.0.0.1", 6379].barred == ""


def test_a_private_address_on_the_internets_own_interface_is_probed() -> None:
    behind_nat = INTERNET._replace(addresses=("10.0.0.5",))
    assert not aims(behind_nat, listeners={"x": listener(address="10.0.0.5")})["internet", "10.0.0.5", 80].barred


def test_groups_broadcasts_and_other_protocols_are_not_judged_and_say_so() -> None:
    odd = {
        "a": listener(protocol="udp", address="224.0.0.251", port=5353),
        "b": listener(protocol="udp", address="10.1.0.255", port=137),
        "c": listener(protocol="sctp", port=9),
    }
    assert all(aim.unjudged for aim in aims(LAN, listeners=odd).values())


def test_other_namespaces_and_clients_that_wait_for_answers_do_not_count() -> None:
    rows = {
        "tcp/0.0.0.0:80#4026": WEB,
        "udp/0.0.0.0:40000": listener(protocol="udp", port=40000, ephemeral=True),
        "udp/0.0.0.0:40001": listener(protocol="udp", port=40001, ephemeral=True, settled=True),
    }
    assert list(counted(rows)) == ["udp/0.0.0.0:40001"]


def test_a_published_port_is_probed_where_nothing_listens() -> None:
    floating = int(ip_address("203.0.113.77"))
    candidates = (Candidate(4, "tcp", 8080), Candidate(4, "tcp", 443, floating, floating), Candidate(6, "tcp", 1))
    found = aims(INTERNET, SELF, candidates=candidates)
    assert list(found) == [
        ("internet", "198.51.100.5", 8080),
        ("internet", "203.0.113.77", 443),
        ("loopback", "127.0.0.1", 8080),
    ]


def test_a_listener_whose_port_is_published_is_one_aim() -> None:
    (aim,) = aims(INTERNET, listeners={"x": WEB}, candidates=(Candidate(4, "tcp", 80),)).values()
    assert (aim.listener, aim.published) == ("x", True)


def taker(listeners: dict[str, Listener], address: str = "10.1.0.1", interface: str = "lan", family: int = 4):
    return Sockets(listeners).taker(Place(family, "tcp", address, 80), interface)


def test_the_most_particular_socket_takes_the_packet() -> None:
    rows = {
        "any6": listener(family=6, address="::", v6only=False),
        "any": WEB,
        "one": listener(address="10.1.0.1"),
    }
    assert taker(rows)[0] == "one"
    assert taker(rows, address="198.51.100.5")[0] == "any"
    assert taker({"any6": rows["any6"]})[0] == "any6"
    assert taker(rows, address="2001:db8::5", family=6)[0] == "any6"


def test_a_socket_bound_to_an_interface_takes_only_what_arrives_there() -> None:
    rows = {"bound": listener(interface="lan")}
    assert taker(rows)[0] == "bound"
    assert taker(rows, interface="eth0") == ("", "listens on lan alone")
    assert taker({**rows, "any": WEB}, interface="eth0")[0] == "any"
    assert taker({}) == ("", "nothing listens there")
