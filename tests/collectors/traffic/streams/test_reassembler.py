"""Sessions: which packets they take, and the bytes that become readable; the fast way and the careful one come to the same."""

import os
import random

import pytest

from collectors.traffic.streams import news
from collectors.traffic.streams.options import StreamOptions
from tests.collectors.traffic.streams.talk import (
    ACK,
    FIN,
    MASK,
    PSH,
    RST,
    SYN,
    URG,
    Listener,
    Speaker,
    Talk,
    conversation,
    packet,
)

SEEDS = int(os.environ.get("HOLDFAST_FUZZ_TRAFFIC", "200"))


def blocks(packets: list[bytes], chance: random.Random) -> list[list[bytes]]:
    """Return packets in blocks of chance."""
    cut, at = [], 0
    while at < len(packets):
        size = chance.choice([1, 2, 5, 40, 1000])
        cut.append(packets[at : at + size])
        at += size
    return cut


def hear(packets: list[bytes], *, careful: bool = False, seed: int = 0, **options: bool | int) -> Listener:
    """Return what a listener heard of packets, in blocks of chance, up to the end of all flows."""
    listener = Listener(StreamOptions(**options), careful)  # type: ignore[arg-type]
    for block in blocks(packets, random.Random(seed)):
        listener.hear(block)
    listener.end()
    return listener


def whole(talk: Talk, listener: Listener) -> None:
    """Hold what was heard of the only flow against what was said."""
    heard = listener.said()
    for way in (False, True):
        assert heard.get((0, way), b"") == bytes(talk.said[way])


@pytest.mark.parametrize("inline", [False, True])
def test_whatever_way_segments_come_what_was_said_is_heard(inline: bool) -> None:
    for seed in range(SEEDS):
        talk = conversation(seed)
        listener = hear(talk.packets, seed=seed, inline=inline)
        whole(talk, listener)
        assert listener.reassembler._held.size == listener.reassembler.counts.held == 0, seed


def test_the_fast_way_and_the_careful_one_come_to_the_same() -> None:
    for seed in range(SEEDS):
        talk = conversation(seed)
        fast, careful = hear(talk.packets, seed=seed), hear(talk.packets, seed=seed, careful=True)
        assert fast.said() == careful.said(), seed
        assert fast.events() == careful.events(), seed
        assert fast.accepted() == careful.accepted(), seed


