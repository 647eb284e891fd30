"""Who stands for a vantage, where it arrives, which own addresses it meets."""

from ipaddress import ip_address, ip_network

import pytest

from analysis.firewall import vantages as module
from analysis.firewall.model import Datapath, Link, Network, Route, RoutingRule, Span
from analysis.firewall.named import Named
from analysis.firewall.vantages import detached, route_back, viewpoints
from contracts.subjects.datapath import Vantage

INTERNET = Vantage(name="internet", sources=("0.0.0.0/0", "::/0"))


def number(text: str) -> int:
    return int(ip_address(text))


def address(text: str, length: int, scope: str = "global") -> tuple[int, int, int, int, str]:
    found = ip_address(text)
    return int(found), length, -1, found.version, scope


def route(text: str, device: str, metric: int = 0, **more) -> Route:
    network = ip_network(text)
    return Route(
        family=network.version, table=254, low=int(network.network_address), high=int(network.broadcast_address),
        length=network.prefixlen, device=device, devices=(device,), metric=metric, **more,
    )  # fmt: skip


NETWORK = Network(
    links={
        "lo": Link(name="lo", loopback=True, addresses=(address("127.0.0.1", 8, "host"), address("::1", 128, "host"))),
        "eth0": Link(name="eth0", addresses=(address("198.51.100.5", 24), address("2001:db8::5", 64), address("fe80::5", 64, "link"))),
        "lan": Link(name="lan", addresses=(address("10.1.0.1", 24),)),
    },
    routes=(
        route("0.0.0.0/0", "eth0"), route("::/0", "eth0"), route("198.51.100.0/24", "eth0"), route("10.1.0.0/24", "lan"),
        route("10.9.0.0/16", "lan"),
    ),
)  # fmt: skip
WAYS = Datapath(network=NETWORK, cache={})


def points(*given: Vantage, named: tuple[Named, ...] = (), spans: tuple[tuple[int, int, int], ...] = ()):
    return {(point.vantage, point.family): point for point in viewpoints(given, WAYS, named, spans)}


def named(text: str, *ports: tuple[int, int], label: str = "") -> Named:
    network = ip_network(text)
    return Named(network.version, int(network.network_address), int(network.broadcast_address), label, ports)


def test_a_network_is_met_at_the_address_within_it_and_this_host_at_loopback() -> None:
    loopback = Vantage(name="loopback", sources=("127.0.0.0/8", "::1/128"), interface="lo")
    lan = Vantage(name="lan", sources=("10.1.0.0/24",), interface="lan")
    link = Vantage(name="link", sources=("fe80::/64",), interface="eth0")
    found = points(INTERNET, lan, link, loopback)
    assert found["internet", 4].interface == found["internet", 6].interface == "eth0"
    assert found["lan", 4].addresses == ("10.1.0.1",)
    assert ("lan", 6) not in found
    assert found["link", 6].addresses == ("fe80::5",)
    assert (found["loopback", 6].interface, found["loopback", 6].addresses) == ("", ("::1",))


def test_the_internet_meets_the_addresses_of_its_interface_and_not_link_local_ones() -> None:
    found = points(INTERNET)
    assert found["internet", 4].addresses == ("198.51.100.5",)
    assert found["internet", 6].addresses == ("2001:db8::5",)
    assert found["internet", 4].everywhere
    assert ip_address(found["internet", 4].source).is_global


def test_nobody_stands_for_anybody_whom_a_rule_names() -> None:
    usual_one = number(points(INTERNET)["internet", 4].source)
    half = usual_one & 0xFF000000
    again = points(INTERNET, spans=((4, half, half | 0xFFFFFF),))["internet", 4].source
    assert number(again) & 0xFF000000 != half


def test_where_every_address_is_named_somebody_stands_for_the_vantage_all_the_same() -> None:
    halves = ((4, number("10.1.0.0"), number("10.1.0.127")), (4, number("10.1.0.128"), number("10.1.0.255")))
    lan = Vantage(name="lan", sources=("10.1.0.0/24",), interface="lan")
    assert number(points(lan, spans=halves)["lan", 4].source) in range(number("10.1.0.2"), number("10.1.0.255"))


