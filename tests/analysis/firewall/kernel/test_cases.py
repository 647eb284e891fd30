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
