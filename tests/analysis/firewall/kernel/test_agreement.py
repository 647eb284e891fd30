"""Generated rulesets in a real kernel: what the evaluator predicts of every probe is what happens to it."""

import os

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.analysis.firewall.kernel.agreement import Harness
from tests.analysis.firewall.kernel.probing import Prober, Shot
from tests.analysis.firewall.kernel.rulesets import Ruleset
from tests.analysis.firewall.kernel.strategies import rounds
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
    assert tally.uncertain < UNCERTAIN_LIMIT * tally.probes, tally.unknown.most_common(5)
