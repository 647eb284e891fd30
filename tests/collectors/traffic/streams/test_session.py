"""Sessions: what needs no look at their state."""

from collectors.traffic.streams import closing, completion, established, handshake
from collectors.traffic.streams import state as states
from collectors.traffic.streams.session import Session
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, events
from tests.collectors.traffic.streams.talk import ACK, PSH, packet


def test_every_state_has_its_way() -> None:
    assert set(Session.handlers) == set(range(states.NONE, states.CLOSED + 1))
    modules = {handler.__module__ for handler in Session.handlers.values()}
    assert modules == {module.__name__ for module in (closing, completion, established, handshake)}


def test_keep_alives_and_their_answers_are_passed_over() -> None:
    alive = [packet(CLIENT, ACK, 100, 901), packet(SERVER, ACK, 901, 101), packet(CLIENT, ACK, 100, 901, b"\0")]
    assert events(OPENING + alive) == []


def test_a_packet_that_shrinks_the_window_against_expectation_is_told() -> None:
    odd = packet(CLIENT, ACK, 5000, 6000, window=10)
    assert "pkt_bad_window_update" in events([*OPENING, packet(SERVER, PSH | ACK, 901, 101, b"abc"), odd])


def test_an_acknowledgement_that_came_late_is_passed_over() -> None:
    late = [
        packet(CLIENT, PSH | ACK, 101, 901, b"abc"),
        packet(SERVER, ACK, 901, 104),
        packet(SERVER, ACK, 901, 101),
    ]
    assert events(OPENING + late) == []
