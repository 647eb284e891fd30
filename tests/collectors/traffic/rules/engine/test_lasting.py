"""A rule that waits for a step alone speaks with every packet of that side while the step lasts, and once more when it is over."""

import pytest

from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.engine.prepared import prepare
from tests.collectors.traffic.rules.engine.scene import (
    SECOND,
    START,
    Talk,
    capture,
    counts,
    request,
    response,
    rules,
    udp,
)

BODY = response(b"x" * 50_000)
PIECES = [BODY[at : at + 10_000] for at in range(0, len(BODY), 10_000)]


def _slow() -> Talk:
    """Return a conversation whose answer comes in six pieces, and its packets."""
    talk = Talk().ask(request("/a"))
    for piece in PIECES:
        talk.answer(piece)
    return talk.close()


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        # The piece that begins the body is read when it is acknowledged: the five that follow it speak, and the end of the connection.
        ("response_body", len(PIECES)),
        ("response_headers", 1),
        ("response_line", 1),
        ("response_complete", 1),
        ("request_line", 1),
        ("request_started", 1),
    ],
)
def test_each_packet_while_the_step_lasts_and_the_one_behind_it(step: str, wanted: int) -> None:
    assert counts(_slow().packets, f'alert http1:{step} any any -> any any (msg:"x";)') == {1: wanted}


def test_in_line_each_piece_is_read_as_it_comes() -> None:
    rule = 'alert http1:response_body any any -> any any (msg:"x";)'
    assert counts(_slow().packets, rule, inline=True) == {1: len(PIECES)}


def test_the_same_by_app_layer_state() -> None:
    rule = "alert http any any -> any any (app-layer-state:response_body;)"
    assert counts(_slow().packets, rule) == {1: len(PIECES)}


def test_a_rule_that_asks_for_a_buffer_speaks_once() -> None:
    assert counts(_slow().packets, 'alert http1:response_body any any -> any any (file.data; content:"xx";)') == {1: 1}


def test_packets_of_other_blocks_and_of_other_sides_do_not_matter() -> None:
    packets = _slow().packets
    # More than a block holds: the step lasts from one to the next.
    other = [udp(b"?")] * 17_000
    spread = [*packets[:8], *other, *packets[8:10], *other, *packets[10:]]
    times = [(START + number * SECOND // 100_000, one) for number, one in enumerate(spread)]
    assert counts(times, 'alert http1:response_body any any -> any any (msg:"x";)') == {1: len(PIECES)}


def test_header_and_flow_are_held_against_each_packet() -> None:
    body = "flow:established,to_client;"
    assert counts(_slow().packets, f"alert http1:response_body any 80 -> any any ({body})") == {1: len(PIECES)}
    assert counts(_slow().packets, f"alert http1:response_body any 81 -> any any ({body})") == {}


def test_pipelined_requests_each_have_their_own_steps() -> None:
    talk = Talk().ask(request("/a") + request("/b")).answer(response(b"x" * 30)).answer(response(b"y" * 30)).close()
    assert counts(talk.packets, 'alert http1:response_headers any any -> any any (msg:"x";)') == {1: 2}


def test_rulesets_without_such_rules_have_nothing_to_follow() -> None:
    assert prepare(rules('alert http any any -> any any (http.uri; content:"/";)')).again == []
    assert prepare(rules("alert http1:request_complete any any -> any any (sid:1;)")).again == []
    assert prepare(rules("alert http1:request_body any any -> any any (sid:1;)")).again == [0]


def test_nothing_is_kept_of_flows_that_ended() -> None:
    found = rules('alert http1:response_body any any -> any any (msg:"x";)')
    reading = Reading(capture(_slow().packets), found, ReadOptions())
    assert len(list(reading.alerts())) == len(PIECES)
    lasting = reading.engine._lasting
    assert lasting is not None and lasting._open == {}
