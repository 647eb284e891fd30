"""What waits for a packet comes due with the right one, whatever the blocks' borders."""

import pytest

from collectors.traffic import reading
from collectors.traffic.pcap import PcapSource
from collectors.traffic.rules.engine.waiting import CHUNK, Waiting
from tests.collectors.traffic.rules.engine import scene

HALF = CHUNK // 2


def _work(packets: list[bytes]) -> Waiting:
    told = scene.fed(packets)
    waiting = Waiting(inline=False)
    waiting.feed(scene.rows(told), told[3], told[4])
    return waiting


def test_bytes_wait_until_there_are_enough_of_them() -> None:
    talk = scene.Talk(dport=9999).ask(b"a" * HALF)
    assert [one.chunk for one in _work(talk.packets).work] == []
    talk.ask(b"b" * HALF).ask(b"c")
    assert [one.chunk for one in _work(talk.packets).work] == [b"a" * HALF + b"b" * HALF]


def test_a_piece_is_looked_at_with_the_next_packet_of_its_own_side() -> None:
    talk = scene.Talk(dport=9999).ask(b"a" * CHUNK).ask(b"more")
    work = _work(talk.packets).work
    # The server's acknowledgement (packet 5) releases the bytes; the client's next packet is the sixth.
    assert [(one.place, one.direction & 1) for one in work] == [(5, 0)]


def test_what_no_packet_comes_for_is_there_at_the_flows_end() -> None:
    told = scene.fed(scene.Talk(dport=9999).ask(b"short").packets)
    waiting = Waiting(inline=False)
    rows = scene.rows(told)
    waiting.feed(rows, told[3], told[4])
    slot = int(rows.slots[0])
    assert [(place, work.chunk) for place, work in waiting.end([slot])] == [(0, b"short")]
    assert list(waiting.end([slot])) == []


def test_transactions_come_with_how_far_the_other_side_was() -> None:
    talk = scene.Talk().ask(scene.request("/a")).ask(scene.request("/b")).answer(scene.response(b"x")).close()
    told = scene.fed(talk.packets)
    waiting = Waiting(inline=False)
    waiting.feed(scene.rows(told), told[3], told[4])
    sides = [(one.direction & 1, [change[0].number for change in one.changes]) for one in waiting.work if one.changes]
    assert (0, [0]) in sides and (1, [0]) in sides
    first = next(change for one in waiting.work for change in one.changes if one.direction & 1 == 0)
    assert first[2] == -1, "the response had not begun when the request was looked at"
    assert all(one.talk is not None and one.talk.protocol == "http" for one in waiting.work if one.changes)


@pytest.mark.parametrize("size", [1, 3])
def test_borders_of_blocks_do_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = scene.Talk(dport=9999).ask(b"a" * HALF).ask(b"needle" + b"b" * HALF).answer(b"c" * CHUNK).ask(b"end").close()
    rule = 'alert tcp any any -> any any (flow:established,only_stream; content:"needle";)'
    whole = scene.counts(talk.packets, rule)
    monkeypatch.setattr(reading, "open_capture", lambda file: PcapSource(file, block_packets=size))
    assert scene.counts(talk.packets, rule) == whole == {1: 1}


def test_another_ruleset_goes_on_with_what_waits() -> None:
    told = scene.fed(scene.Talk(dport=9999).ask(b"short").packets)
    former, waiting = Waiting(inline=False), Waiting(inline=False)
    rows = scene.rows(told)
    former.feed(rows, told[3], told[4])
    waiting.take_over(former)
    assert [work.chunk for _, work in waiting.end([int(rows.slots[0])])] == [b"short"]
