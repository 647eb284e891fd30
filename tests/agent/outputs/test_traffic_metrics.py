"""The sensor's numbers as metrics."""

import msgspec

from agent.outputs.prometheus import render
from agent.outputs.traffic_metrics import families
from contracts.subjects.traffic import Interface, Peer, Row, Rules, Sensor


def test_drops_rates_and_rules_are_metrics_and_addresses_are_not() -> None:
    rows = {
        "sensor": Row(what="sensor", sensor=Sensor(packets=7, lag_ms=61, findings_repeated=3)),
        "rules": Row(what="rules", rules=Rules(loaded=24827, refused=3)),
        "interface eth0": Row(what="interface", interface=Interface(seen=10, dropped=2)),
        "interface eth1": Row(what="interface", interface=Interface(standstill="down")),
        "peer 192.0.2.1": Row(what="peer", peer=Peer(bytes_sent=1)),
    }
    text = render(families({key: msgspec.msgpack.encode(row) for key, row in rows.items()})).decode()
    for line in (
        "holdfast_traffic_packets_total 7",
        "holdfast_traffic_findings_repeated_total 3",
        "holdfast_traffic_lag_seconds 0.061",
        'holdfast_traffic_interface_dropped_total{interface="eth0"} 2',
        'holdfast_traffic_interface_up{interface="eth0"} 1',
        'holdfast_traffic_interface_up{interface="eth1"} 0',
        'holdfast_traffic_rules{state="in_use"} 24827',
        'holdfast_traffic_rules{state="refused"} 3',
    ):
        assert line in text.splitlines(), line
    assert "192.0.2.1" not in text


def test_without_a_sensor_there_are_no_numbers() -> None:
    assert render(families({})) == b""
