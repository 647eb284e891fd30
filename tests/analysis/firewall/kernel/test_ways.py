"""Rulesets as people write them, one statement or expression each: what the kernel does with a real connection is what was predicted."""

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.kernel.probing import Prober
from tests.analysis.firewall.kernel.test_cases import DNS, WEB, Case, chain, play, table
from tests.analysis.firewall.kernel.test_probing import shot
from tests.analysis.firewall.kernel.topology import World

IN = "filter hook input priority 0; policy drop"
OPEN = "filter hook input priority 0"
SSH6 = shot("lan", "fd00:10::1", 22)
LOOP = shot("host", "127.0.0.1", 443, source="127.0.0.1")
THROUGH = shot("internet", "172.18.0.2", 80)


def let(rule: str, *, reachable: bool, probe: object = WEB, name: str = "") -> Case:
    """A chain that drops what the rule does not let in."""
    return Case(name or rule, reachable, table("t", chain("c", IN, rule)), shot=probe)  # type: ignore[arg-type]


def sets(*definitions: str) -> str:
    return "".join(f" {definition}\n" for definition in definitions)


def with_sets(name: str, reachable: bool, definition: str, *rules: str) -> Case:
    return Case(name, reachable, f"table inet t {{\n{definition}{chain('c', IN, *rules)}\n}}\n")


