"""Alerts and findings become events with their evidence, within limits."""

import io

from collectors.traffic.block import from_packets
from collectors.traffic.captures import open_capture
from collectors.traffic.detectors.options import DetectorOptions, VolumeOptions
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.options import EvidenceOptions, Options
from collectors.traffic.output.reporting import Reporting
from collectors.traffic.output.sealing import Sealer, unseal
from collectors.traffic.pipeline import Pipeline
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.language.threshold_config import read
from collectors.traffic.rules.site import Site
from tests.collectors.traffic.rules.engine import scene
from tests.collectors.traffic.told import Told

RULE = 'drop udp any any -> any any (msg:"needle"; content:"needle"; priority:2; metadata:mitre_technique_id T1046; sid:5;)'


class Desk:
    def __init__(self, **options: object) -> None:
        self.options = Options(**options)  # type: ignore[arg-type]
        self.told = Told()
        self.pipeline = Pipeline(self.options)
        self.pipeline.engine = Engine(scene.rules(RULE), self.pipeline.flows.columns)
        self.reporting = Reporting(self.options, self.told, 0.0)

    def see(self, *packets: bytes, now_s: float = 1.0) -> None:
        for passed in self.pipeline.feed(from_packets(list(packets), time_ns=[scene.START] * len(packets)), 0):
            self.reporting.take(passed, ["eth0"], self.pipeline.flows.columns.serial, now_s)


def test_an_alert_is_an_event_with_its_ends_its_rule_and_its_packets() -> None:
    desk = Desk(block=True)
    desk.see(scene.udp(b"hay"), scene.udp(b"a needle"))
    (event,) = desk.told.events
    fields = event.fields
    assert (event.severity, fields["sid"], fields["action"], fields["interface"], fields["protocol"]) == (
        3,
        5,
        "drop",
        "eth0",
        "UDP",
    )
    assert fields["blocking"] is True and fields["proven"] is False, "datagrams prove no address"
    assert fields["techniques"] == ["T1046"] and desk.reporting.blocked
    (name,) = desk.told.kept
    source = open_capture(io.BytesIO(desk.told.kept[name]))
    assert name == f"evidence/{fields['capture']}" and sum(len(block) for block in source.blocks()) == 2


def test_a_proxy_of_the_settings_is_not_to_be_banned_for_what_a_rule_says() -> None:
    for proxies, blocking in ((("192.0.2.0/24",), True), ((f"{scene.CLIENT}/32",), False)):
        desk = Desk(block=True, detectors=DetectorOptions(proxies=proxies))
        desk.see(scene.udp(b"a needle"))
        assert desk.told.events[0].fields["offender"] == scene.CLIENT
        assert desk.told.events[0].fields["blocking"] is blocking and desk.reporting.blocked is blocking


def test_repeats_are_counted_and_told_later() -> None:
    desk = Desk()
    for _ in range(5):
        desk.see(scene.udp(b"a needle"))
    assert len(desk.told.events) == 1 and not desk.told.events[0].fields["blocking"], "not switched on"
    desk.reporting.tick(62.0, 0)
    assert [event.repeats for event in desk.told.events] == [0, 3] and desk.reporting.alerts == 5


def test_sources_that_are_banned_and_alerts_that_are_not_wanted_say_nothing() -> None:
    desk = Desk()
    desk.reporting.banned = Prefixes(["0.0.0.0/0"])
    desk.see(scene.udp(b"a needle"))
    assert not desk.told.events and desk.reporting.held_banned == 1
    desk.reporting.banned = Prefixes()
    desk.reporting.site = Site(read(b"suppress gen_id 1, sig_id 5\n", {}))
    desk.see(scene.udp(b"a needle"))
    assert not desk.told.events and desk.reporting.site.suppressed == 1


def test_evidence_is_sealed_bounded_in_number_and_not_kept_without_its_secret() -> None:
    desk = Desk(evidence=EvidenceOptions(key="file:/x", per_minute=1), repeat_after=1.0)
    desk.see(scene.udp(b"a needle"))
    assert not desk.told.kept and desk.reporting.evidence_left_out == 1 and "capture" not in desk.told.events[0].fields
    desk.reporting.sealer, desk.reporting.may_keep = Sealer(b"secret"), True
    desk.see(scene.udp(b"a needle"), now_s=3.0)
    desk.see(scene.udp(b"a needle"), now_s=6.0)
    ((name, content),) = desk.told.kept.items()
    assert b"needle" in unseal(content, b"secret", name.partition("/")[2]) and desk.reporting.evidence_left_out == 2


def test_what_rules_say_of_too_many_sources_is_told_as_a_number() -> None:
    desk = Desk(per_rule=2, evidence=EvidenceOptions(enabled=False))
    for last in range(1, 21):
        desk.see(scene.udp(b"a needle", source=f"10.0.1.{last}"))
    assert desk.told.kinds() == ["traffic.alert"] * 2
    desk.reporting.tick(62.0, 0)
    (held,) = [event for event in desk.told.events if event.kind == "traffic.alerts_held_back"]
    assert (held.fields["count"], held.fields["rules"], held.fields["most"]) == (18, 1, ["5: 18"])


def test_what_is_not_kept_for_want_of_the_secret_is_named_as_far_as_it_is_wanted() -> None:
    sealed = EvidenceOptions(key="file:/key")
    assert Desk(flow_records=1 << 20).reporting.unkept() == (), "nothing is to be sealed"
    assert Desk(evidence=sealed).reporting.unkept() == ("the packets of alerts",)
    desk = Desk(evidence=sealed, flow_records=1 << 20)
    assert desk.reporting.unkept() == ("the packets of alerts", "the records of flows")
    desk.reporting.sealer, desk.reporting.may_keep = Sealer(b"secret"), True
    assert desk.reporting.unkept() == ()
    alone = Desk(evidence=EvidenceOptions(key="file:/key", enabled=False), flow_records=1 << 20)
    assert alone.reporting.unkept() == ("the records of flows",)


def test_unusual_volume_is_put_where_the_judge_sees_it_and_a_look_is_asked_for() -> None:
    desk = Desk(detectors=DetectorOptions(home=(f"{scene.CLIENT}/32",), volume=VolumeOptions(sent=1000, usual=1)))
    talk = scene.Talk(dport=443)
    for _ in range(20):
        talk.ask(b"x" * 200)
    desk.see(*talk.packets)
    assert "traffic.outbound_volume_unusual" in desk.told.kinds() and desk.told.asked == ["traffic"]
    (found,) = desk.reporting.outbound.values()
    assert (found.local, found.subject, found.method) == (scene.CLIENT, f"{scene.SERVER}:443/tcp", "sent")
    assert found.bytes_out >= 1000 and found.last_ms == scene.START // 1_000_000
