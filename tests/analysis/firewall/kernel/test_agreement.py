"""Generated rulesets in a real kernel: what the evaluator predicts of every probe is what happens to it."""

import json
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from analysis.firewall.probe import UNTRACED, Answer, Probe, Verdict
from tests.analysis.firewall.kernel import agreement
from tests.analysis.firewall.kernel.agreement import Harness, Tally
from tests.analysis.firewall.kernel.probing import Prober, Shot
from tests.analysis.firewall.kernel.rulesets import Chain, Rule, Ruleset, Table, decode
from tests.analysis.firewall.kernel.soak import Soak
from tests.analysis.firewall.kernel.strategies import rounds
from tests.analysis.firewall.kernel.tags import TAGS
from tests.analysis.firewall.kernel.test_probing import shot
from tests.analysis.firewall.kernel.topology import World

RULESETS = int(os.environ.get("HOLDFAST_RULESETS", "150"))
SEED = int(os.environ.get("HOLDFAST_SEED", "3"))
UNCERTAIN_LIMIT = 0.02


def test_prediction_and_kernel_agree_on_every_decided_probe(world: World, prober: Prober) -> None:
    harness = Harness(world, prober)
    reports: list[str] = []

    @seed(SEED)
    @settings(
        max_examples=RULESETS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(rounds())
    def one_round(drawn: tuple[Ruleset, list[Shot]]) -> None:
        if not reports:
            reports.extend(harness.smallest(found).report() for found in harness.play(*drawn)[:1])

    one_round()
    assert not reports, reports[0]
    tally = harness.tally
    assert tally.rulesets >= RULESETS * 0.9
    assert tally.agreed > tally.probes / 2
    assert 0.15 < tally.reachable / tally.agreed < 0.85, "the rulesets decide nothing"
    assert tally.unnamed == 0
    assert tally.uncertain < UNCERTAIN_LIMIT * tally.probes, tally.unknown.most_common(5)


class Gullible:
    """Says of every probe that it is reachable."""

    def __init__(self, datapath: object, probes: list[Probe]) -> None:
        self.probes = probes

    def answer(self, number: int) -> Answer:
        return Answer(verdict=Verdict.REACHABLE)


def test_a_wrong_prediction_is_found_made_small_and_can_be_replayed(
    world: World, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "evaluate", Gullible)
    base = "type filter hook input priority 0; policy accept;"
    blocking, idle = Rule("tcp dport 80 drop"), Rule("tcp dport 22 accept")
    ruleset = Ruleset(
        tables=(
            Table("inet", "t0", chains=(Chain("c", base, (idle, blocking, idle)),)),
            Table("ip6", "t1", chains=(Chain("c", base, (idle,)),)),
        )
    )
    harness = Harness(world, prober)
    found = harness.play(ruleset, [shot("internet", "192.0.2.10", 80), shot("internet", "192.0.2.10", 53)])
    assert [one.shot.probe.port for one in found] == [80]
    assert (harness.tally.agreed, harness.tally.disagreed) == (1, 1)
    smallest = harness.smallest(found[0])
    assert [rule for table in smallest.ruleset.tables for chain in table.chains for rule in chain.rules] == [blocking]
    assert decode(json.loads(smallest.encode())["ruleset"]) == smallest.ruleset
    assert "not reachable" in smallest.report()


def test_a_ruleset_that_nft_cannot_list_is_counted_and_not_judged(world: World, prober: Prober) -> None:
    rule = Rule("ip daddr < 192.0.2.10 th dport > 443 accept")
    base = "type filter hook input priority 0; policy drop;"
    harness = Harness(world, prober)
    assert harness.play(Ruleset(tables=(Table("inet", "t0", chains=(Chain("c", base, (rule,)),)),)), []) == []
    assert (harness.tally.refused, harness.tally.rulesets) == (1, 0)
    (said,) = harness.tally.unknown
    assert said.startswith("unreadable: nft broke off over a rule in it")


class Silent(Gullible):
    """Says of every probe that it is uncertain, and not why."""

    def answer(self, number: int) -> Answer:
        return Answer(verdict=Verdict.UNCERTAIN, unknown=(f"something ({UNTRACED})",) if number else ())


def test_an_uncertain_answer_that_names_nothing_fails_the_run(
    world: World, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "evaluate", Silent)
    harness = Harness(world, prober)
    base = "type filter hook input priority 0; policy accept;"
    found = harness.play(
        Ruleset(tables=(Table("inet", "t0", chains=(Chain("c", base),)),)),
        [shot("internet", "192.0.2.10", 80), shot("internet", "192.0.2.10", 53)],
    )
    assert (harness.tally.uncertain, harness.tally.unnamed, harness.tally.disagreed, len(found)) == (2, 2, 0, 2)
    assert "an uncertain answer names nothing unknown" in found[0].report()


def test_the_soak_fails_over_one_disagreement_and_over_one_answer_that_names_nothing() -> None:
    soak = Soak(1, 1, None)
    soak.tally = Tally(rulesets=1, probes=100, agreed=99, uncertain=1, decided_by=Counter(dict.fromkeys(TAGS, 50)))
    assert soak.verdict() == 0
    soak.tally.unnamed = 1
    assert soak.verdict() == 1
    soak.tally.unnamed, soak.tally.disagreed = 0, 1
    assert soak.verdict() == 1
