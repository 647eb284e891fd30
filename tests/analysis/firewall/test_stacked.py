"""Interfaces below interfaces: what a frame passes besides the one it counts for."""

from analysis.firewall.cohort import NOTHING, Spread
from analysis.firewall.model import Link
from analysis.firewall.probe import Verdict
from analysis.firewall.stacked import below, levels
from tests.analysis.firewall.datapaths import DROP, ask, datapath, field, link, match, probe, route, table, verdicts

LINKS = {
    one.name: one
    for one in (
        Link(name="eth0", master="bond0", master_kind="bond"),
        Link(name="eth1", master="bond0", master_kind="bond"),
        Link(name="bond0", kind="bond", master="br0", master_kind="bridge"),
        Link(name="tap0", master="br0", master_kind="bridge"),
        Link(name="br0", kind="bridge"),
        Link(name="br0.7", kind="vlan", lower="br0"),
        Link(name="eth2", master="blue", master_kind="vrf"),
        Link(name="blue", kind="vrf"),
    )
}


def at(*names: str) -> Spread:
    return Spread({name: 1 << number for number, name in enumerate(names)})


def test_ports_and_what_a_vlan_lies_on_are_below_and_what_is_in_a_vrf_is_not() -> None:
    assert below(LINKS, "br0") == ("bond0", "tap0")
    assert below(LINKS, "br0.7") == ("br0",)
    assert below(LINKS, "blue") == below(LINKS, "eth0") == below(LINKS, "nowhere") == ()


def test_levels_go_down_to_the_wire_and_tell_where_a_way_ends_earlier() -> None:
    found = levels(LINKS, at("br0.7"), NOTHING)
    assert [dict(level.devices.values) for level in found] == [
        {"br0": 1},
        {"bond0": 1, "tap0": 1},
        {"eth0": 1, "eth1": 1, "": 1},
    ]
    assert [level.tagged for level in found] == [1, 1, 1]


def test_who_came_by_a_known_port_passed_no_other() -> None:
    found = levels(LINKS, Spread({"br0": 0b11}), Spread({"tap0": 0b10}))
    assert dict(found[0].devices.values) == {"bond0": 0b01, "tap0": 0b11}
    assert found[0].tagged == 0


def test_links_that_lie_on_each_other_in_a_circle_end() -> None:
    circle = {name: Link(name=name, lower=lower) for name, lower in (("a", "b"), ("b", "a"))}
    assert len(levels(circle, at("a"), NOTHING)) == 8


def at_ingress(device: str, *rules: list[object]) -> object:
    hook = {"type": "filter", "hook": "ingress", "prio": 0, "policy": "accept", "dev": device}
    return table("d", {"c": (hook, list(rules))}, family="netdev")


VLAN = {
    **link("eth0.7", 7, ("10.7.0.1", 24), link="eth0", linkinfo={"info_kind": "vlan"}),
    **route("10.7.0.0/24", "eth0.7"),
}
PORTS = {
    **link("br1", 4, ("10.1.0.1", 24), linkinfo={"info_kind": "bridge"}),
    **link("tap0", 5, master="br1", linkinfo={"info_slave_kind": "bridge"}),
    **link("tap1", 6, master="br1", linkinfo={"info_slave_kind": "bridge"}),
    **route("10.1.0.0/24", "br1"),
}


def test_a_chain_at_what_a_vlan_lies_on_decides_for_it() -> None:
    chain = at_ingress("eth0", [match("tcp dport", 80), DROP])
    shots = [probe(port, source="10.7.0.2", destination="10.7.0.1", interface="eth0.7") for port in (80, 81)]
    assert verdicts(datapath(chain, VLAN), shots) == (Verdict.BLOCKED, Verdict.REACHABLE)


def test_what_asks_for_the_tag_of_a_vlan_is_undecided_below_it_and_elsewhere_not() -> None:
    chain = at_ingress("eth0", [{"match": {"op": "==", "left": field("vlan id"), "right": 7}}, DROP])
    assert ask(datapath(chain, VLAN), probe(source="10.7.0.2", destination="10.7.0.1", interface="eth0.7")).verdict is (
        Verdict.UNCERTAIN
    )
    assert ask(datapath(chain, VLAN), probe()).verdict is Verdict.REACHABLE


def test_of_two_ports_the_one_that_drops_makes_it_undecided_unless_the_port_is_known() -> None:
    chain = at_ingress("tap0", [match("tcp dport", 80), DROP])
    shots = [probe(source="10.1.0.2", destination="10.1.0.1", interface=name) for name in ("br1", "tap0", "tap1")]
    assert verdicts(datapath(chain, PORTS), shots) == (Verdict.UNCERTAIN, Verdict.BLOCKED, Verdict.REACHABLE)
