"""Bytes that are said again."""

import pytest

from tests.collectors.traffic.streams.heard import CLIENT, OPENING, SERVER, events
from tests.collectors.traffic.streams.talk import ACK, PSH, Listener, packet

FIRST = [packet(CLIENT, PSH | ACK, 101, 901, b"GET /"), packet(CLIENT, PSH | ACK, 106, 901, b"good")]
END = [packet(SERVER, ACK, 901, 110)]


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize(
    ("seq", "text", "different"),
    [
        (101, b"GET /", False),
        (106, b"good", False),
        (103, b"T /go", False),
        (101, b"GET /good", False),
        (106, b"evil", True),
        (104, b" /e", True),
    ],
)
def test_the_same_bytes_change_nothing_and_others_are_told(seq: int, text: bytes, different: bool, blocks: int) -> None:
    again = [packet(CLIENT, PSH | ACK, seq, 901, text)]
    listener = Listener()
    for part in [OPENING + FIRST + again + END] if blocks == 1 else [OPENING + FIRST, again + END]:
        listener.hear(part)
    assert listener.said()[0, False] == b"GET /good"
    assert (listener.reassembler.careful > 0) == different
    told = [name for name in events(OPENING + FIRST + again + END) if name == "reassembly_overlap_different_data"]
    assert bool(told) == different
