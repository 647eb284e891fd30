"""A Suricata's own output: alerts become the sensor's events, losses are told, a silent or vanished Suricata is not "nothing found"."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from collectors.suricata_eve.collector import Options, SuricataEveCollector
from contracts.collector import Report
from contracts.errors import Unavailable, Why
from contracts.snapshot import Snapshot, apply
from contracts.subjects.suricata_eve import SUBJECT, Row
from host.linux import LinuxHost

HOST = LinuxHost()


def alert(sid: int = 2019401, source: str = "203.0.113.9", **more: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-22T10:00:00.123456+0100",
        "event_type": "alert",
        "in_iface": "eth0",
        "src_ip": source,
        "src_port": 41000,
        "dest_ip": "10.0.0.5",
        "dest_port": 80,
        "proto": "TCP",
        "app_proto": "http",
        "tx_id": 0,
        "direction": "to_server",
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": sid,
            "rev": 4,
            "signature": "ET TEST",
            "category": "Web Application Attack",
            "severity": 1,
            "metadata": {"mitre_technique_id": ["T1190"]},
        },
        "flow": {"pkts_toserver": 4, "pkts_toclient": 3, "bytes_toserver": 700, "bytes_toclient": 400},
        **more,
    }


def stats(uptime: int, packets: int, drops: int) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-22T10:00:08+0000",
        "event_type": "stats",
        "stats": {"uptime": uptime, "capture": {"kernel_packets": packets, "kernel_drops": drops}},
    }


class Followed:
    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.collector = SuricataEveCollector(Options(files=(str(path),), **options))
        self.rows: dict[str, Row] = {}
        self.revision = 0

    def write(self, *records: Any) -> None:
        with self.path.open("ab") as file:
            for record in records:
                file.write(record if isinstance(record, bytes) else json.dumps(record, separators=(",", ":")).encode())
                file.write(b"\n")

    def look(self) -> Report[Row]:
        report = self.collector.collect(HOST, Snapshot(subject=SUBJECT, revision=self.revision, rows=self.rows))
        self.rows, self.revision = apply(self.rows, report.changes), self.revision + 1
        return report


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    path = tmp_path / "eve.json"
    path.write_bytes(b"")
    made = Followed(path, block=True)
    made.look()
    return made


def test_an_alert_is_the_event_that_the_sensor_would_state(followed: Followed) -> None:
    followed.write(alert(), {"event_type": "dns", "timestamp": "2026"}, alert(), alert(source="203.0.113.10"))
    first, second = followed.look().events
    fields = first.fields
    assert first.kind == "traffic.alert" and first.severity == 4 and first.repeats == 1 and not second.repeats
    assert (fields["sid"], fields["engine"], fields["offender"]) == (2019401, "suricata", "203.0.113.9")
    assert fields["proven"] is True and fields["techniques"] == ["T1190"] and fields["bytes_to_server"] == 700
    assert first.observed_ms == 1795338000123 and '"ET TEST"' in first.evidence["eve"]
    assert followed.look().events == (), "once"


def test_only_what_suricata_itself_drops_is_to_be_banned_and_only_sessions_prove_an_address(followed: Followed) -> None:
    dropped = alert(verdict={"action": "drop"})
    datagram = alert(2, "203.0.113.11", proto="UDP", app_proto="dns")
    bare = {name: value for name, value in alert(3, "203.0.113.12").items() if name != "tx_id"}
    outgoing = alert(4, "10.0.0.5", dest_ip="203.0.113.13")
    followed.write(dropped, datagram, bare, outgoing)
    found = {event.fields["sid"]: event.fields for event in followed.look().events}
    assert found[2019401]["blocking"] is True and not any(found[sid]["blocking"] for sid in (2, 3, 4))
    assert (found[2]["proven"], found[3]["proven"]) == (False, False)
    assert found[4]["offender"] == "203.0.113.13", "the end that is not at home"


def test_records_of_a_real_suricata(followed: Followed) -> None:
    """What Suricata 7.0.10 (Debian's) wrote with its stock configuration: of packets, it guesses the transaction."""
    lines = (Path(__file__).parents[2] / "fixtures/suricata/eve-7.0.10.json").read_bytes().splitlines()
    followed.write(*lines)
    report = followed.look()
    packet, transaction = report.events
    assert (packet.fields["sid"], packet.fields["proven"], packet.severity) == (9000001, False, 4)
    assert (packet.fields["techniques"], packet.fields["category"]) == (["T1190"], "Web Application Attack")
    assert (transaction.fields["sid"], transaction.fields["proven"]) == (9000002, True)
    assert transaction.fields["app_protocol"] == "http" and transaction.fields["packets_to_server"] == 4
    told = followed.rows[f"stats {followed.path}"].stats
    assert told is not None and (told.packets, told.dropped, told.drop_share) == (408, 0, 0.0)
    assert not [spot for spot in report.blind if spot.why is Why.MALFORMED]


def test_between_renaming_and_reopening_nothing_is_missed_and_nothing_is_wrong(followed: Followed) -> None:
    followed.write(alert())
    assert len(followed.look().events) == 1
    moved = followed.path.with_name("eve.json.1")
    followed.path.rename(moved)
    with moved.open("ab") as file:
        file.write(json.dumps(alert(7), separators=(",", ":")).encode() + b"\n")
    report = followed.look()
    assert [event.fields["sid"] for event in report.events] == [7] and not report.blind
    followed.write(alert(8))
    assert [event.fields["sid"] for event in followed.look().events] == [8]


def test_drops_that_suricata_counts_are_an_event_and_a_blind_spot(followed: Followed) -> None:
    followed.write(stats(8, 1000, 0))
    assert followed.look().events == ()
    followed.write(stats(16, 2000, 100))
    report = followed.look()
    (event,) = report.events
    assert event.kind == "suricata.packets_dropped" and event.fields["share"] == 10.0 and event.fields["packets"] == 100
    assert "all packets that Suricata watches" in {spot.what for spot in report.blind}
    followed.write(stats(24, 3000, 100))
    assert not followed.look().blind
    followed.write(stats(5, 50, 0))
    assert not followed.look().blind, "started again: its counts begin anew"


def test_lines_that_are_no_records_and_a_silent_suricata_are_named(followed: Followed) -> None:
    not_text = b'{"event_type":"alert","in_iface":"\xff"}'
    followed.write(b"no json", b'{"event_type":"alert","alert":7}', b'{"alert":', not_text, b'{"stats":' + b"[" * 5000)
    report = followed.look()
    assert [spot.why for spot in report.blind] == [Why.MALFORMED] and "5 of" in report.blind[0].detail
    old = time.time() - 5000
    os.utime(followed.path, (old, old))
    assert "written nothing" in followed.look().blind[0].detail


def test_without_suricata_there_is_nothing_and_one_that_vanished_is_a_failure(
    tmp_path: Path, followed: Followed
) -> None:
    with pytest.raises(Unavailable) as none:
        Followed(tmp_path / "none.json").look()
    assert none.value.why is Why.NOT_PRESENT
    followed.path.unlink()
    with pytest.raises(Unavailable) as gone:
        followed.look()
    assert gone.value.why is Why.OTHER


def test_a_file_that_appears_later_is_read_from_its_beginning_and_one_that_was_there_from_its_end(
    tmp_path: Path,
) -> None:
    later = Followed(tmp_path / "eve.json")
    with pytest.raises(Unavailable):
        later.look()
    later.write(alert(sid=1), alert(sid=2))
    assert [event.fields["sid"] for event in later.look().events] == [1, 2]
    assert later.look().events == ()
    there = Followed(tmp_path / "eve.json")
    assert there.look().events == ()
    there.write(alert(sid=3))
    assert [event.fields["sid"] for event in there.look().events] == [3]


def test_a_flood_of_different_alerts_is_counted_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(b"")
    followed = Followed(path, events=10)
    followed.look()
    followed.write(*(alert(source=f"203.0.113.{number}") for number in range(1, 101)))
    events = followed.look().events
    assert [event.kind for event in events].count("traffic.alert") == 10
    assert events[-1].kind == "traffic.alerts_held_back" and events[-1].fields["count"] == 90


def test_what_was_lost_is_told(followed: Followed) -> None:
    followed.write(alert())
    followed.look()
    followed.path.write_bytes(b"")
    followed.write(alert(source="203.0.113.77", tx_id=3))
    kinds = [event.kind for event in followed.look().events]
    assert kinds == ["suricata.output_missed", "traffic.alert"]


def test_one_file_that_is_not_there_does_not_hide_that_another_cannot_be_read(tmp_path: Path) -> None:
    """Else a Suricata whose output is refused to us would be one that this host does not have."""
    (tmp_path / "folder").mkdir()
    files = (str(tmp_path / "none" / "eve.json"), str(tmp_path / "folder"))
    with pytest.raises(Unavailable) as refused:
        SuricataEveCollector(Options(files=files)).collect(HOST, Snapshot(subject=SUBJECT))
    assert refused.value.why is not Why.NOT_PRESENT, refused.value.message
