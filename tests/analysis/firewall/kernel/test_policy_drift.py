"""Drift from the declared policy, judged on the rows that the real collector makes of a real ruleset."""

from typing import Any

import pytest
from msgspec.structs import replace

from analysis import policy_drift
from analysis.firewall.policy import script
from analysis.firewall.policy_diff import Comparison, compare
from analysis.policy_drift import PolicyDrift
from contracts.event import Severity
from contracts.judge import View
from contracts.policy import Policy, Service, Zone, digest
from contracts.snapshot import Snapshot, apply
from contracts.subjects.datapath import Row
from contracts.subjects.policy import KEY, Declared
from contracts.subjects.ports import Listener
from tests.analysis.firewall.kernel.test_policy_agreement import loaded
from tests.analysis.firewall.kernel.topology import World

POLICY = Policy(
    zones={"office": Zone(networks=("10.1.0.0/24", "fd00:10::/64"))},
    services={"ssh": Service(ports=("22",), sources=("office",)), "web": Service(ports=("80",))},
)
LISTENING = {"a": Listener(protocol="tcp", family=4, address="0.0.0.0", port=9000, scope="any")}


class Judging:
    """The judge with its memory: `again(program)` loads a ruleset and returns the kinds and keys it states."""

    def __init__(self, world: World) -> None:
        self.world, self.judge = world, PolicyDrift()
        self.before = Snapshot(subject="policy_drift")
        self.policy: Policy | None = POLICY

    def again(self, program: str, seen: bool = True) -> list:
        return self.judged(loaded(self.world, program) if seen else {}, seen)

    def judged(self, rows: dict[str, Row], seen: bool = True) -> list:
        declared = {KEY: Declared(policy=self.policy, digest=digest(self.policy))} if self.policy else {}
        snapshots = {
            "policy": Snapshot(subject="policy", revision=1, rows=declared),
            "datapath": Snapshot(subject="datapath", revision=int(seen), rows=rows),
            "ports": Snapshot(subject="ports", revision=1, rows=LISTENING),
        }
        report = self.judge.judge(View(snapshots=snapshots, accepted={}, now_ms=7), self.before)
        self.before = Snapshot(subject="policy_drift", revision=1, rows=apply(self.before.rows, report.changes))
        self.report = report
        return [(event.kind.removeprefix("firewall."), event.key) for event in report.events]


@pytest.fixture
def judging(world: World) -> Judging:
    return Judging(world)


def test_bans_that_come_and_go_are_no_reason_to_compare_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counted(*arguments: Any) -> Comparison:
        compared.append(1)
        return compare(*arguments)

    monkeypatch.setattr(policy_drift, "compare", counted)
    judging = Judging(world)
    block = "table inet holdfast_block { set banned4 { type ipv4_addr; elements = { 192.0.2.1 }\n }\n }\n"
    rows = loaded(world, script(POLICY) + block)
    judging.judged(rows)
    banned = rows["set inet holdfast_block banned4"]
    more = {**rows, "set inet holdfast_block banned4": replace(banned, document=banned.document.replace(".1", ".2"))}
    assert more != rows
    assert judging.judged(more) == []
    assert len(compared) == 1
    judging.policy = Policy(services={"web": Service(ports=("80",))})
    judging.judged(more)
    judging.judged({name: row for name, row in more.items() if not name.startswith("rule ")})
    assert len(compared) == 3


def test_a_policy_in_force_is_kept(judging: Judging) -> None:
    assert judging.again(script(POLICY)) == []
    assert judging.report.blind == ()


def test_before_the_first_look_nothing_is_concluded(judging: Judging) -> None:
    assert judging.again("", seen=False) == []
    assert judging.before.rows == {}


def test_a_host_without_the_policy_is_one_event_and_its_end_another(judging: Judging) -> None:
    assert judging.again("") == [("policy_not_in_force", "many")]
    assert judging.again("") == []
    assert judging.again(script(POLICY)) == [("policy_in_force", "many")]


@pytest.mark.parametrize(
    ("rule", "change", "ports"),
    [
        ("insert rule inet holdfast policy_input tcp dport 9000 accept", "reachable, and not declared", ["9000"]),
        ("insert rule inet holdfast policy_input tcp dport 80 drop", "declared, and not reachable", ["80"]),
    ],
)
def test_one_rule_more_is_drift_until_it_is_gone(judging: Judging, rule: str, change: str, ports: list[str]) -> None:
    judging.again(script(POLICY))
    said = judging.again(script(POLICY) + rule + "\n")
    assert said and {kind for kind, _ in said} == {"policy_drift"}
    event = next(each for each in judging.report.events if each.fields["vantage"] == "internet")
    assert (event.fields["change"], event.fields["ports"]) == (change, ports)
    assert event.fields["chain"] == "inet holdfast policy_input"
    assert event.severity is (Severity.HIGH if "not declared" in change else Severity.MEDIUM)
    ended = judging.again(script(POLICY))
    assert [(kind.replace("kept", "drift"), key) for kind, key in ended] == said


def test_without_a_declared_policy_nothing_drifts(judging: Judging) -> None:
    judging.again("")
    judging.policy = None
    assert judging.again("") == [("policy_in_force", "many")]
    assert judging.before.rows == {}


def test_a_zone_that_nothing_leads_to_is_a_blind_spot(judging: Judging) -> None:
    far = Policy(zones={"far": Zone(interfaces=("eth9",))}, services={"s": Service(ports=("1",), sources=("far",))})
    judging.policy = far
    judging.again(script(far))
    assert {spot.what for spot in judging.report.blind} == {
        "whether the policy holds towards far over IPv4",
        "whether the policy holds towards far over IPv6",
    }
