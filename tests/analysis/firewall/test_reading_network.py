"""Links, routes and rules as iproute2 writes them; what is strange is named."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.model import Span
from analysis.firewall.reading_network import read_network


def read(links: list[Any] = [], routes: list[Any] = [], rules: list[Any] = []) -> tuple[Any, list[str]]:  # noqa: B006
    strange: list[str] = []
    return read_network(links, [(4, one) for one in routes], [(4, one) for one in rules], {}, strange.append), strange


def test_a_link_with_its_addresses_and_master() -> None:
    network, strange = read(
        [
            {
                "ifname": "veth1",
                "ifindex": 7,
                "flags": ["UP"],
                "link_type": "ether",
                "master": "br0",
                "linkinfo": {"info_kind": "veth", "info_slave_kind": "bridge"},
                "addr_info": [{"family": "inet", "local": "10.0.0.1", "prefixlen": 24, "broadcast": "10.0.0.255"}],
            },
        ]
    )
    link = network.links["veth1"]
    assert strange == []
    assert (link.index, link.kind, link.master, link.master_kind, link.type) == (7, "veth", "br0", "bridge", 1)
    assert link.addresses == ((0x0A000001, 24, 0x0A0000FF, 4, "global"),)


def test_routes_of_all_sorts() -> None:
    network, strange = read(
        routes=[
            {"dst": "default", "gateway": "10.0.0.2", "dev": "eth0"},
            {"type": "blackhole", "dst": "10.9.0.0/16"},
            {"dst": "10.8.0.0/16", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}, {"dev": "eth2", "flags": ["dead"]}]},
            {"type": "local", "dst": "10.0.0.1", "dev": "eth0", "table": "local"},
            {"dst": "10.7.0.0/16", "dev": "eth0", "encap": "mpls", "table": "77"},
        ]
    )
    default, black, many, local, strangely = network.routes
    assert strange == []
    assert (default.length, default.table, default.devices) == (0, 254, ("eth0",))
    assert (black.kind, many.devices, local.table, local.kind) == (6, ("eth0", "eth1"), 255, 2)
    assert (strangely.table, strangely.unsure) == (77, "encap mpls")


def test_rules_with_their_selectors_in_order_of_priority() -> None:
    network, strange = read(
        rules=[
            {"priority": 32766, "src": "all", "table": "main"},
            {
                "priority": 100,
                "src": "10.0.0.0",
                "srclen": 8,
                "not": None,
                "fwmark": "0x5",
                "fwmask": "0xff",
                "iif": "eth0",
                "table": "77",
            },
            {
                "priority": 200,
                "src": "all",
                "ipproto": "tcp",
                "dport_start": 80,
                "dport_end": 90,
                "action": "unreachable",
            },
            {"priority": 300, "src": "all", "uid_start": 0, "uid_end": 5, "table": "main"},
        ]
    )
    first, second, third, _ = network.rules
    assert strange == []
    assert (first.source, first.inverted, first.mark, first.mask, first.table) == (
        Span(0x0A000000, 0x0AFFFFFF),
        True,
        5,
        255,
        77,
    )
    assert (second.action, second.protocol, second.destination_ports) == ("unreachable", 6, Span(80, 90))
    assert third.unsure == "uid_end, uid_start"


def test_what_is_strange_is_named_and_the_rest_is_read() -> None:
    network, strange = read([{"ifname": "a"}, {}], [{"dst": "x/y"}], [{"priority": "high"}])
    assert list(network.links) == ["a"]
    assert len(strange) == 3


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["ifname", "dst", "dev", "priority", "src", "flags", "nexthops", "addr_info", "table"]),
            st.none() | st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=2),
        ),
        max_size=4,
    )
)
def test_nothing_raises(garbage: list[Any]) -> None:
    read(garbage, garbage, garbage)
