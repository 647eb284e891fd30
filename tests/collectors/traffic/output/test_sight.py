"""What the sensor could not see, and its numbers."""

from typing import Any

from collectors.traffic.block import from_packets
from collectors.traffic.options import EvidenceOptions, Options
from collectors.traffic.output.reporting import Reporting
from collectors.traffic.output.sight import Sight
from collectors.traffic.pipeline import Pipeline
from collectors.traffic.ring import RingCounts
from contracts.subjects.traffic import Rules
from tests.collectors.traffic.rules.engine import scene
from tests.collectors.traffic.told import Told


class Interfaces:
    """In the place of packet sockets: counts and missing names as a test wants them."""

    def __init__(self) -> None:
        self.names, self.gone = ["eth0"], list[str]()
        self.still: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.ring = RingCounts()

    def standing_still(self) -> dict[str, str]:
        return self.still

    def counts(self) -> dict[str, RingCounts]:
        return {"eth0": self.ring}

    def missing(self) -> list[str]:
        return self.gone


class Seen:
    def __init__(self) -> None:
        self.told, self.source, self.pipeline = Told(), Interfaces(), Pipeline(Options())
        self.sight = Sight(self.told, 0.0, 7)
        self.rules = Rules(loaded=5)
        self.reporting = Reporting(Options(), self.told, 0.0)

    def tick(self, now_s: float) -> list[str]:
        source: Any = self.source
        self.sight.tick(source, self.pipeline, self.reporting, self.rules, now_s)
        return [spot.what for spot in self.told.spots]


def test_drops_are_told_once_a_minute_and_stay_a_blind_spot_for_five() -> None:
    seen = Seen()
    assert seen.tick(1.0) == []
    seen.source.ring.seen, seen.source.ring.dropped = 1000, 100
    assert seen.tick(2.0) == ["all packets of eth0"]
    seen.source.ring.seen, seen.source.ring.dropped = 2000, 150
    seen.tick(3.0)
    (first,) = seen.told.events
    assert (first.fields["packets"], first.fields["share"], first.fields["seconds"]) == (100, 10.0, 1.0)
    seen.tick(63.0)
    assert seen.told.events[1].fields["packets"] == 50, "what came meanwhile is told, too"
    assert seen.told.events[1].fields["seconds"] == 61.0, "from the look before the first of them"
    assert seen.tick(310.0) == []


def test_the_time_of_a_loss_is_its_own_and_not_that_since_something_was_told_at_last() -> None:
    seen = Seen()
    for second in range(1, 400):
        seen.source.ring.seen = second * 1000
        seen.tick(float(second))
    seen.source.ring.seen, seen.source.ring.dropped = 400_000, 500
    seen.tick(400.0)
    (told,) = seen.told.events
    assert (told.fields["packets"], told.fields["share"], told.fields["seconds"]) == (500, 50.0, 1.0)


def test_flows_without_a_record_are_told_and_what_was_not_told_yet_is_told_at_the_end() -> None:
    seen = Seen()
    records = seen.reporting.flows
    records.made, records.left_out = 20_000, 700
    assert seen.tick(1.0) == ["the records of all flows that ended"]
    records.left_out, seen.source.ring.dropped, seen.source.ring.seen = 900, 5, 10
    seen.tick(2.0)
    assert seen.told.kinds() == ["traffic.flow_records_left_out", "traffic.packets_dropped"]
    assert seen.told.events[0].fields == {"count": 700, "seconds": 1.0}
    seen.pipeline.flows.counts.evicted = 3
    records.left_out = 1000
    seen.sight.flush(seen.pipeline, seen.reporting, 4.0)
    late = {event.kind: event.fields["count"] for event in seen.told.events[2:]}
    assert late == {"traffic.flows_evicted": 3, "traffic.flow_records_left_out": 300}
    assert [event.fields["seconds"] for event in seen.told.events[2:]] == [2.0, 3.0]


