"""The policy in the evaluator's terms takes the place of our table, and of nothing else."""

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Base, Chain, Datapath, Link, Network, Route, RoutingRule, Rule, Table, Verdict
from analysis.firewall.policy_model import replaced, table
from analysis.firewall.probe import Probe
from analysis.firewall.probe import Verdict as End
from contracts.policy import Policy, Service

POLICY = Policy(services={"ssh": Service(ports=("22",))}, forward="drop")
ADDRESS = 0xC0000201
NETWORK = Network(
    links={
        "lo": Link(name="lo", index=1, loopback=True),
        "eth0": Link(name="eth0", index=2, addresses=((ADDRESS, 24, -1, 4, "global"),)),
    },
    routes=(
        Route(family=4, table=255, low=ADDRESS, high=ADDRESS, length=32, kind=2, device="eth0"),
        Route(family=4, table=254, low=0, high=(1 << 32) - 1, length=0, device="eth0", devices=("eth0",)),
    ),
    rules=tuple(RoutingRule(family=4, priority=place, table=number) for place, number in ((0, 255), (32766, 254))),
)


def table_that_drops(name: str) -> Table:
    chain = Chain(
        name="c",
        base=Base(kind="filter", hook="input", priority=0),
        rules=(Rule(statements=(Verdict("drop"),), text="drop"),),
    )
    return Table(family="inet", name=name, chains={"c": chain})


def test_our_table_is_replaced_and_others_stay() -> None:
    datapath = Datapath(tables=(table_that_drops("holdfast"), table_that_drops("other")))
    names = [each.name for each in replaced(datapath, POLICY).tables]
    assert names == ["other", "holdfast"]
    assert replaced(datapath, POLICY).tables[1] == table(POLICY)


def test_it_has_the_chains_that_are_rendered() -> None:
    assert set(table(POLICY).chains) == {"input", "policy_input", "forward", "policy_forward"}


def test_what_others_drop_stays_dropped() -> None:
    probe = Probe(family=4, protocol="tcp", source="198.51.100.1", destination="192.0.2.1", port=22, interface="eth0")
    alone = replaced(Datapath(network=NETWORK), POLICY)
    beside = replaced(Datapath(network=NETWORK, tables=(table_that_drops("other"),)), POLICY)
    assert evaluate(alone, [probe]).verdicts() == (End.REACHABLE,)
    answer = evaluate(beside, [probe]).answer(0)
    assert answer.verdict is End.BLOCKED
    assert answer.causes[-1].table == "other"
