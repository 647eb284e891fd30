"""What the kernel really does where it is easily thought otherwise, one small ruleset each: kernel and evaluator must both say so."""

from dataclasses import dataclass, field

import msgspec
import pytest

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.probing import Prober, Shot
from tests.analysis.firewall.kernel.test_probing import shot
from tests.analysis.firewall.kernel.topology import SWITCHES, World

WEB = shot("internet", "192.0.2.10", 80)
DNS = shot("internet", "192.0.2.10", 53, "udp")


@dataclass(frozen=True)
class Case:
    """A ruleset, a shot, and whether it is reachable; `decidable` is false where rows cannot tell."""

    name: str
    reachable: bool
    nft: str = ""
    shot: Shot = WEB
    restores: tuple[tuple[str, str], ...] = ()
    routing: tuple[str, ...] = ()
    switches: dict[str, str] = field(default_factory=dict)
    decidable: bool = True


def chain(name: str, base: str, *rules: str) -> str:
    lines = [f" chain {name} {{", f"  type {base};", *(f"  {rule}" for rule in rules), " }"]
    return "\n".join(lines)


def table(name: str, *chains: str, family: str = "inet") -> str:
    return "\n".join([f"table {family} {name} {{", *chains, "}", ""])


def redirected(nat_priority: int, filter_priority: int) -> str:
    return table(
        "t",
        chain("n", f"nat hook prerouting priority {nat_priority}", "tcp dport 80 redirect to :8080"),
        chain("f", f"filter hook prerouting priority {filter_priority}", "tcp dport 8080 drop"),
    )


BEFORE = "filter hook prerouting priority -300"
ESTABLISHED = chain("o", "filter hook output priority 0; policy drop", "ct state established accept")
ZONED = (
    Case(
        "a zone that is set before tracking is the connection's",
        False,
        table("a", chain("r", BEFORE, "ct zone set 5"), chain("i", "filter hook input priority 0", "ct zone 5 drop")),
    ),
    Case(
        "an answer in another zone belongs to no connection",
        False,
        table("a", chain("r", BEFORE, "ct zone set 5"), ESTABLISHED),
    ),
    Case(
        "an answer in the same zone does",
        True,
        table(
            "a",
            chain("r", BEFORE, "ct zone set 5"),
            chain("ro", "filter hook output priority -300", "ct zone set 5"),
            ESTABLISHED,
        ),
    ),
    Case(
        "a zone of the original direction alone leaves answers in zone 0",
        True,
        table("a", chain("r", BEFORE, "ct original zone set 5"), ESTABLISHED),
    ),
    Case(
        "a zone of the reply direction alone does not",
        False,
        table("a", chain("r", BEFORE, "ct reply zone set 5"), ESTABLISHED),
    ),
    Case(
        "the first zone stays, and notrack behind it does nothing",
        True,
        table(
            "a",
            chain("r", BEFORE, "ct zone set 5", "ct zone set 7", "notrack"),
            chain("i", "filter hook input priority 0", "ct zone 7 drop", "ct state untracked drop"),
        ),
        shot=DNS,
    ),
    Case(
        "a zone makes the packet look new before it is tracked",
        False,
        table("a", chain("r", BEFORE, "ct zone set 5", "ct state new drop")),
    ),
    Case(
        "iptables sets the zone of one direction, too",
        False,
        restores=(
            ("iptables-restore", "*raw\n-A PREROUTING -j CT --zone-reply 5\nCOMMIT\n"),
            ("iptables-restore", "*filter\n-A OUTPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"),
        ),
    ),
)


def at_device(hook: str, device: str, rule: str) -> str:
    return f"table netdev d {{\n chain c {{\n  type filter hook {hook} device {device} priority 0\n  {rule}\n }}\n}}\n"


