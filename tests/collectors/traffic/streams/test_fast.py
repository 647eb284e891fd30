"""How far packets are as expected."""

import random

import pytest

from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.fast import Prefix
from collectors.traffic.streams.options import StreamOptions
from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER
from tests.collectors.traffic.streams.talk import ACK, FIN, PSH, RST, SYN, Speaker, packet
from tests.collectors.traffic.streams.test_rows import rows


def expected(packets: list[bytes]) -> int:
    """Return how many packets of one flow are as expected."""
    known = SessionColumns()
    made = rows_without_checksums(packets)
    known.clear(made.flow)
    return int(Prefix(made, known, StreamOptions()).end[0])


def rows_without_checksums(packets: list[bytes]):  # type: ignore[no-untyped-def]
    """Return rows whose made-up checksums are not looked at."""
    made = rows(packets)
    made.odd[:] = False
    return made


def test_a_tidy_conversation_is_as_expected_to_its_end() -> None:
    for seed in range(20):
        speaker = Speaker(random.Random(seed))
        speaker.open()
        for way, size in ((0, 300), (1, 9000), (0, 30), (0, 4000)):
            speaker.say(way, bytes(size), False)
        speaker.close(seed % 2)
        assert expected(speaker.talk.packets) == len(speaker.talk.packets)


@pytest.mark.parametrize(
    "odd",
    [
        packet(CLIENT, PSH | ACK, 102, 901, b"behind a hole"),
        packet(CLIENT, PSH | ACK, 100, 901, b"again"),
        packet(CLIENT, PSH | ACK, 101, 950, b"of what nobody sent"),
        packet(CLIENT, PSH, 101, 0, b"without acknowledgement"),
        packet(CLIENT, SYN, 101),
        packet(SERVER, RST, 950),
        packet(SERVER, FIN | RST | ACK, 901, 101),
    ],
)
def test_what_is_otherwise_ends_it(odd: bytes) -> None:
    assert expected([*OPENING, odd, packet(SERVER, ACK, 901, 101)]) == 3


def test_a_reset_in_place_is_expected_and_nothing_behind_it() -> None:
    reset = packet(CLIENT, RST | ACK, 101, 901)
    assert expected([*OPENING, reset]) == 4
    assert expected([*OPENING, reset, packet(SERVER, FIN | ACK, 901, 101)]) == 4
