"""What routing makes of a packet that arrives."""

import pytest

from analysis.firewall.arriving import decide
from analysis.firewall.network import Flow, Router
from analysis.firewall.values import address
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import HOST, datapath, link, route, switches


def way(source: str, target: str, device: str = "eth0", protocol: int = 17, *parts: dict[str, Row]) -> tuple[str, str]:
    found, other = address(source), address(target)
    assert found and other
    router = Router(datapath(HOST, *parts).network)
    decision = decide(router, Flow(found[0], other[1], found[1], device, protocol=protocol))
    return decision.way, decision.cause or ",".join(decision.devices)


ON = {"ipv4__ip_forward": "1", "ipv6__conf.all.forwarding": "1"}


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("203.0.113.7", "192.0.2.10", ("local", "")),
        ("203.0.113.7", "172.18.0.1", ("local", "")),
        ("203.0.113.7", "172.18.0.2", ("forward", "br0")),
        ("192.0.2.10", "192.0.2.10", ("drop", "martian")),
        ("127.0.0.1", "192.0.2.10", ("drop", "martian")),
        ("203.0.113.7", "127.0.0.1", ("drop", "martian")),
        ("224.0.0.1", "192.0.2.10", ("drop", "martian")),
        ("0.0.0.0", "192.0.2.10", ("drop", "martian")),
        ("203.0.113.7", "255.255.255.255", ("local", "")),
        ("203.0.113.7", "224.0.0.251", ("unsure", "unknown")),
        ("2001:db8:9::7", "2001:db8::10", ("local", "")),
        ("2001:db8:9::7", "2001:db8::99", ("forward", "eth0")),
        ("fe80::1", "2001:db8::99", ("drop", "routing")),
        ("::1", "2001:db8::10", ("drop", "martian")),
        ("2001:db8:9::7", "ff02::fb", ("unsure", "unknown")),
    ],
)
def test_ways(source: str, target: str, expected: tuple[str, str]) -> None:
    assert way(source, target, "eth0", 17, switches(**ON)) == expected


def test_a_host_forwards_only_if_it_is_told_to() -> None:
    assert way("203.0.113.7", "172.18.0.2") == ("drop", "forwarding")
    assert way("2001:db8:9::7", "2001:db8::99") == ("drop", "forwarding")


@pytest.mark.parametrize(
    ("strictness", "source", "expected"),
    [
        ("1", "203.0.113.7", "drop"),
        ("1", "172.18.0.2", "local"),
        ("2", "203.0.113.7", "local"),
        ("0", "203.0.113.7", "local"),
    ],
)
def test_rp_filter(strictness: str, source: str, expected: str) -> None:
    parts = switches(**{"ipv4__conf.br0.rp_filter": strictness, "ipv4__conf.all.rp_filter": "0"})
    assert way(source, "172.18.0.1", "br0", 17, parts)[0] == expected


def test_loose_rp_filter_wants_some_way_back() -> None:
    parts = switches(**{"ipv4__conf.all.rp_filter": "2"})
    lost = {"route 4 default eth0 1": Row(what="route", document='{"dst":"198.51.100.0/24","dev":"eth0"}', text="4")}
    assert way("203.0.113.7", "172.18.0.1", "br0", 17, parts, lost) == ("drop", "rp_filter")


def test_switches_that_let_strange_addresses_in() -> None:
    assert (
        way("203.0.113.7", "127.0.0.1", "eth0", 17, switches(**{"ipv4__conf.eth0.route_localnet": "1"}))[0] == "local"
    )
    assert way("192.0.2.10", "192.0.2.10", "eth0", 17, switches(**{"ipv4__conf.all.accept_local": "1"}))[0] == "local"
    assert way("2001:db8:9::7", "2001:db8::10", "eth0", 17, switches(**{"ipv6__conf.eth0.disable_ipv6": "1"})) == (
        "drop",
        "routing",
    )


def test_tcp_to_many_is_not_answered() -> None:
    assert way("203.0.113.7", "255.255.255.255", "eth0", 6) == ("drop", "routing")
    assert way("2001:db8:9::7", "ff02::1", "eth0", 6) == ("drop", "routing")


def test_a_vrf_is_named() -> None:
    slave = link("eth5", 9, master="red", linkinfo={"info_slave_kind": "vrf"})
    assert way("203.0.113.7", "192.0.2.10", "eth5", 17, slave) == ("unsure", "unknown")


def test_blackholes_drop() -> None:
    black = route("172.18.0.9", "", type="blackhole")
    assert way("203.0.113.7", "172.18.0.9", "eth0", 17, switches(**ON), black) == ("drop", "routing")
