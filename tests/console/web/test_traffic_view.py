"""The sensor's numbers on a server's page."""

import msgspec

from console.store.records import Agent, AgentDetail, Subject
from console.web.traffic_view import MAX_PEERS, traffic_view
from contracts.subjects.traffic import Interface, Peer, Protocol, Row, Rules, Sensor

DETAIL = AgentDetail(agent=Agent(id="a", name="a"))


def view(rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return traffic_view(
        DETAIL, Subject(agent="a", subject="traffic", revision=3, at_ms=1_795_280_000_000, rows=encoded)
    )


def test_rate_rules_drops_talkers_and_protocols_are_told():
    shown = view(
        {
            "sensor": Row(
                what="sensor",
                sensor=Sensor(
                    packets_per_s=1234.5,
                    alerts=1,
                    held_back=2,
                    lag_ms=61,
                    encrypted_share=40,
                    findings=2,
                    findings_repeated=1_234,
                ),
            ),
            "rules": Row(what="rules", rules=Rules(loaded=24827, refused=1, problem="no file")),
            "interface eth0": Row(what="interface", interface=Interface(seen=1000, dropped=10, drop_share=1.0)),
            "interface eth1": Row(what="interface", interface=Interface(present=False)),
            "interface eth2": Row(what="interface", interface=Interface(seen=5, dropped=1)),
            "interface eth3": Row(what="interface", interface=Interface(seen=5, standstill="down")),
            "interface eth4": Row(what="interface", interface=Interface(standstill="no carrier")),
            "peer 192.0.2.1": Row(what="peer", peer=Peer(bytes_sent=10)),
            "peer 192.0.2.2": Row(what="peer", peer=Peer(bytes_received=9000)),
            "protocol http": Row(what="protocol", protocol=Protocol(conversations=3, transactions=4)),
        }
    )
    assert "1,234 packets/s" in shown.summary and "1 alert" in shown.summary and shown.tone == "warn"
    facts = dict(shown.facts)
    assert (
        facts["Rules"].startswith("24,827 in use, 1 refused")
        and "no file" in facts["Rules"]
        and "40 %" in facts["Not read"]
    )
    assert facts["Findings"] == "2 of detectors; 1,234 not told again, as equal ones had been, 0 of banned sources"
    assert [(row.name, row.sign.word, row.dropped) for row in shown.interfaces] == [
        ("eth0", "Dropping", "10 (1.00 % lately)"),
        ("eth1", "Not there", "none"),
        ("eth2", "Has dropped", "1 (0.00 % lately)"),
        ("eth3", "Down", "none"),
        ("eth4", "No carrier", "none"),
    ]
    assert [row.address for row in shown.peers] == ["192.0.2.2", "192.0.2.1"]
    assert [(row.name, row.conversations) for row in shown.protocols] == [("http", "3")]


def test_many_peers_are_cut_and_rows_of_another_version_are_counted():
    rows = {f"peer 192.0.2.{number}": Row(what="peer", peer=Peer(bytes_sent=number)) for number in range(40)}
    shown = view({**rows, "odd": b'{"what": "sensor", "new": 1}'})
    assert len(shown.peers) == MAX_PEERS and "1 further rows could not be understood" in shown.dated


def test_without_a_look_nothing_is_claimed():
    shown = traffic_view(DETAIL, None)
    assert shown.word == "Not looked yet" and not shown.facts and not shown.summary
