"""TCP's state by flags, and where one key goes on as another flow."""

import numpy as np
import pytest

from collectors.traffic.flows import states
from collectors.traffic.flows.states import ENDED, FIN_WAIT, NONE, OPEN, SYN_RECV, SYN_SENT, Course, Stretch, cuts

CLIENT, SERVER = 0, 1
SECOND = 10**9
LIMITS = (60 * SECOND, 600 * SECOND, 60 * SECOND)


def gathered(*packets: tuple[int, int]) -> int:
    word = 0
    for side, flags in packets:
        word |= int(states.GATHERED[side << 8 | flags])
    return word


HANDSHAKE = ((CLIENT, 2), (SERVER, 18), (CLIENT, 16))


@pytest.mark.parametrize(
    ("packets", "state"),
    [
        (((CLIENT, 16),), NONE),
        (((CLIENT, 2),), SYN_SENT),
        (((CLIENT, 194),), SYN_SENT),
        (((CLIENT, 2), (SERVER, 18)), SYN_RECV),
        (HANDSHAKE, OPEN),
        (((CLIENT, 24), (SERVER, 16)), OPEN),
        ((*HANDSHAKE, (SERVER, 17)), FIN_WAIT),
        ((*HANDSHAKE, (SERVER, 17), (CLIENT, 17)), ENDED),
        ((*HANDSHAKE, (CLIENT, 4)), ENDED),
        (((CLIENT, 2), (SERVER, 20)), ENDED),
    ],
)
def test_flags_make_states(packets: tuple[tuple[int, int], ...], state: int) -> None:
    assert states.tcp_states(np.array([gathered(*packets)], np.uint32)).tolist() == [state]


def test_flags_of_each_side_are_kept() -> None:
    word = gathered((CLIENT, 2), (CLIENT, 8), (SERVER, 18))
    assert (word & 255, word >> 8 & 255) == (10, 18)
    assert states.by_client(states.by_client(word, True), True) == word


def stretch(at: int, now: int, flags: int, seq: int) -> Stretch:
    return Stretch(at, now, now, flags, seq, False, gathered((CLIENT, flags)), True, False)


def test_a_new_connection_after_the_end_begins_a_flow_and_a_repetition_does_not() -> None:
    ended = Course(gathered((CLIENT, 2), (SERVER, 20)), SECOND, isn=5, client_high=False, answered=True)
    assert cuts(ended, [stretch(0, SECOND, 2, 5)], True, LIMITS) == ([], 0)
    ended = Course(gathered((CLIENT, 2), (SERVER, 20)), SECOND, isn=5, client_high=False, answered=True)
    assert cuts(ended, [stretch(3, SECOND, 2, 6)], True, LIMITS) == ([(3, states.REUSED)], 0)


def test_a_silence_is_judged_by_the_state() -> None:
    young = Course(gathered((CLIENT, 2)), 0, 1, False, False)
    assert cuts(young, [stretch(0, 61 * SECOND, 16, 1)], True, LIMITS)[0] == [(0, states.TIMED_OUT)]
    grown = Course(gathered(*HANDSHAKE), 0, 1, False, True)
    assert cuts(grown, [stretch(0, 599 * SECOND, 16, 1)], True, LIMITS)[0] == []
    assert (
        cuts(Course(0, 0, 0, False, True), [stretch(0, 200 * SECOND, 0, 0)], False, (30 * SECOND, 300 * SECOND, 0))[0]
        == []
    )