INSIDE = shot("container", "172.18.0.1", 80)
BELOW = (
    Case(
        "a port of a bridge drops before the bridge sees it",
        False,
        at_device("ingress", "vethc", "tcp dport 80 drop"),
        INSIDE,
    ),
    Case("a port of a bridge drops the answer", False, at_device("egress", "vethc", "tcp sport 80 drop"), INSIDE),
    Case("a port of a bridge lets the rest pass", True, at_device("ingress", "vethc", "tcp dport 81 drop"), INSIDE),
    Case(
        "a port of a bridge drops what is forwarded to it",
        False,
        at_device("egress", "vethc", "udp dport 53 drop"),
        shot("internet", "172.18.0.2", 53, "udp"),
    ),
)

POLICY = "4 xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0"
SEALED = "tmpl src 192.0.2.1 dst 192.0.2.10 proto esp reqid 1 mode transport"
PROTECTED = (
    Case("an IPsec policy blocks", False, routing=(f"{POLICY} dir in action block priority 1",), decidable=False),
    Case("an IPsec policy wants protection", False, routing=(f"{POLICY} dir in {SEALED}",), shot=DNS, decidable=False),
    Case("an IPsec policy blocks the answer", False, routing=(f"{POLICY} dir out action block",), decidable=False),
    Case(
        "an IPsec policy blocks what is forwarded",
        False,
        routing=(f"{POLICY} dir fwd action block",),
        shot=shot("internet", "172.18.0.2", 80),
        decidable=False,
    ),
    Case("protection that is optional stops nothing", True, routing=(f"{POLICY} dir in {SEALED} level use",)),
    Case(
        "an IPsec policy of smaller priority lets pass",
        True,
        routing=(f"{POLICY} proto tcp dport 80 dir in priority 1", f"{POLICY} dir in action block priority 2"),
    ),
    Case(
        "an IPsec policy for another port does nothing",
        True,
        routing=(f"{POLICY} proto tcp dport 81 dir in action block",),
    ),
    Case(
        "an IPsec policy of a tunnel interface does nothing", True, routing=(f"{POLICY} dir in if_id 7 action block",)
    ),
    Case("an IPsec policy for a mark does nothing without it", True, routing=(f"{POLICY} dir in mark 7 action block",)),
)