CASES = (
    let("tcp dport 80 accept", reachable=True),
    let("tcp dport != 80 accept", reachable=False),
    let("udp dport 80 accept", reachable=False, name="a UDP rule says nothing of TCP"),
    let("udp dport != 80 accept", reachable=False, name="not even when it is turned round"),
    let("ip6 saddr != fd00::/8 accept", reachable=False, name="an IPv6 rule says nothing of IPv4"),
    let("th dport 53 accept", reachable=True, probe=DNS),
    let("@th,16,16 53 accept", reachable=True, probe=DNS),
    let("@nh,72,8 17 accept", reachable=True, probe=DNS),
    let("@nh,96,8 192 accept", reachable=True, probe=shot("internet", "192.0.2.10", source="192.0.2.1")),
    let("ip saddr & 255.255.0.0 == 203.0.0.0 accept", reachable=True),
    let("ip daddr 192.0.2.8-192.0.2.9 accept", reachable=False),
    let("ip daddr { 192.0.2.8-192.0.2.10, 10.0.0.0/8 } accept", reachable=True),
    let("tcp flags syn accept", reachable=True),
    let("tcp flags & (syn | ack) == syn accept", reachable=True),
    let("tcp flags ! syn,fin accept", reachable=False),
    let("ct state established,related accept", reachable=False),
    let("ct state { new, established } accept", reachable=True),
    let("ct direction original accept", reachable=True),
    let("ct original ip daddr 192.0.2.10 accept", reachable=True),
    let('iifname "wan*" accept', reachable=True),
    let('iifname { "lan*", "br0" } accept', reachable=False),
    let("iif lan0 ip6 nexthdr tcp accept", reachable=True, probe=SSH6),
    let("meta l4proto { tcp, udp } th dport 22 accept", reachable=True, probe=SSH6),
    let("fib daddr type local accept", reachable=True),
    let("fib saddr oifname wan0 accept", reachable=True),
    let("ip frag-off & 0x1fff != 0 accept", reachable=False, name="a first packet is no fragment"),
    let("meta pkttype { broadcast, multicast } accept", reachable=False),
    let("ip saddr . tcp dport { 203.0.113.0/24 . 79-81, 198.51.100.7 . 80 } accept", reachable=True),
    let("tcp dport vmap { 22 : drop, 80-81 : accept }", reachable=True),
    let("meta mark set 0x15 meta mark & 0xf0 == 0x10 accept", reachable=True),
    let("iif lo accept", reachable=True, probe=LOOP),
    let("meta skuid 0 accept", reachable=False, name="an arriving packet has no socket"),
    with_sets(
        "a named set with intervals",
        True,
        sets("set s { type ipv4_addr; flags interval; elements = { 200.0.0.0/5 }; }"),
        "ip saddr @s accept",
    ),
    with_sets(
        "a verdict map with a rest",
        False,
        sets("map m { type inet_service : verdict; flags interval; elements = { 22 : accept, * : drop }; }"),
        "tcp dport vmap @m",
        "accept",
    ),
    with_sets(
        "what a packet adds to a set it finds there",
        True,
        sets("set s { type ipv4_addr; flags dynamic; size 99; }"),
        "add @s { ip saddr }",
        "ip saddr @s accept",
    ),
    Case(
        "goto does not come back to the rule behind it",
        False,
        table(
            "t",
            chain("x", "filter hook output priority 0").replace("  type filter hook output priority 0;\n", ""),
            chain("c", IN, "goto x", "accept"),
        ),
    ),
    Case(
        "return of a called chain goes on behind the jump",
        True,
        "table inet t {\n chain x {\n  return\n  drop\n }\n" + chain("c", IN, "jump x", "accept") + "\n}\n",
    ),
    Case(
        "an accept ends only its own base chain",
        False,
        table(
            "t",
            chain("a", "filter hook input priority -5", "accept"),
            chain("b", "filter hook input priority 5", "drop"),
        ),
    ),
    Case(
        "a drop of the answer blocks",
        False,
        table("t", chain("o", "filter hook output priority 0", "tcp sport 80 drop")),
    ),
    Case(
        "a drop of the answer behind the last hook blocks",
        False,
        table("t", chain("o", "filter hook postrouting priority 0", "ct state established drop")),
    ),
    Case(
        "without connection tracking no answer is established",
        False,
        table(
            "t",
            chain("r", "filter hook prerouting priority -300", "notrack"),
            chain("o", "filter hook output priority 0; policy drop", "ct state established accept"),
        ),
    ),
    Case(
        "before connection tracking every state is invalid",
        True,
        table("t", chain("r", "filter hook prerouting priority -300; policy drop", "ct state invalid accept")),
    ),
    Case(
        "what is translated to an own port is judged by the new one",
        True,
        table(
            "t",
            chain("n", "nat hook prerouting priority -100", "tcp dport 80 redirect to :8080"),
            chain("c", IN, "tcp dport 8080 accept"),
        ),
    ),
    Case(
        "what is translated to a container is forwarded past input",
        True,
        table(
            "t",
            chain("n", "nat hook prerouting priority -100", "tcp dport 80 dnat ip to 172.18.0.2:8080"),
            chain("c", IN),
        ),
    ),
    Case(
        "and judged in forward",
        False,
        table(
            "t",
            chain("n", "nat hook prerouting priority -100", "tcp dport 80 dnat ip to 172.18.0.2:8080"),
            chain("f", "filter hook forward priority 0; policy drop", "ct status dnat drop", "accept"),
        ),
    ),
    Case(
        "the first translation binds",
        True,
        table(
            "t",
            chain(
                "n",
                "nat hook prerouting priority -100",
                "tcp dport 80 redirect to :443",
                "tcp dport 80 redirect to :22",
            ),
            chain("c", IN, "tcp dport 443 accept"),
        ),
    ),
    Case("a dormant table filters nothing", True, "table inet t {\n flags dormant\n" + chain("c", IN) + "\n}\n"),
    Case("a host that does not forward does not", False, shot=THROUGH, switches={"net.ipv4.ip_forward": "0"}),
    Case("one that forwards does", True, shot=THROUGH),
    Case(
        "rp_filter turns away who comes by the wrong interface",
        False,
        shot=shot("lan", "192.0.2.10", source="203.0.113.66"),
        switches={"net.ipv4.conf.lan0.rp_filter": "1"},
    ),
    Case(
        "what is translated to 127.0.0.1 is a martian",
        False,
        table("t", chain("n", "nat hook prerouting priority -100", "tcp dport 80 dnat ip to 127.0.0.1")),
    ),
    Case(
        "unless the interface may bring it",
        True,
        table("t", chain("n", "nat hook prerouting priority -100", "tcp dport 80 dnat ip to 127.0.0.1")),
        switches={"net.ipv4.conf.wan0.route_localnet": "1"},
    ),
    Case("an address of another interface is answered, too", True, shot=shot("internet", "10.1.0.1")),
    Case(
        "what chance decides is not decided",
        False,
        table("t", chain("c", OPEN, "numgen random mod 1 0 drop")),
        decidable=False,
    ),
    Case(
        "what arrives at the device is seen before everything else",
        False,
        "table netdev t {\n chain c {\n  type filter hook ingress device wan0 priority 0;\n  tcp dport 80 drop\n }\n}\n",
    ),
    Case(
        "but only at that device",
        True,
        "table netdev t {\n chain c {\n  type filter hook ingress device lan0 priority 0;\n  tcp dport 80 drop\n }\n}\n",
    ),
    Case(
        "iptables says the same",
        False,
        restores=(
            (
                "iptables-nft-restore",
                "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m multiport --dports 22,443 -j ACCEPT\nCOMMIT\n",
            ),
        ),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_kernel_does_was_predicted(world: World, prober: Prober, case: Case) -> None:
    kernel, predicted = play(world, prober, case)
    assert kernel == case.reachable
    decided = Verdict.REACHABLE if case.reachable else Verdict.BLOCKED
    assert predicted == (decided if case.decidable else Verdict.UNCERTAIN)
