"""The engine on blocks: rules about addresses, packets, streams and transactions, in time, whatever the blocks' borders."""

import random

import pytest

from collectors.traffic import reading
from collectors.traffic.pcap import PcapSource
from tests.collectors.traffic.rules.engine import scene


def _mixed() -> list[bytes]:
    first = scene.Talk().ask(scene.request("/a")).answer(scene.response(b"alpha")).ask(scene.request("/b")).close()
    second = scene.Talk(sport=41_000, dport=9999).ask(b"need").ask(b"le").answer(b"yes").close()
    asked = [scene.udp(b"ping"), scene.udp_back(b"pong")]
    chance, found = random.Random(5), []
    rows = [first.packets, second.packets, asked]
    while any(rows):
        row = chance.choice([one for one in rows if one])
        found.append(row.pop(0))
    return found


RULES = [
    'alert http any any -> any any (http.uri; content:"/a";)',
    'alert http any any -> any any (flow:to_client; file.data; content:"alpha";)',
    'alert tcp any any -> any any (flow:established; content:"needle";)',
    'alert udp any any -> any any (content:"ping";)',
    'alert udp any any -> any any (flow:to_client,established; content:"pong";)',
    "alert tcp any any -> any any (flags:S;)",
    'alert ip 10.0.0.1 any -> any any (msg:"once for each flow";)',
    "alert tcp any any -> any any (app-layer-protocol:http;)",
    'alert tcp any any -> any any (content:"absent from all";)',
]


def test_each_kind_of_rule_speaks_as_often_as_it_should() -> None:
    found = scene.counts(_mixed(), *RULES)
    assert found.pop(8) >= 1
    assert found == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 3}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_borders_of_blocks_do_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = _mixed()
    whole = scene.counts(packets, *RULES)
    monkeypatch.setattr(reading, "open_capture", lambda file: PcapSource(file, block_packets=size))
    assert scene.counts(packets, *RULES) == whole


def test_alerts_come_in_the_order_of_packets() -> None:
    numbers = [one.packet.number for one in scene.alerts(_mixed(), *RULES[2:7])]
    placed = [number for number in numbers if number]
    assert placed == sorted(placed) and len(placed) >= 5


def test_what_a_flow_still_holds_is_looked_at_when_the_capture_ends() -> None:
    talk = scene.Talk(dport=9999).ask(b"the needle").packets
    assert scene.counts(talk[:-1], 'alert tcp-stream any any -> any any (content:"needle";)') == {1: 1}


def test_a_second_flow_with_the_same_ends_begins_anew() -> None:
    one = scene.Talk(dport=9999).ask(b"mark look").close().packets
    minutes = [
        (scene.START + 600 * scene.SECOND + at * 1_000_000, data)
        for at, data in enumerate(scene.Talk(dport=9999).ask(b"look").close().packets)
    ]
    found = scene.alerts(
        [*one, *minutes],
        'alert tcp any any -> any any (flow:established; content:"mark"; flowbits:set,m;)',
        'alert tcp any any -> any any (flow:established; content:"look"; flowbits:isnotset,m;)',
    )
    assert {one.rule.sid for one in found} == {1, 2}
    assert all(one.packet.time_ns > scene.START + 500 * scene.SECOND for one in found if one.rule.sid == 2)


def test_without_rules_nothing_is_said() -> None:
    assert scene.alerts(_mixed()) == []


def test_places_in_a_piece_of_a_stream_count_from_its_first_byte() -> None:
    # The second piece begins with the word and is cut behind its first packet: no packet alone has both.
    talk = scene.Talk(dport=9999).ask(b"." * 1400).ask(b"." * 1400).ask(b"word" + b"." * 1300).ask(b"." * 1300 + b"end")
    rule = (
        'alert tcp any any -> any any (flow:to_server,established; content:"word"; depth:4; content:"end"; distance:0;)'
    )
    assert scene.counts(talk.close().packets, rule) == {1: 1}
    late = (
        scene.Talk(dport=9999).ask(b"." * 1400).ask(b"." * 1400).ask(b".word" + b"." * 1300).ask(b"." * 1300 + b"end")
    )
    assert scene.counts(late.close().packets, rule) == {}
