"""Candidates lose no rule: evaluating every rule on every packet says the same."""

import random

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP

from collectors.traffic.block import I64
from collectors.traffic.rules.engine.candidates import Candidates
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.waiting import Work
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

RULES = [
    'alert ip 10.0.0.1 any -> any any (msg:"listed";)',
    'alert ip !10.0.0.1 any -> any any (msg:"wide";)',
    "alert ip any any -> any any (ip_proto:1;)",
    "alert tcp any any -> any any (flags:S;)",
    "alert tcp any any -> any any (flags:!A;)",
    "alert tcp any any -> any 9999 (flags:*SF,12;)",
    "alert icmp any any -> any any (itype:8;)",
    'alert udp any any -> any any (content:"ab"; depth:2;)',
    'alert udp any any <> 10.0.0.2 53 (content:"b"; dsize:<3;)',
    "alert udp any any -> any 53 (byte_test:1,&,2,1;)",
    "alert udp any any -> any any (byte_test:1,!>,96,0;)",
    'alert tcp any any -> any any (content:"ab"; flow:established;)',
    'alert tcp-pkt any any -> any any (content:"ba"; offset:1; depth:4;)',
    'alert tcp any any -> any any (content:"aa"; nocase; flowbits:set,seen;)',
    'alert tcp any any -> any any (content:"bb"; flowbits:isset,seen;)',
    'alert tcp any any -> any any (pcre:"/a+b/"; flow:to_server;)',
    "alert tcp any any -> any any (stream-event:3whs_synack_with_wrong_ack;)",
    "alert ip any any -> any any (decode-event:ipv4.trunc_pkt;)",
    "alert tcp any any -> any any (app-layer-protocol:http;)",
    "alert tcp any any -> any any (dsize:3; flow:to_client;)",
]


def _packets(seed: int) -> list[bytes]:
    chance = random.Random(seed)

    def word() -> bytes:
        return bytes(chance.choice(b"abAB") for _ in range(chance.randrange(1, 6)))

    rows = []
    for number in range(4):
        talk = scene.Talk(sport=40_000 + number, dport=chance.choice([80, 9999]))
        for _ in range(chance.randrange(4)):
            (talk.ask if chance.random() < 0.6 else talk.answer)(word())
        rows.append(talk.close().packets)
    talk = scene.Talk(sport=45_000).ask(scene.request("/ab")).answer(scene.response(b"abba"))
    rows.append(talk.packets)
    rows.append([scene.udp(word(), dport=53), scene.udp_back(word(), dport=53), scene.udp(word(), source="10.0.0.7")])
    rows.append([bytes(ether() / IP(src="10.0.0.3", dst="10.0.0.2") / ICMP(type=8) / b"x")])
    rows.append([bytes(ether() / IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=9, dport=40_000, flags="SA"))])
    rows.append([scene.udp(b"cut")[:-2]])
    found = []
    while any(rows):
        row = chance.choice([one for one in rows if one])
        found.append(row.pop(0))
    return found


def _said(packets: list[bytes]) -> list[tuple[int, int]]:
    return [(one.packet.number, one.rule.sid) for one in scene.alerts(packets, *RULES)]


@pytest.mark.parametrize("seed", range(8))
def test_every_rule_on_every_packet_says_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = _packets(seed)
    said = _said(packets)
    engines: list[Engine] = []
    make = Engine.__init__

    def begin(self: Engine, *words: object) -> None:
        make(self, *words)  # type: ignore[arg-type]
        engines.append(self)

    def find(_self: Candidates, rows: Rows, _work: list[Work]) -> tuple[I64, I64]:
        engine, pairs = engines[-1], []
        for place, row in enumerate(rows.row_at.tolist()):
            packet = rows.packet(row)
            once = packet.begins or packet.slot < 0
            numbers = [
                number for number in range(len(engine.book)) if engine.evaluator._fits(engine.book[number], packet)
            ]
            first = [number for number in numbers if engine.book[number].kind == 0 and once]
            pairs += [(place, number) for number in first + [one for one in numbers if engine.book[one].kind == 1]]
        both = np.array(pairs, np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    monkeypatch.setattr(Engine, "__init__", begin)
    monkeypatch.setattr(Candidates, "find", find)
    assert _said(packets) == said
    assert len({sid for _, sid in said}) >= 6


def test_few_pairs_are_left_of_many_packets() -> None:
    packets = [scene.udp(b"nothing to see", sport=41_000 + number) for number in range(50)]
    engine = Engine(scene.rules('alert udp any any -> any any (content:"needle";)'), scene.fed(packets)[5])
    engine.feed(*scene.fed(packets))
    assert engine.found["left"] == 0 and engine.evaluated.total() == 0