def test_what_was_cut_is_told_with_who_held_most_and_is_a_blind_spot_for_a_while() -> None:
    seen = Seen()
    account = seen.pipeline.protocols.account
    account.cut, account.most = 7, [((4, (0, 0x0A000001), (0, 0x0A000002)), 9_000), ((6, (1 << 32, 0), (0, 1)), 5)]
    what = "all requests, answers, bodies and files to their end"
    assert seen.tick(1.0) == [what]
    account.cut = 9
    assert seen.tick(30.0) == [what] and seen.tick(350.0) == []
    assert seen.told.kinds() == ["traffic.bodies_cut"] * 2
    assert [event.fields["count"] for event in seen.told.events] == [7, 2]
    assert seen.told.events[0].fields["holders"] == "10.0.0.1 and 10.0.0.2 held 9000 bytes"
    account.most = account.most[1:]
    account.cut = 10
    seen.sight.flush(seen.pipeline, seen.reporting, 351.0)
    assert seen.told.events[-1].fields["holders"].startswith("0000:0001:")


def test_tables_that_are_made_anew_count_from_nothing() -> None:
    seen = Seen()
    seen.pipeline.flows.counts.evicted = 50
    seen.tick(1.0)
    seen.pipeline = Pipeline(Options())
    seen.tick(70.0)
    seen.pipeline.flows.counts.evicted = 4
    seen.tick(140.0)
    assert [event.fields["count"] for event in seen.told.events] == [50, 4]


def test_what_takes_sight_away_is_named() -> None:
    seen = Seen()
    seen.rules = Rules(loaded=0, refused=2, problem="no file")
    seen.pipeline.flows.counts.evicted = 9
    counts = seen.pipeline.protocols.counts
    counts.bytes_seen, counts.bytes_encrypted, counts.parsers_broken = 1_000_000, 620_000, 1
    sealed = Options(evidence=EvidenceOptions(key="file:/none"), flow_records=1 << 20)
    seen.reporting = Reporting(sealed, seen.told, 0.0)
    spots = seen.tick(1.0)
    for what in (
        "what newer rules describe",
        "what rules describe",
        "what 2 rules describe",
        "what encrypted connections carry",
        "all flows from their beginning to their end",
        "some conversations to their end",
        "the packets of alerts later on",
        "the records of flows later on",
    ):
        assert what in spots, what
    assert any("about 60 %" in spot.detail for spot in seen.told.spots)
    assert seen.told.kinds() == ["traffic.flows_evicted"]


def test_rows_have_the_numbers_of_all_parts() -> None:
    seen = Seen()
    reporting = Reporting(Options(), seen.told, 0.0)
    seen.source.still = {"eth0": "no carrier"}
    voice = seen.pipeline.detectors.voice.counts
    voice.told, voice.repeated, voice.banned = 4, 5, 6
    seen.pipeline.tune(Options().detectors)
    (passed,) = seen.pipeline.feed(from_packets([scene.udp(b"x")], time_ns=[scene.START]), 0)
    seen.sight.take(passed, scene.START + 5_000_000)
    source: Any = seen.source
    rows = seen.sight.rows(source, seen.pipeline, reporting, seen.rules, 20.0)
    sensor = rows["sensor"].sensor
    assert sensor is not None and (sensor.packets, sensor.flows, sensor.lag_ms, sensor.since_ms) == (1, 1, 5.0, 7)
    assert (sensor.findings, sensor.findings_repeated, sensor.findings_banned) == (4, 5, 6), "since the sensor began"
    assert sensor.packets_per_s == 0.1 or sensor.packets_per_s == round(1 / 20, 1)
    interface = rows["interface eth0"].interface
    assert interface is not None and interface.present and interface.standstill == "no carrier"
    assert (
        rows["rules"].rules == seen.rules
        and "interface eth0" in rows
        and len([key for key in rows if key.startswith("peer ")]) == 2
    )


def test_one_rule_is_singular() -> None:
    seen = Seen()
    seen.rules = Rules(loaded=5, refused=1)
    assert seen.tick(1.0) == ["what 1 rule describes"]
    assert [spot.detail.split()[0] for spot in seen.told.spots] == ["it"]
