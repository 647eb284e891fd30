"""From where to judge follows from routes and addresses."""

from typing import Any

from collectors.firewall.datapath_vantages import derived

LO = {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]}


def link(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    info = [{"local": one.split("/")[0], "prefixlen": int(one.split("/")[1])} for one in addresses]
    return {"ifname": name, "flags": ["UP"], "addr_info": info, **more}


def found(links: list[dict[str, Any]], *routes: tuple[str, dict[str, Any]]) -> dict[str, tuple[tuple[str, ...], str]]:
    vantages = derived([("", one) for one in links], routes)
    return {one.name: (one.sources, one.interface) for one in vantages}


def test_internet_attached_networks_and_this_host() -> None:
    assert found(
        [LO, link("eth0", "192.0.2.7/24", "2001:db8::7/64")],
        ("4", {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}),
        ("6", {"dst": "default", "gateway": "fe80::1", "dev": "eth0"}),
    ) == {
        "internet": (("0.0.0.0/0", "::/0"), "eth0"),
        "eth0 192.0.2.0/24": (("192.0.2.0/24",), "eth0"),
        "eth0 2001:db8::/64": (("2001:db8::/64",), "eth0"),
        "loopback": (("127.0.0.0/8", "::1/128"), "lo"),
    }


def test_two_ways_out_are_two_vantages() -> None:
    names = found(
        [],
        ("4", {"dst": "default", "dev": "eth0"}),
        ("6", {"dst": "default", "nexthops": [{"dev": "eth1"}, {"dev": "eth0"}]}),
    )
    assert names["internet by eth0"] == (("0.0.0.0/0", "::/0"), "eth0")
    assert names["internet by eth1"] == (("::/0",), "eth1")


def test_a_default_route_that_leads_nowhere_is_no_way_in() -> None:
    assert list(found([], ("6", {"type": "unreachable", "dst": "default", "dev": "lo"}))) == ["loopback"]


def test_a_bridge_of_containers_is_a_vantage_and_its_ports_are_not() -> None:
    port = link("veth1", "fe80::1/64", linkinfo={"info_kind": "veth", "info_slave_kind": "bridge"}, master="docker0")
    assert list(found([link("docker0", "172.17.0.1/16"), port])) == ["docker0 172.17.0.0/16", "loopback"]


def test_the_other_end_of_a_tunnel_is_a_network_of_one() -> None:
    tunnel = {
        "ifname": "tun0",
        "flags": ["UP"],
        "addr_info": [{"local": "10.0.0.1", "address": "10.0.0.2", "prefixlen": 32}],
    }
    assert found([tunnel])["tun0 10.0.0.2/32"] == (("10.0.0.2/32",), "tun0")


def test_a_link_that_is_down_or_has_one_address_alone_is_none() -> None:
    down = {**link("eth1", "192.0.2.7/24"), "flags": []}
    assert list(found([down, link("eth2", "192.0.2.9/32")])) == ["loopback"]
