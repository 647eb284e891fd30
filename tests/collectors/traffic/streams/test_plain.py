"""The loop over plain packets comes to what the states come to, packet by packet."""

import os
import random

import pytest

from collectors.traffic.streams.left import Left
from collectors.traffic.streams.news import News
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.plain import follow
from collectors.traffic.streams.session import Session
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, RST, SYN, Listener, conversation, packet

SEEDS = int(os.environ.get("HOLDFAST_FUZZ_TRAFFIC", "120"))


def untidy(seed: int) -> list[bytes]:
    """Return a conversation with packets lost, repeated, moved and with numbers that are off."""
    chance = random.Random(seed)
    packets = list(conversation(seed, untidy=0.7).packets)
    for _ in range(chance.randrange(6)):
        place = chance.randrange(3, max(len(packets), 4))
        if place < len(packets) and (kind := chance.randrange(4)) == 0:
            del packets[place]
        elif place < len(packets) and kind == 1:
            packets.insert(chance.randrange(3, len(packets)), packets[place])
        elif place < len(packets):
            # Sequence number, acknowledgement, window: a little or wholly other.
            one = bytearray(packets[place])
            at = chance.choice([41, 45, 40, 44, 48, 49])
            one[at] = (one[at] + chance.choice([1, 255, 3, 128])) & 255
            packets[place] = bytes(one)
    return packets


def hear(packets: list[bytes], plain: bool = True, **options: bool) -> Listener:
    """Return what the careful way alone heard; with or without the loop over plain packets."""
    listener = Listener(StreamOptions(**options), careful=True)  # type: ignore[arg-type]
    if not plain:
        listener.reassembler.follow = _none
    for at in range(0, len(packets), 50):
        listener.hear(packets[at : at + 50])
    listener.end()
    return listener


@pytest.mark.parametrize("options", [{}, {"midstream": True}, {"inline": True}, {"async_oneside": True}])
def test_it_comes_to_what_the_states_come_to(options: dict[str, bool]) -> None:
    plain = [hear(untidy(seed), **options) for seed in range(SEEDS)]
    for seed, one in enumerate(plain):
        other = hear(untidy(seed), plain=False, **options)
        assert one.events() == other.events(), seed
        assert one.accepted() == other.accepted(), seed
        assert one.said() == other.said(), seed
        for mine, theirs in zip(one.news, other.news, strict=True):
            assert mine.runs == theirs.runs, seed
            assert mine.established.tolist() == theirs.established.tolist(), seed


@pytest.mark.parametrize("inline", [False, True])
def test_a_client_that_nothing_answers_comes_to_the_same(inline: bool) -> None:
    def talks(plain: bool) -> list[Listener]:
        found = []
        for seed in range(SEEDS):
            chance = random.Random(seed)
            one = [packet(CLIENT, SYN, 100)]
            for _ in range(chance.randrange(1, 12)):
                flags = chance.choice([ACK, ACK, PSH | ACK, PSH | ACK, SYN, FIN | ACK, RST])
                seq, ack = chance.choice([99, 100, 101, 150, 1 << 31, (1 << 31) + 120]), chance.choice([0, 1, 901])
                data = bytes(chance.choice([0, 1, 1, 30])) if flags & ACK else b""
                one.append(packet(chance.random() < 0.1, flags, seq, ack, data))
            found.append(hear(one, plain, inline=inline))
        return found

    for seed, (mine, theirs) in enumerate(zip(talks(True), talks(False), strict=True)):
        assert mine.events() == theirs.events(), seed
        assert mine.accepted() == theirs.accepted(), seed
        assert [news.runs for news in mine.news] == [news.runs for news in theirs.news], seed


def _none(session: Session, left: Left, place: int, end: int, news: News) -> int:
    """Take no packet as a plain one."""
    del session, left, end, news
    return place


def test_plain_packets_make_no_segments() -> None:
    passed = 0

    def counted(session: Session, left: Left, place: int, end: int, news: News) -> int:
        nonlocal passed
        after = follow(session, left, place, end, news)
        passed += after - place
        return after

    listener = Listener(careful=True)
    listener.reassembler.follow = counted
    data = [packet(CLIENT, PSH | ACK, 101 + 10 * number, 901, bytes(10)) for number in range(20)]
    answers = [packet(SERVER, ACK, 901, 111 + 10 * number) for number in range(20)]
    listener.hear([*OPENING, *(one for pair in zip(data, answers, strict=True) for one in pair)])
    assert passed == len(data) + len(answers)
    assert sum(len(run.data) for run in listener.news[0].runs) == 200
