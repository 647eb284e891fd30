"""EVE records: the shape and the values that Suricata's tools expect of an alert."""

import ipaddress
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q

from collectors.traffic.flows.community_id import community_id
from collectors.traffic.output import eve
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene


def _records(packets: list[bytes], *rules: str, **options: bool) -> list[dict[str, Any]]:
    return [json.loads(eve.line(one)) for one in scene.alerts(packets, *rules, **options)]


def test_a_record_says_when_who_and_what() -> None:
    rule = (
        'alert udp any any -> any any (msg:"A \\"name\\""; content:"hit"; classtype:trojan-activity; rev:3; '
        "metadata:tag one, tag two; sid:77;)"
    )
    (found,) = _records([scene.udp(b"no"), scene.udp(b"hit")], rule)
    assert found["timestamp"] == "2023-11-14T22:13:20.002000+0000"
    assert (found["event_type"], found["pcap_cnt"], found["proto"]) == ("alert", 2, "UDP")
    ends = [found[key] for key in ("src_ip", "src_port", "dest_ip", "dest_port")]
    assert ends == [scene.CLIENT, 40_000, scene.SERVER, 9999]
    assert found["alert"] == {
        "action": "allowed",
        "gid": 1,
        "signature_id": 77,
        "rev": 3,
        "signature": 'A "name"',
        "category": "A Network Trojan was detected",
        "severity": 1,
        "metadata": {"tag": ["one", "two"]},
    }
    packed = [ipaddress.ip_address(one).packed for one in (scene.CLIENT, scene.SERVER)]
    assert found["community_id"] == community_id(packed[0], packed[1], 17, 40_000, 9999)


def test_a_record_is_one_line() -> None:
    (alert,) = scene.alerts([scene.udp(b"hit")], 'alert udp any any -> any any (msg:"a b"; content:"hit";)')
    assert eve.line(alert).count(b"\n") == 1 and eve.line(alert).endswith(b"}\n")


@given(st.ip_addresses(v=6))
def test_ipv6_is_written_in_full(one: ipaddress.IPv6Address) -> None:
    text = eve.address(6, int(one))
    assert len(text) == 39 and ipaddress.ip_address(text) == one


def test_addresses_of_both_versions() -> None:
    packets = [
        bytes(ether() / IPv6(src="fe80::1", dst="2001:db8::2") / UDP(sport=7, dport=8) / b"hit"),
        scene.udp(b"hit"),
    ]
    found = _records(packets, 'alert udp any any -> any any (content:"hit";)')
    assert found[0]["src_ip"] == "fe80:0000:0000:0000:0000:0000:0000:0001"
    assert found[0]["dest_ip"] == found[0]["flow"]["dest_ip"] == "2001:0db8:0000:0000:0000:0000:0000:0002"
    assert found[1]["src_ip"] == "10.0.0.1"


def test_all_records_of_a_flow_share_its_number_and_other_flows_have_another() -> None:
    packets = [scene.udp(b"hit"), scene.udp_back(b"hit"), scene.udp(b"hit", sport=41_000)]
    rule = 'alert udp any any -> any any (content:"hit";)'
    there, back, other = _records(packets, rule)
    assert there["flow_id"] == back["flow_id"] != other["flow_id"]
    assert 0 < there["flow_id"] < 1 << 53
    assert [one["flow_id"] for one in _records(packets, rule)] == [one["flow_id"] for one in (there, back, other)]


def test_the_flow_is_told_from_its_clients_side() -> None:
    packets = [scene.udp(b"one"), scene.udp_back(b"hit"), scene.udp(b"hit again")]
    back, again = _records(packets, 'alert udp any any -> any any (content:"hit";)')
    assert (back["direction"], again["direction"]) == ("to_client", "to_server")
    assert back["flow"] | {"pkts_toserver": 0, "bytes_toserver": 0} == {
        "pkts_toserver": 0,
        "pkts_toclient": 1,
        "bytes_toserver": 0,
        "bytes_toclient": len(packets[1]),
        "start": "2023-11-14T22:13:20.001000+0000",
        "src_ip": scene.CLIENT,
        "dest_ip": scene.SERVER,
        "src_port": 40_000,
        "dest_port": 9999,
    }
    assert again["flow"]["pkts_toserver"] == 2
    assert again["flow"]["bytes_toserver"] == len(packets[0]) + len(packets[2])


def test_what_a_flows_end_released_has_no_packet_but_its_flow() -> None:
    talk = scene.Talk(dport=9999).ask(b"the needle").packets[:-1]
    (found,) = _records(talk, 'alert tcp-stream any any -> any any (content:"needle";)')
    assert found["pkt_src"] == "stream (flow timeout)" and "pcap_cnt" not in found
    assert (found["src_ip"], found["src_port"], found["flow"]["pkts_toserver"]) == (scene.CLIENT, 40_000, 3)


def test_tags_and_the_kind_of_an_icmp_message_are_told() -> None:
    echo = bytes(ether() / Dot1AD(vlan=7) / Dot1Q(vlan=9) / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=8, code=3))
    (found,) = _records([echo], "alert icmp any any -> any any (itype:8;)")
    assert (found["vlan"], found["icmp_type"], found["icmp_code"], found["ip_v"]) == ([7, 9], 8, 3, 4)
    (found,) = _records([scene.udp(b"hit")], 'alert udp any any -> any any (content:"hit";)')
    assert "vlan" not in found and "icmp_type" not in found


def test_what_is_not_ip_has_no_ends() -> None:
    packets = [bytes(ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))]
    (found,) = _records(packets, 'alert arp any any -> any any (msg:"arp";)')
    assert not {"src_ip", "proto", "flow", "flow_id"} & set(found)


def test_a_packet_that_was_dropped_is_blocked() -> None:
    rule = 'drop udp any any -> any any (content:"hit";)'
    assert [one["alert"]["action"] for one in _records([scene.udp(b"hit")], rule, inline=True)] == ["blocked"]


def test_the_transaction_and_its_protocol_stand_beside_the_alert() -> None:
    talk = scene.Talk().ask(scene.request("/a?b=c")).answer(scene.response(b"x")).close().packets
    (found,) = _records(talk, 'alert http any any -> any any (flow:to_client; http.stat_code; content:"200";)')
    assert (found["app_proto"], found["tx_id"]) == ("http", 0)
    assert found["http"]["url"] == "/a?b=c"
    (plain,) = _records(
        [bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="S"))],
        "alert tcp any any -> any any (flags:S;)",
    )
    assert "app_proto" not in plain and "tx_id" not in plain
