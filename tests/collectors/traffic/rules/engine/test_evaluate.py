"""One rule as a whole: header, flow, state and every test of bytes must hold together."""

import pytest

from collectors.traffic.rules.engine.evaluate import owners
from tests.collectors.traffic.rules.engine import scene

TALK = (
    scene.Talk()
    .ask(scene.request("/login", more="User-Agent: probe\r\n"))
    .answer(scene.response(b"welcome"))
    .close()
    .packets
)
HOLDS = [
    "alert http any any -> any any",
    "flow:established,to_server;",
    'http.uri; content:"/login";',
    'http.user_agent; content:"probe";',
    "ttl:64;",
]


def _rule(parts: list[str]) -> str:
    return f"{parts[0]} ({' '.join(parts[1:])})"


def test_a_rule_whose_parts_all_hold_matches() -> None:
    assert scene.counts(TALK, _rule(HOLDS)) == {1: 1}


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (0, "alert http any any -> any 81"),
        (0, "alert http 10.0.0.2 any -> any any"),
        (0, "alert dns any any -> any any"),
        (1, "flow:established; flowbits:isset,never;"),
        (2, 'http.uri; content:"/logout";'),
        (3, 'http.user_agent; content:"Probe";'),
        (4, "ttl:63;"),
    ],
)
def test_one_part_that_does_not_hold_is_enough(place: int, part: str) -> None:
    parts = list(HOLDS)
    parts[place] = part
    protocol = parts[0].split()[1]
    if protocol != "http":
        parts[2:4] = ['content:"GET";']
    assert scene.counts(TALK, _rule(parts)) == {}


def test_the_same_parts_the_other_way_round_hold_for_both_sides_of_a_transaction() -> None:
    both = 'alert http any any => any any (http.uri; content:"/login"; http.stat_code; content:"{}";)'
    assert scene.counts(TALK, both.format("200")) == {1: 1}
    assert scene.counts(TALK, both.format("404")) == {}


def test_places_in_the_stream_count_from_its_beginning() -> None:
    talk = scene.Talk(dport=9999).ask(b"first line\n").ask(b"second line\n").close().packets
    rule = 'alert tcp any any -> any any (flow:established,only_stream; content:"{}"; startswith;)'
    assert scene.counts(talk, rule.format("first"), rule.format("second")) == {1: 1}


def test_an_absent_buffer_is_asked_for_by_absent_alone() -> None:
    lines = [
        "alert http any any -> any any (http.referer; absent;)",
        "alert http any any -> any any (http.user_agent; absent;)",
        'alert http any any -> any any (http.referer; content:!"x";)',
    ]
    assert 1 in scene.counts(TALK, *lines) and 2 not in scene.counts(TALK, *lines)


def test_header_buffers_are_those_of_the_packet() -> None:
    packets = [scene.udp(b"a", ttl=7), scene.udp(b"a", ttl=8)]
    rule = 'alert udp any any -> any any (ipv4.hdr; content:"|07 11|"; offset:8; depth:2;)'
    assert [one.packet.number for one in scene.alerts(packets, rule)] == [1]


def test_bits_belong_to_hosts_or_to_the_pair_of_them() -> None:
    there, back = scene.seen(scene.udp(b"a"), scene.udp_back(b"b"))
    assert owners(there, "ip_src") == owners(back, "ip_dst") != owners(back, "ip_src")
    assert owners(there, "ip_pair") == owners(back, "ip_pair")
    assert sorted(map(str, owners(there, "ip_both"))) == sorted(map(str, owners(back, "ip_both")))
    assert len(owners(there, "ip_both")) == 2
