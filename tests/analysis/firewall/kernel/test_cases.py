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
    """A ruleset, a shot, and whether it is reachable."""

    name: str
    reachable: bool
    nft: str = ""
    shot: Shot = WEB
    restores: tuple[tuple[str, str], ...] = ()
    routing: tuple[str, ...] = ()
    switches: dict[str, str] = field(default_factory=dict)


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
    ),
    Case(
        "so what the later made one marks the former sees",
        False,
        table("a", chain("c", "filter hook input priority 0", "meta mark 1 drop"))
        + table("b", chain("c", "filter hook input priority 0", "meta mark set 1")),
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
    ),
    Case("translation happens at -100 however early its chain claims to be", True, redirected(-150, -120)),
    Case("translation happens at -100 however late its chain claims to be", False, redirected(50, -90)),
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
    assert predicted == (Verdict.REACHABLE if case.reachable else Verdict.BLOCKED)