CASES = (
    Case(
        "of two chains with equal priority the one that was made last runs first",
        True,
        table("a", chain("c", "filter hook input priority 0", "meta mark set 1"))
        + table("b", chain("c", "filter hook input priority 0", "meta mark 1 drop")),
        decidable=False,
    ),
    Case(
        "so what the later made one marks the former sees",
        False,
        table("a", chain("c", "filter hook input priority 0", "meta mark 1 drop"))
        + table("b", chain("c", "filter hook input priority 0", "meta mark set 1")),
        decidable=False,
    ),
    Case(
        "the same within one table",
        False,
        table(
            "a",
            chain("c1", "filter hook input priority 0", "meta mark 1 drop"),
            chain("c2", "filter hook input priority 0", "meta mark set 1"),
        ),
    ),
    Case(
        "the same across families",
        True,
        table("a", chain("c", "filter hook input priority 0", "meta mark set 1"))
        + table("b", chain("c", "filter hook input priority 0", "meta mark 1 drop"), family="ip"),
        decidable=False,
    ),
    Case("translation happens at -100 however early its chain claims to be", True, redirected(-150, -120)),
    Case("translation happens at -100 however late its chain claims to be", False, redirected(50, -90)),
    Case(
        "a chain at the very priority of the translation leaves no doubt where it goes",
        True,
        table(
            "a",
            chain("n", "nat hook prerouting priority -100", "tcp dport 80 dnat ip to 172.18.0.2"),
            chain("f", "filter hook prerouting priority -100", "meta mark set 1"),
        )
        + "table netdev d {\n chain i {\n type filter hook ingress device lan0 priority 0\n drop\n }\n}\n",
    ),
    Case(
        "the ingress of a bridge sees packets after prerouting",
        True,
        table("a", chain("n", "nat hook prerouting priority -100", "tcp dport 443 redirect to :8080"))
        + "table netdev d {\n chain i {\n type filter hook ingress device br0 priority 0\n tcp dport 443 drop\n }\n}\n",
        shot=shot("container", "fd00:18::1", 443),
        decidable=False,
    ),
    Case(
        "a connection is reachable when its first packet and the answer pass, but a rejected third undoes it",
        True,
        table("a", chain("c", "filter hook input priority 0", "tcp flags & (fin|syn|rst|ack) != syn reject")),
        decidable=False,
    ),
    Case(
        "the same when the third is reset",
        True,
        table("a", chain("c", "filter hook input priority 0", "tcp flags & syn == 0 reject with tcp reset")),
        decidable=False,
    ),
    Case(
        "the same when the third is dropped",
        True,
        table("a", chain("c", "filter hook input priority 0", "tcp flags & syn == 0 drop")),
    ),
    Case(
        "the source of what is forwarded is looked up as if it came by the interface it leaves by",
        True,
        shot=shot("internet", "10.1.0.2", 53, "udp"),
        routing=("4 rule add iif lo pref 100 lookup 100", "4 route add local default dev lo table 100"),
    ),
    Case(
        "no answer comes from an IPv4 address that the table local does not hold, unless the socket is transparent",
        False,
        shot=shot("internet", "10.1.0.2", 80),
        routing=("4 rule add to 10.1.0.0/24 pref 100 lookup 100", "4 route add local default dev lo table 100"),
        decidable=False,
    ),
    Case(
        "the answer of a neighbour may be routed to this host itself",
        False,
        shot=shot("container", "fd00:10::2", 443),
        routing=("6 rule add iif lan0 pref 100 lookup 100", "6 route add local default dev lo table 100"),
    ),
    Case(
        "only a chain of type route finds a new way for what it marks",
        True,
        table("a", chain("c", "filter hook output priority -150", "meta mark set 0x10")),
        shot=shot("internet", "2001:db8:2::10", 80),
        routing=("6 rule add fwmark 0x10 pref 100 lookup 100", "6 route add blackhole default table 100"),
    ),
    Case(
        "a chain of type route does",
        False,
        table("a", chain("c", "route hook output priority -150", "meta mark set 0x10")),
        shot=shot("internet", "2001:db8:2::10", 80),
        routing=("6 rule add fwmark 0x10 pref 100 lookup 100", "6 route add blackhole default table 100"),
    ),
    Case(
        "chains after the translation of an own packet still see the interface of its old way",
        True,
        table(
            "a",
            chain("n", "nat hook output priority -100", "tcp dport 80 dnat ip to 172.18.0.2"),
            chain("f", "filter hook output priority 0", 'oifname "br0" drop'),
        ),
        shot=shot("host", "192.0.2.10", 80, source="192.0.2.10"),
    ),
    Case(
        "a packet from ::1 that is translated to the outside is taken by nobody",
        False,
        table("a", chain("n", "nat hook output priority -100", "udp dport 53 dnat ip6 to [fd00:18::2]:53")),
        shot=shot("host", "::1", 53, "udp", source="::1"),
    ),
    Case(
        "nor is one from 127.0.0.1, where it may leave at all",
        False,
        table("a", chain("n", "nat hook output priority -100", "tcp dport 80 dnat ip to 203.0.113.5")),
        shot=shot("host", "172.18.0.1", 80, source="127.0.0.1"),
        switches={"net.ipv4.conf.wan0.route_localnet": "1"},
    ),
    Case(
        "unless its source is translated, too",
        True,
        table(
            "a",
            chain("n", "nat hook output priority -100", "udp dport 53 dnat ip6 to [fd00:18::2]:53"),
            chain("p", "nat hook postrouting priority 100", "oifname br0 masquerade"),
        ),
        shot=shot("host", "::1", 53, "udp", source="::1"),
    ),
    Case(
        "TCP to an anycast address of this host is not answered",
        False,
        table("a", chain("n", "nat hook output priority -100", "tcp dport 53 dnat ip6 to fd00:18::")),
        shot=shot("host", "2001:db8:2::10", 53, source="2001:db8:2::10"),
    ),
    Case(
        "where it is not known who answers, what happens to one's answer is nothing to the other's",
        True,
        table(
            "t0",
            chain("c", "nat hook prerouting priority -100", "tcp sport > 9999 dnat to tcp dport map @m"),
            family="ip6",
        ).replace(
            " chain c",
            " map m { type inet_service : ipv6_addr . inet_service\n elements = { 123 : 2001:db8:77::5 . 3000 }\n }\n chain c",
        ),
        shot=shot("container", "fd00:10::1", 123),
        restores=(
            ("ip6tables-nft-restore", "*raw\n:OUTPUT ACCEPT\n-A OUTPUT -s 2001:db8::/32 -j CT --notrack\nCOMMIT\n"),
            (
                "ip6tables-nft-restore",
                "*nat\n:PREROUTING ACCEPT\n"
                "-A PREROUTING -p tcp -s fd00:18::/32 -j DNAT --to-destination [2001:db8:2::11]:443\nCOMMIT\n",
            ),
        ),
        decidable=False,
    ),
    Case(
        "a map of ports that holds nothing for a packet leaves its address, too",
        True,
        table(
            "a",
            chain(
                "n",
                "nat hook prerouting priority -100",
                "meta l4proto tcp dnat ip to 172.18.0.2:tcp dport map { 443 : 8080 }",
            ),
            chain("f", "filter hook forward priority 0; policy drop"),
        ),
    ),
    Case(
        "a masquerade by the loopback interface takes an address of another one",
        True,
        table(
            "a",
            chain("n", "nat hook postrouting priority 100", 'oifname "lo" masquerade'),
            chain("i", "filter hook input priority 0", "ip saddr 127.0.0.0/8 drop"),
        ),
        shot=shot("host", "192.0.2.11", 53, "udp", source="127.0.0.1"),
    ),
    Case(
        "over IPv6 it takes the very address that is called",
        True,
        table(
            "a",
            chain("n", "nat hook postrouting priority 100", 'oifname "lo" masquerade'),
            chain("i", "filter hook input priority 0", "ip6 saddr != fd00:10::1 drop"),
        ),
        shot=shot("host", "fd00:10::1", 53, "udp", source="2001:db8:2::10"),
    ),
    Case(
        "and by another interface one of its own that is not of the link",
        True,
        table(
            "a",
            chain("n", "nat hook postrouting priority 100", 'oifname "lan0" masquerade'),
            chain("f", "filter hook postrouting priority 200", 'oifname "lan0" ip6 saddr != fd00:10::1 drop'),
        ),
        shot=shot("internet", "fd00:10::2", 53, "udp", source="2001:db8:77::5"),
    ),
    *ZONED,
    *BELOW,
    *PROTECTED,
    Case(
        "once there is a local route of one's own, sources are looked up without rp_filter, too",
        False,
        shot=shot("internet", "192.0.2.10", 53, "udp", source="203.0.113.5"),
        routing=("4 route add local 203.0.113.0/28 dev lo",),
    ),
)


def play(world: World, prober: Prober, case: Case) -> tuple[bool, Verdict]:
    """Return what the kernel did and what the evaluator says."""
    answer = world.loader.ask(
        do="load",
        nft=case.nft,
        restores=list(case.restores),
        ipset="",
        routing=list(case.routing),
        switches={**SWITCHES, **case.switches},
    )
    assert answer == {}, answer
    rows = msgspec.convert(world.loader.ask(do="rows")["rows"], dict[str, Row])
    (last,), (outcome,) = prober.fire_twice([case.shot])
    return outcome.reachable, evaluate(read(rows), [last.probe]).verdicts()[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel_and_evaluator_say_the_same(world: World, prober: Prober, case: Case) -> None:
    kernel, predicted = play(world, prober, case)
    assert kernel == case.reachable
    decided = Verdict.REACHABLE if case.reachable else Verdict.BLOCKED
    assert predicted == (decided if case.decidable else Verdict.UNCERTAIN)
