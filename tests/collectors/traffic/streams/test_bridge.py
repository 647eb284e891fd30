"""Sessions from columns to objects and back."""

import random

import numpy as np

from collectors.traffic.streams import columns as codes
from collectors.traffic.streams import state as states
from collectors.traffic.streams.bridge import lift, settle
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, Listener, Speaker, packet


def test_an_open_session_is_the_same_there_and_back() -> None:
    speaker = Speaker(random.Random(2))
    speaker.open()
    speaker.say(0, bytes(500), False)
    listener = Listener()
    listener.hear(speaker.talk.packets)
    known = listener.reassembler._known
    assert known.code[0] == codes.OPEN
    before = {name: pair[:, 0].copy() for name, pair in known.pairs.items()}
    session = lift(known, 0, (b"wait", b""), StreamOptions(), Policy.WINDOWS, Delivery(100))
    assert session.state == states.ESTABLISHED
    assert settle(session, known) is None, "more waits than was sent"
    session.client.segments.clear()
    fresh = SessionColumns()
    assert settle(session, fresh) == (b"", b"")
    for name, pair in fresh.pairs.items():
        if name not in ("stamp", "scale"):
            assert np.array_equal(pair[:, 0], before[name]), name


def test_states_behind_a_fin_are_told_by_what_is_acknowledged() -> None:
    ends = [
        ([packet(CLIENT, FIN | ACK, 101, 901)], states.CLOSE_WAIT),
        ([packet(SERVER, FIN | ACK, 901, 101)], states.FIN_WAIT1),
        ([packet(SERVER, FIN | ACK, 901, 101), packet(CLIENT, ACK, 101, 902)], states.FIN_WAIT2),
        ([packet(CLIENT, FIN | ACK, 101, 901), packet(SERVER, FIN | ACK, 901, 102)], states.LAST_ACK),
        ([packet(SERVER, FIN | ACK, 901, 101), packet(CLIENT, FIN | ACK, 101, 902)], states.TIME_WAIT),
        ([packet(CLIENT, PSH | ACK, 101, 901, b"x")], states.ESTABLISHED),
    ]
    for packets, state in ends:
        listener = Listener()
        listener.hear(OPENING + packets)
        assert listener.reassembler.careful == 0
        session = lift(listener.reassembler._known, 0, (b"", b""), StreamOptions(), Policy.WINDOWS, Delivery(9))
        assert session.state is state
