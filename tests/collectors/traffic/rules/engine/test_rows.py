"""Rows of a block: first packets, next packets, who has answered, and which sessions have a stream."""

import random

import numpy as np

from collectors.traffic.rules.engine.rows import NEVER, Sessions
from tests.collectors.traffic.rules.engine import scene


def _both() -> list[bytes]:
    return [scene.udp(b"1"), scene.udp_back(b"2"), scene.udp(b"3"), scene.udp(b"4", sport=41_000), scene.udp_back(b"5")]


def test_the_first_packet_of_each_direction_begins_it() -> None:
    assert scene.rows(scene.fed(_both())).begins.tolist() == [True, True, False, True, False]


def test_what_has_begun_does_not_begin_in_the_next_block() -> None:
    told = scene.fed(_both())
    _, _, batch, news, _, columns = told
    sessions, rows = Sessions(len(columns)), scene.rows(told)
    sessions.see(rows, batch, news)
    sessions.see(rows, batch, news)
    assert not rows.begins.any()
    sessions.end(rows.slots)
    sessions.see(rows, batch, news)
    assert rows.begins.any()


def test_a_flow_is_established_once_the_other_side_has_answered() -> None:
    assert scene.rows(scene.fed(_both())).established.tolist() == [False, True, True, False, True]


def test_the_next_packet_of_a_direction_is_the_one_that_a_plain_search_finds() -> None:
    chance = random.Random(3)
    packets = [chance.choice([scene.udp, scene.udp_back])(b"x", sport=40_000 + chance.randrange(3)) for _ in range(40)]
    rows = scene.rows(scene.fed(packets))
    ways = (rows.slots * 2 + rows.sides).tolist()
    asked = [(way, place) for way in sorted(set(ways)) for place in range(len(packets) + 1)]
    found = rows.next(np.array([way for way, _ in asked]), np.array([place for _, place in asked]))
    wanted = [next((at for at in range(place, len(ways)) if ways[at] == way), NEVER) for way, place in asked]
    assert found.tolist() == wanted


def test_a_session_has_a_stream_from_its_first_bytes_or_its_handshake_on() -> None:
    rows = scene.rows(scene.fed(scene.Talk(dport=9999).ask(b"hello").packets))
    assert rows.streamed.tolist()[0] is False
    assert all(rows.streamed.tolist()[3:])


def test_a_packet_of_the_rows_is_the_packet() -> None:
    rows = scene.rows(scene.fed(_both()))
    packet = rows.packet(1)
    assert (packet.to_client, packet.payload, packet.begins, packet.established) == (True, b"2", True, True)