def test_a_vantage_of_one_address_is_that_address() -> None:
    assert points(Vantage(name="x", sources=("203.0.113.9",)))["x", 4].source == "203.0.113.9"
    assert points(Vantage(name="x", sources=("203.0.113.8/31",)))["x", 4].source in ("203.0.113.8", "203.0.113.9")


def test_own_addresses_never_stand_for_others() -> None:
    assert points(Vantage(name="x", sources=("10.1.0.0/30",)))["x", 4].source == "10.1.0.2"


def test_a_named_network_belongs_to_the_narrowest_vantage_that_holds_it() -> None:
    lan = Vantage(name="lan", sources=("10.1.0.0/24",), interface="lan")
    found = points(INTERNET, lan, named=(named("10.1.0.128/25"), named("203.0.113.0/24", (5432, 5432))))
    assert [each.network for each in found["lan", 4].somebodies] == ["10.1.0.128/25"]
    (somebody,) = found["internet", 4].somebodies
    assert somebody.network == "203.0.113.0/24"
    assert ip_address(somebody.source) in ip_network("203.0.113.0/24")


def test_a_named_network_behind_another_interface_is_no_part_of_the_internet() -> None:
    assert points(INTERNET, named=(named("10.9.0.0/16"),))["internet", 4].somebodies == ()


def test_the_same_network_in_two_rules_is_tried_once_for_the_ports_of_both() -> None:
    (somebody,) = points(INTERNET, named=(named("203.0.113.0/24", (22, 22)), named("203.0.113.0/24", (25, 25))))[
        "internet", 4
    ].somebodies
    assert somebody.named.concerns(22)
    assert somebody.named.concerns(25)
    assert not somebody.named.concerns(80)


def test_that_there_are_more_networks_than_can_be_tried_is_said(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 2)
    many = tuple(named(f"203.0.{number}.0/24") for number in range(5))
    found = points(INTERNET, named=many)["internet", 4]
    assert (len(found.somebodies), found.is_all) == (2, False)
    assert points(INTERNET, named=many[:2])["internet", 4].is_all


def test_what_no_route_leads_to_is_not_judged_from_and_said() -> None:
    lonely = Datapath(network=Network(links=NETWORK.links, routes=NETWORK.routes[:1]))
    found = viewpoints((INTERNET,), lonely, (), ())
    assert [point.family for point in found] == [4]
    assert detached((INTERNET,), found) == (("internet", 6),)


def test_an_interface_that_is_down_or_gone_leads_nowhere() -> None:
    gone = Vantage(name="gone", sources=("10.1.0.0/24",), interface="wg9")
    assert points(gone) == {}


@pytest.mark.parametrize(
    ("to", "device"), [("10.1.0.9", "lan"), ("10.9.3.3", "lan"), ("8.8.8.8", "eth0"), ("2001:db8:9::1", "eth0")]
)
def test_the_longest_route_leads_back(to, device) -> None:
    found = ip_address(to)
    assert route_back(NETWORK, found.version, int(found)) == device


def test_of_equal_routes_the_smaller_metric_wins_and_refusing_routes_lead_nowhere() -> None:
    two = Network(routes=(route("0.0.0.0/0", "slow", metric=200), route("0.0.0.0/0", "fast", metric=100)))
    assert route_back(two, 4, number("8.8.8.8")) == "fast"
    refused = Network(routes=(route("0.0.0.0/0", "eth0"), route("8.8.8.0/24", "eth0", kind=7)))
    assert route_back(refused, 4, number("8.8.8.8")) == ""


def test_a_rule_of_policy_routing_leads_back_where_it_says() -> None:
    table = route("0.0.0.0/0", "lan")
    network = Network(
        links=NETWORK.links,
        routes=(
            *NETWORK.routes,
            Route(**{name: getattr(table, name) for name in table.__struct_fields__} | {"table": 77}),
        ),
        rules=(
            RoutingRule(
                family=4, priority=10, table=77, destination=Span(number("203.0.113.0"), number("203.0.113.255"))
            ),
            RoutingRule(family=4, priority=32766, table=254),
        ),
    )
    assert route_back(network, 4, number("203.0.113.7")) == "lan"
    assert route_back(network, 4, number("8.8.8.8")) == "eth0"
