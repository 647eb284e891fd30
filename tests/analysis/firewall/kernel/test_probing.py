"""The probes themselves, against rulesets whose effect is known."""

import pytest

from analysis.firewall.probe import Probe
from tests.analysis.firewall.kernel.probing import Outcome, Prober, Shot
from tests.analysis.firewall.kernel.topology import ADDRESSES, INTERFACES, PORTS, SPOOFED, SWITCHES, World

FROM_OUTSIDE = {
    "internet": {4: "203.0.113.5", 6: "2001:db8:77::5"},
    "lan": {4: "10.1.0.2", 6: "fd00:10::2"},
    "container": {4: "172.18.0.2", 6: "fd00:18::2"},
    "host": {4: "127.0.0.1", 6: "::1"},
}


def load(world: World, nft: str = "", restores: list[tuple[str, str]] | None = None, **switches: str) -> None:
    answer = world.loader.ask(
        do="load", nft=nft, restores=restores or [], ipset="", routing=[], switches={**SWITCHES, **switches}
    )
    assert answer == {}, answer


def shot(sender: str, destination: str, port: int = 80, protocol: str = "tcp", source: str = "") -> Shot:
    family = 6 if ":" in destination else 4
    return Shot(
        sender,
        Probe(
            family=family,
            protocol=protocol,
            source=source or FROM_OUTSIDE[sender][family],
            destination=destination,
            port=port,
            interface=INTERFACES[sender],
        ),
    )


def fire(prober: Prober, *shots: Shot) -> list[Outcome]:
    return prober.fire_twice(shots)[1]


def everything() -> list[Shot]:
    return [
        shot(sender, destination, port, protocol, source)
        for sender, families in ADDRESSES.items()
        for family, sources in families.items()
        for source in sources
        for destination in ADDRESSES["host"][family]
        for protocol in ("tcp", "udp")
        for port in PORTS[:2]
        if sender == "host" or destination not in ("127.0.0.1", "::1")
    ]


def test_everything_is_reachable_without_rules(world: World, prober: Prober) -> None:
    load(world)
    shots = everything()
    wrong = [(s, o) for s, o in zip(shots, fire(prober, *shots), strict=True) if not o.reachable or o.place != "host"]
    assert wrong == []


def test_neighbours_reach_each_other_through_the_host(world: World, prober: Prober) -> None:
    load(world)
    names = ("internet", "lan", "container")
    shots = [
        shot(one, ADDRESSES[other][family][0], protocol=protocol)
        for one in names
        for other in names
        for family in (4, 6)
        for protocol in ("tcp", "udp")
        if one != other
    ]
    assert [(s, o) for s, o in zip(shots, fire(prober, *shots), strict=True) if not o.reachable] == []
    load(world, **{"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"})
    assert [(s, o) for s, o in zip(shots, fire(prober, *shots), strict=True) if o.reachable] == []


def test_nothing_is_reachable_behind_a_drop(world: World, prober: Prober) -> None:
    load(world, "table inet t {\n chain c { type filter hook input priority 0; policy drop; }\n}\n")
    shots = everything()
    assert [(s, o) for s, o in zip(shots, fire(prober, *shots), strict=True) if o.reachable] == []


@pytest.mark.parametrize("tool", ["iptables-nft-restore", "iptables-legacy-restore"])
def test_a_rule_of_iptables_blocks_one_port(world: World, prober: Prober, tool: str) -> None:
    load(world, "", [(tool, "*filter\n-A INPUT -p tcp --dport 22 -j REJECT\nCOMMIT\n")])
    outcomes = fire(prober, shot("internet", "192.0.2.10", 22), shot("internet", "192.0.2.10", 80))
    assert [outcome.reachable for outcome in outcomes] == [False, True]
    load(world)
    assert fire(prober, shot("internet", "192.0.2.10", 22))[0].reachable


def test_a_translated_probe_arrives_where_it_was_sent_on_to(world: World, prober: Prober) -> None:
    load(
        world,
        "table inet t {\n chain c {\n type nat hook prerouting priority -100\n"
        " tcp dport 80 dnat ip to 172.18.0.2:8080\n udp dport 53 redirect to :9000\n }\n}\n",
    )
    tcp, udp = fire(prober, shot("internet", "192.0.2.10", 80), shot("lan", "fd00:10::1", 53, "udp"))
    assert (tcp.reachable, tcp.place, tcp.address, tcp.port) == (True, "container", "172.18.0.2", 8080)
    assert (udp.reachable, udp.place, udp.port) == (True, "host", 9000)


def test_the_reverse_path_filter_stops_what_comes_the_wrong_way(world: World, prober: Prober) -> None:
    spoofed = shot("lan", "10.1.0.1", 53, "udp", SPOOFED[4])
    load(world)
    assert fire(prober, spoofed)[0].reachable
    load(world, **{"net.ipv4.conf.lan0.rp_filter": "1"})
    assert not fire(prober, spoofed)[0].reachable


def test_an_answer_that_is_dropped_leaves_tcp_unreachable_and_udp_reachable(world: World, prober: Prober) -> None:
    load(world, "table inet t {\n chain c { type filter hook output priority 0; policy drop; }\n}\n")
    tcp, udp = fire(prober, shot("lan", "10.1.0.1"), shot("lan", "10.1.0.1", 53, "udp"))
    assert (tcp.reachable, udp.reachable) == (False, True)


def test_a_refused_ruleset_says_why(world: World, prober: Prober) -> None:
    answer = world.loader.ask(do="load", nft="table inet {", restores=[], ipset="", routing=[], switches={})
    assert "syntax error" in answer["refused"]