def test_flows_that_are_in_order_again_go_on_the_fast_way_in_the_same_block() -> None:
    kept = 0
    for seed in range(SEEDS // 2):
        talk = conversation(seed, untidy=0.3)
        fast, careful = Listener(), Listener(careful=True)
        for listener in (fast, careful):
            listener.reassembler.worth = 0
            listener.hear(talk.packets)
            listener.end()
        assert fast.said() == careful.said(), seed
        assert fast.events() == careful.events(), seed
        kept += careful.reassembler.careful - fast.reassembler.careful
    assert kept > 0


def test_many_flows_at_once_do_not_touch_each_other() -> None:
    chance = random.Random(5)
    talks = [conversation(seed, client=seed + 1, untidy=0.1) for seed in range(60)]
    queues = [list(talk.packets) for talk in talks]
    packets, owners = [], []
    while any(queues):
        number = chance.choice([index for index, queue in enumerate(queues) if queue])
        packets.append(queues[number].pop(0))
        owners.append(number)
    listener = hear(packets, seed=9)
    heard = sorted(data for data in listener.said().values() if data)
    assert heard == sorted(bytes(said) for talk in talks for said in talk.said if said)
    assert listener.reassembler.careful < len(packets) // 2


def test_a_run_is_what_one_side_said_unless_asked_for_by_packet() -> None:
    speaker = Speaker(random.Random(1))
    speaker.open()
    for way, text in ((0, b"a" * 4000), (1, b"b" * 4000), (0, b"c" * 4000)):
        speaker.say(way, text, False)
    for merge, expected in ((True, 3), (False, 10)):
        listener = Listener(StreamOptions(merge=merge))
        brought = listener.hear(speaker.talk.packets)
        runs = [run for run in brought.runs if run.data]
        assert len(runs) == expected if merge else len(runs) > 3
        assert b"".join(run.data for run in runs) == b"a" * 4000 + b"b" * 4000 + b"c" * 4000
        assert [run.row for run in runs] == sorted(run.row for run in runs)


def test_bytes_come_when_they_are_acknowledged_and_in_line_when_they_come() -> None:
    start = [packet(False, SYN, 100), packet(True, SYN | ACK, 900, 101), packet(False, ACK, 101, 901)]
    question = packet(False, PSH | ACK, 101, 901, b"question")
    for inline, when in ((False, 1), (True, 0)):
        listener = Listener(StreamOptions(inline=inline))
        listener.hear(start)
        heard = [[run.data for run in listener.hear([one]).runs] for one in (question, packet(True, ACK, 901, 109))]
        assert heard[when] == [b"question"]
        assert heard[1 - when] == []


def test_what_was_never_acknowledged_is_given_at_the_end() -> None:
    listener = Listener()
    listener.hear([packet(False, SYN, 100), packet(True, SYN | ACK, 900, 101), packet(False, ACK, 101, 901, b"lost?")])
    ends = {run.to_client: run for run in listener.end().runs}
    assert (ends[False].data, ends[False].end, ends[False].row) == (b"lost?", news.TIMEOUT, -1)


def test_both_sides_fin_and_a_reset_end_directions() -> None:
    speaker = Speaker(random.Random(3))
    speaker.open()
    speaker.say(0, b"hello", False)
    speaker.close(0)
    ended = [run.end for run in hear(speaker.talk.packets).news[0].runs if run.end]
    listener = Listener()
    runs = listener.hear(speaker.talk.packets).runs
    assert sorted((run.to_client, run.end) for run in runs if run.end) == [(False, news.FIN), (True, news.FIN)]
    assert ended == [] or set(ended) == {news.FIN}
    reset = Listener()
    runs = reset.hear(
        [
            packet(False, SYN, 100),
            packet(True, SYN | ACK, 900, 101),
            packet(False, ACK, 101, 901),
            packet(True, PSH | ACK, 901, 101, b"unheard"),
            packet(False, RST | ACK, 101, 901),
        ]
    ).runs
    assert {(run.to_client, run.data, run.end) for run in runs} == {
        (False, b"", news.RESET),
        (True, b"unheard", news.RESET),
    }


def test_a_reset_out_of_place_ends_nothing() -> None:
    listener = Listener()
    brought = listener.hear(
        [
            packet(False, SYN, 100),
            packet(True, SYN | ACK, 900, 101),
            packet(False, ACK, 101, 901),
            packet(True, RST, 950),
            packet(False, PSH | ACK, 101, 901, b"still here"),
            packet(True, ACK, 901, 111),
        ]
    )
    assert not brought.accepted[3]
    assert [run.data for run in brought.runs] == [b"still here"]


def test_a_hole_that_was_acknowledged_is_a_gap() -> None:
    listener = Listener()
    brought = listener.hear(
        [
            packet(False, SYN, 100),
            packet(True, SYN | ACK, 900, 101),
            packet(False, ACK, 101, 901),
            packet(False, PSH | ACK, 101, 901, b"one"),
            packet(False, PSH | ACK, 114, 901, b"three"),
            packet(True, ACK, 901, 119),
        ]
    )
    assert [(run.offset, run.data, run.gap) for run in brought.runs] == [(0, b"one", 0), (13, b"three", 10)]
    assert [event.name for event in brought.events] == ["reassembly_seq_gap"]


def test_the_depth_ends_a_direction() -> None:
    for careful in (False, True):
        listener = Listener(StreamOptions(depth=1000), careful)
        speaker = Speaker(random.Random(4))
        speaker.open()
        for _ in range(3):
            speaker.say(1, b"x" * 700, False)
        listener.hear(speaker.talk.packets)
        listener.end()
        assert listener.said()[0, True] == b"x" * 1000
        assert [run.end for run in listener.news[0].runs if run.end] == [news.DEPTH]


def test_different_data_in_the_same_place_is_told_and_the_first_counts() -> None:
    listener = Listener()
    brought = listener.hear(
        [
            packet(False, SYN, 100),
            packet(True, SYN | ACK, 900, 101),
            packet(False, ACK, 101, 901),
            packet(False, PSH | ACK, 101, 901, b"GET /good"),
            packet(False, PSH | ACK, 101, 901, b"GET /evil"),
            packet(True, ACK, 901, 110),
        ]
    )
    assert [run.data for run in brought.runs] == [b"GET /good"]
    assert "reassembly_overlap_different_data" in [event.name for event in brought.events]


def test_an_urgent_byte_is_no_part_of_what_was_said() -> None:
    listener = Listener()
    brought = listener.hear(
        [
            packet(False, SYN, 100),
            packet(True, SYN | ACK, 900, 101),
            packet(False, ACK, 101, 901),
            packet(False, PSH | ACK | URG, 101, 901, b"atXtack", urgent=3),
            packet(True, ACK, 901, 108),
            packet(False, PSH | ACK, 108, 901, b"!"),
            packet(True, ACK, 901, 109),
        ]
    )
    assert [(run.offset, run.data) for run in brought.runs] == [(0, b"attack!")]


def test_without_a_handshake_nothing_is_followed_unless_midstream_is_asked_for() -> None:
    packets = [packet(False, PSH | ACK, 500, 700, b"middle"), packet(True, ACK, 700, 506)]
    assert hear(packets).said() == {}
    assert hear(packets, midstream=True).said()[0, False] == b"middle"


def test_packets_without_a_session_are_refused_when_they_end_or_reset_one() -> None:
    packets = [
        packet(True, ACK, 700, 506),
        packet(False, FIN | ACK, 506, 700),
        packet(True, SYN | ACK, 1, 2),
        packet(True, RST, 700),
        packet(False, RST, 506, 7),
        packet(True, FIN, 700),
    ]
    for careful in (False, True):
        listener = hear(packets, careful=careful)
        names = [name for _, name in listener.events()]
        assert names == [
            "fin_but_no_session",
            "rst_but_no_session",
            "pkt_broken_ack",
            "rst_but_no_session",
            "fin_but_no_session",
        ]
        assert listener.accepted() == [True, False, True, False, False, False]


def test_one_side_alone_is_followed_when_asked_for() -> None:
    packets = [packet(False, SYN, 100), packet(False, ACK, 101, 901), packet(False, PSH | ACK, 101, 901, b"alone")]
    assert hear(packets, async_oneside=True).said()[0, False] == b"alone"


def test_a_memory_that_is_full_keeps_nothing_more_and_counts_it() -> None:
    listener = Listener(StreamOptions(memory=2000))
    listener.hear([packet(False, SYN, 100), packet(True, SYN | ACK, 900, 101), packet(False, ACK, 101, 901)])
    for number in range(5):
        listener.hear([packet(False, PSH | ACK, 101 + 1000 * number, 901, bytes(1000))])
    assert listener.reassembler._held.size + listener.reassembler.counts.held <= 2000
    assert listener.reassembler.counts.not_kept


def test_no_packets_whatever_raise_anything_and_memory_stays_bounded() -> None:
    chance = random.Random(11)
    for careful in (False, True):
        listener = Listener(StreamOptions(memory=100_000, midstream=careful))
        for _ in range(SEEDS // 2):
            packets = []
            for _ in range(chance.choice([1, 20, 100])):
                talk = conversation(chance.randrange(40), client=chance.randrange(1, 6)).packets
                one = bytearray(chance.choice(talk))
                for _ in range(chance.choice([0, 0, 1, 3])):
                    # The TCP header and its options.
                    one[chance.randrange(34, min(len(one), 74))] = chance.choice([0, 1, 16, 255, chance.randrange(256)])
                packets.append(bytes(one))
            listener.hear(packets)
            assert listener.reassembler._held.size + listener.reassembler.counts.held <= 100_000 + 100 * 65536
        listener.end()
        assert listener.reassembler._held.size == listener.reassembler.counts.held == 0
        assert not listener.reassembler._sessions


def test_fin_is_where_the_data_ends_even_when_numbers_wrap_around() -> None:
    listener = Listener()
    isn = MASK - 2
    brought = listener.hear(
        [
            packet(False, SYN, isn),
            packet(True, SYN | ACK, 900, isn + 1),
            packet(False, ACK, isn + 1, 901),
            packet(False, FIN | PSH | ACK, isn + 1, 901, b"wrapped"),
            packet(True, ACK, 901, isn + 9),
        ]
    )
    assert [(run.data, run.end) for run in brought.runs] == [(b"wrapped", news.FIN)]
