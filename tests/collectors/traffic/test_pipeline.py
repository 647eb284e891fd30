"""Live packets through all parts."""

from pathlib import Path

from collectors.traffic.block import from_packets
from collectors.traffic.options import Options
from collectors.traffic.pipeline import Passed, Pipeline
from collectors.traffic.rules.engine.engine import Engine
from tests.collectors.traffic.rules.engine import scene


def _fed(pipeline: Pipeline, packets: list[bytes], now_ns: int = 0, times: list[int] | None = None) -> Passed:
    """Return what came of a block that is one part."""
    (passed,) = pipeline.feed(from_packets(packets, time_ns=times), now_ns)
    return passed


def test_packets_are_followed_without_rules_and_held_against_them_once_there_are_some() -> None:
    pipeline = Pipeline(Options())
    packets = [scene.udp(b"a needle")]
    assert _fed(pipeline, packets).alerts == [] and len(pipeline.flows) == 1
    pipeline.engine = Engine(
        scene.rules('alert udp any any -> any any (content:"needle"; sid:1;)'), pipeline.flows.columns
    )
    assert [alert.rule.sid for alert in _fed(pipeline, packets).alerts] == [1]
    assert pipeline.memory_bytes() > 0


def test_at_the_end_flows_are_ended_some_at_a_time_and_what_was_never_acknowledged_is_looked_at() -> None:
    pipeline = Pipeline(Options())
    pipeline.engine = Engine(
        scene.rules('alert tcp any any -> any any (content:"needle"; flow:only_stream; sid:1;)'), pipeline.flows.columns
    )
    talk = scene.Talk().ask(b"a needle")
    del talk.packets[-1]  # the server has not acknowledged it
    others = [scene.udp(b"x", sport=port) for port in range(1, 11)]
    assert _fed(pipeline, [*others, *talk.packets]).alerts == []
    passed = [one for _ in range(3) for one in pipeline.finish(4)]
    assert [len(one.batch.ended[0]) for one in passed] == [4, 4, 3] and len(pipeline.flows) == 0
    assert [alert.rule.sid for one in passed for alert in one.alerts] == [1]


def test_silent_flows_end_by_the_clock_when_nothing_comes() -> None:
    pipeline = Pipeline(Options())
    _fed(pipeline, [scene.udp(b"x")], scene.START, [scene.START])
    assert len(_fed(pipeline, [], scene.START + 10**9).batch.ended) == 0
    (ended,) = _fed(pipeline, [], scene.START + 400 * 10**9).batch.ended
    assert len(ended) == 1 and len(pipeline.flows) == 0


def test_digests_of_files_are_made_while_rules_ask_for_them(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("0" * 32 + "\n")
    pipeline = Pipeline(Options())
    asked = scene.rules(f"alert http any any -> any any (filemd5:{tmp_path / 'bad'};)")
    for rules, wanted in ((asked, ("md5",)), (scene.rules('alert udp any any -> any any (content:"a";)'), ())):
        pipeline.engine = Engine(rules, pipeline.flows.columns)
        assert pipeline.protocols._limits.hash_files == wanted
