"""One ruleset in the place of another while flows go on."""

from collectors.traffic.block import from_packets
from collectors.traffic.options import Options
from collectors.traffic.pipeline import Pipeline
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.exchange import take_over
from tests.collectors.traffic.rules.engine import scene

SETS = 'alert udp any any -> any any (content:"one"; flowbits:set,seen; sid:1;)'
ASKS = 'alert udp any any -> any any (content:"two"; flowbits:isset,seen; sid:2;)'


def test_bits_that_the_former_rules_set_are_known_to_the_new_ones() -> None:
    pipeline = Pipeline(Options())
    pipeline.engine = Engine(scene.rules(SETS), pipeline.flows.columns)

    def sids(data: bytes) -> list[int]:
        (passed,) = pipeline.feed(from_packets([scene.udp(data)]), 0)
        return [alert.rule.sid for alert in passed.alerts]

    assert sids(b"one") == [1]
    fresh = Engine(scene.rules(ASKS), pipeline.flows.columns)
    take_over(fresh, pipeline.engine)
    pipeline.engine = fresh
    assert sids(b"two") == [2] and sids(b"one") == []
