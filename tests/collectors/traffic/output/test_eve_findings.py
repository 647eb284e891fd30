"""Findings as EVE alert records and as lines for people."""

import json

from msgspec.structs import replace

from collectors.traffic.detectors import kinds
from collectors.traffic.output import eve_findings
from tests.collectors.traffic.detectors.test_voice import FOUND


def test_a_record_is_an_alert_that_suricatas_readers_know() -> None:
    record = json.loads(eve_findings.line(replace(FOUND, port=22, protocol="ssh")))
    assert record["event_type"] == "alert"
    assert (record["src_ip"], record["dest_ip"], record["dest_port"], record["proto"]) == (
        "203.0.113.9",
        "10.0.0.1",
        22,
        "TCP",
    )
    assert record["timestamp"] == "1970-01-01T00:00:02.000000+0000"
    alert = record["alert"]
    assert (alert["gid"], alert["severity"], alert["action"]) == (eve_findings.GENERATOR, 1, "allowed")
    assert alert["metadata"]["mitre_technique_id"] == ["T1110", "T1110.001"]
    assert alert["signature"].startswith("203.0.113.9 guesses logins at 10.0.0.1:22/tcp")
    assert record["holdfast"]["numbers"] == {"failed_logins": 12.0}


def test_every_kind_has_a_number_of_its_own() -> None:
    numbers = [eve_findings.record(replace(FOUND, kind=kind))["alert"]["signature_id"] for kind in kinds.KINDS]
    assert numbers == list(range(1, len(kinds.KINDS) + 1))


def test_what_is_no_address_is_left_out() -> None:
    record = eve_findings.record(
        replace(FOUND, kind=kinds.ARP_SPOOFED, sender="02:00:00:00:00:01", subject="10.0.0.1", protocol="arp")
    )
    assert "src_ip" not in record and "proto" not in record and record["dest_ip"] == "10.0.0.1"
    record = eve_findings.record(replace(FOUND, subject="[2001:db8::1]:53/udp", protocol="udp"))
    assert (record["dest_ip"], record["proto"]) == ("2001:0db8:0000:0000:0000:0000:0000:0001", "UDP")
    assert "dest_ip" not in eve_findings.record(replace(FOUND, subject="port 445/tcp"))


def test_people_are_told_what_may_be_forged() -> None:
    assert "[sender may be forged]" in eve_findings.words(replace(FOUND, forgeable=True))
    words = eve_findings.words(FOUND)
    assert "forged" not in words and words.startswith("1970-01-01T00:00:02.000  high ")
