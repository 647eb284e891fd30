"""The end of a trial, seen on the rows that the real collector makes."""

from analysis.firewall.policy import REMOVE, confirming, script
from analysis.policy_trial import PolicyTrial
from contracts.judge import View
from contracts.policy import Policy, Service, digest
from contracts.snapshot import Snapshot, apply
from tests.analysis.firewall.kernel.test_policy_agreement import loaded
from tests.analysis.firewall.kernel.topology import World

FIRST, SECOND = (Policy(services={"some": Service(ports=(port,))}) for port in ("22", "80"))
ENDED = "delete element inet holdfast trial { ipv4, ipv6 }\n"


class Judging:
    """The judge with its memory: `again(program)` loads a ruleset and returns the digests whose trial it calls over."""

    def __init__(self, world: World) -> None:
        self.world, self.before = world, Snapshot(subject="policy_trial")

    def again(self, program: str) -> list[str]:
        snapshots = {"datapath": Snapshot(subject="datapath", revision=1, rows=loaded(self.world, program))}
        report = PolicyTrial().judge(View(snapshots=snapshots, accepted={}, now_ms=7), self.before)
        self.before = Snapshot(subject="policy_trial", revision=1, rows=apply(self.before.rows, report.changes))
        return [event.key for event in report.events]


def test_a_trial_that_nobody_confirms_is_over_once(world: World) -> None:
    judging = Judging(world)
    trial = script(FIRST, SECOND, 600)
    assert judging.again(trial) == []
    assert judging.again(trial + ENDED) == [digest(SECOND)]
    assert judging.again(trial + ENDED) == []
    assert judging.again(trial) == []  # applied again
    assert judging.again(trial + ENDED) == [digest(SECOND)]


def test_one_that_ended_between_two_looks_is_noticed_too(world: World) -> None:
    assert Judging(world).again(script(None, SECOND, 600) + ENDED) == [digest(SECOND)]


def test_one_that_was_confirmed_or_taken_back_did_not_run_out(world: World) -> None:
    for ending in (script(None, SECOND, 600) + confirming(SECOND), REMOVE, script(FIRST), ""):
        judging = Judging(world)
        judging.again(script(None, SECOND, 600))
        assert judging.again(ending) == []
        assert judging.before.rows == {}
