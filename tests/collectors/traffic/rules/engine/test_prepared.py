"""Prepared rules: what is kept makes the same engine, rules are compiled when they are needed."""

import msgspec

from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.engine.prepared import Book, Prepared, prepare
from tests.collectors.traffic.rules.engine import scene

LINES = [
    'alert http any any -> any any (http.uri; content:"/a";)',
    'alert udp any any -> any any (content:"ping";)',
    "alert tcp any any -> any any (flags:S;)",
    'alert ip 10.0.0.1 any -> any any (msg:"once for each flow";)',
    'pass udp any any -> any 7 (content:"ping";)',
]
PACKETS = [
    *scene.Talk().ask(scene.request("/a")).answer(scene.response(b"alpha")).close().packets,
    scene.udp(b"ping"),
    scene.udp(b"ping", dport=7),
]


def test_rules_that_were_kept_say_the_same() -> None:
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(prepare(scene.rules(*LINES))), type=Prepared)
    reading = Reading(scene.capture(PACKETS), kept, ReadOptions())
    said = [(one.rule.sid, one.packet.number) for one in reading.alerts()]
    assert said == [(one.rule.sid, one.packet.number) for one in scene.alerts(PACKETS, *LINES)]
    assert {sid for sid, _ in said} == {1, 2, 3, 4}


def test_rules_have_their_order_as_their_number() -> None:
    book = Book(prepare(scene.rules(*LINES)))
    assert len(book) == len(LINES)
    assert book[0].rule.action == "pass"
    assert [book[number].order for number in range(len(book))] == list(range(len(book)))
    assert sorted(book[number].rule.sid for number in range(len(book))) == [1, 2, 3, 4, 5]


def test_no_rules_are_a_ruleset() -> None:
    assert len(prepare([])) == 0
    assert list(Reading(scene.capture(PACKETS), prepare([]), ReadOptions()).alerts()) == []
