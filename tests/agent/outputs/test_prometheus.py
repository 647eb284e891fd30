"""The exposition is what Prometheus' own parser reads, whatever the labels hold."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.outputs import prometheus
from agent.outputs.prometheus import Family, Sample
from agent.outputs.rendering import OutputState
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why
from contracts.event import Lane
from contracts.host import Facts
from contracts.outcome import Cost, Failed, Ok, Run
from contracts.wire import Heartbeat, LaneState, WorkerState


@pytest.fixture
def heartbeat(facts: Facts) -> Heartbeat:
    blind = Blind(what="x", why=Why.PERMISSION)
    return Heartbeat(
        sent_ms=1,
        instance="i",
        version="0.1.0",
        facts=facts,
        uptime_s=12.5,
        every_s=30.0,
        clock_skew_ms=-1500,
        coverage=Coverage(
            sights=(
                Sight(subject="ports", state="seen", rows=7, last_ok_ms=1_700_000_000_000),
                Sight(subject="firewall", state="partial", blind=(blind,)),
            )
        ),
        workers=(WorkerState(name="reader", state="running", restarts=2),),
        lanes=(LaneState(lane=Lane.BULK, waiting=3, bytes=99, next_seq=5, lost=1),),
        runs=(
            Run(name="ports", started_ms=1, outcome=Failed(error="x")),
            Run(name="ports", started_ms=2, outcome=Ok(), cost=Cost(wall_s=0.25)),
        ),
    )


def read(body: bytes) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            yield sample.name, tuple(sorted(sample.labels.items())), sample.value


def test_a_heartbeat_becomes_metrics(heartbeat: Heartbeat) -> None:
    outputs = [OutputState(name="ndjson", written=4, lost=1)]
    body = prometheus.render(prometheus.families(heartbeat, outputs, {"high": 3}))
    found = {(name, labels): value for name, labels, value in read(body)}
    assert found["holdfast_uptime_seconds", ()] == 12.5
    assert found["holdfast_subject_seen", (("state", "partial"), ("subject", "firewall"))] == 0
    assert found["holdfast_subject_blind_spots", (("subject", "firewall"),)] == 1
    assert found["holdfast_worker_restarts_total", (("worker", "reader"),)] == 2
    assert found["holdfast_spool_lost_total", (("lane", "bulk"),)] == 1
    assert found["holdfast_clock_skew_seconds", ()] == -1.5
    assert found["holdfast_run_outcome", (("outcome", "ok"), ("run", "ports"))] == 1
    assert found["holdfast_events_total", (("severity", "high"),)] == 3
    assert found["holdfast_output_lost_total", (("output", "ndjson"),)] == 1


def test_every_metric_says_what_it_is(heartbeat: Heartbeat) -> None:
    families = list(prometheus.families(heartbeat))
    assert all(family.help.endswith(".") for family in families)
    assert len({family.name for family in families}) == len(families)
    assert all(family.name.endswith("_total") == (family.type == "counter") for family in families)


@given(st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False))
def test_any_label_and_number_reads_back(label: str, value: float) -> None:
    label = label.encode("utf-8", "replace").decode()
    body = prometheus.render(
        [Family(name="x", help="H.", type="gauge", samples=(Sample(value=value, labels={"l": label}),))]
    )
    assert list(read(body)) == [("holdfast_x", (("l", label),), value)]
